"""Copies one video stream into a file that can be addressed by time.

A bare stream has no timestamps, AVI none in display order, and a seek in MPEG-TS, FLV or ASF
may end behind the key frame that was asked for. The packets are therefore copied, bit for
bit, with the timestamps of the frame index, into NUT: the one container of libavformat that
takes almost any codec, keeps any time base exactly and has an index of key frames. Matroska,
which rounds to milliseconds, takes streams with hidden pictures, which NUT refuses, and the few
codecs that NUT does not know; MOV what is then left.

    index = rewrap(source, 0, index, work_dir / "video.nut")

The copy appears under its name when it is whole, has been read back and found to say what the
index says. Tests: tests/infrastructure/ffmpeg/test_rewrap.py.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any

import numpy as np

from drapto.core.errors import DraptoError, InputError, ResourceError
from drapto.core.media import FrameIndex, Int64Array
from drapto.core.opening import file_url
from drapto.infrastructure.ffmpeg.frames import IndexedPackets, index_packets
from drapto.infrastructure.ffmpeg.opening import open_input
from drapto.infrastructure.ffmpeg.packets import (
    PACKETS_PER_CHECK,
    Check,
    no_check,
    pictures,
    video_stream,
)
from drapto.infrastructure.files import cleared

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_HIDES_PICTURES = frozenset({"vp8", "vp9"})

_CONTAINERS = {".nut": "nut", ".mkv": "matroska", ".mov": "mov"}  # the first that will do


@dataclass(frozen=True, eq=False)
class _Schedule:
    """When every packet is decoded and shown, in decode order; arrays of shape (packets,)."""

    time_base: Fraction
    pts: Int64Array
    dts: Int64Array
    written: Int64Array  # rows that become packets of the copy, in decode order
    shift: int  # added to all, because no timestamp may be below 0


def rewrap(
    path: Path,
    stream_index: int,
    index: FrameIndex,
    out: Path,
    *,
    indexed: IndexedPackets | None = None,
    check: Check = no_check,
) -> FrameIndex:
    """Write the copy and return its index, in its time base, with the notes of `index`.

    The extension of `out` names the container (see `rewrapped_name`): .nut, .mkv or .mov.
    `indexed`, where the caller has it, saves reading the source once more. Errors: InputError
    (the packets cannot be copied, or `index` is not theirs), ResourceError (disk full).
    """
    indexed = indexed or index_packets(path, stream_index, check)
    if indexed.index.digest() != index.digest():
        raise InputError(f"{path} has changed since its frames were indexed.")
    require_space(path, indexed.table.size_bytes, out.parent)
    schedule = _schedule(indexed)
    kind = _CONTAINERS[out.suffix]
    partial = cleared(out.with_name(f".{out.name}.partial"))
    try:
        _copy(path, stream_index, indexed, schedule, partial, kind, check)
        found = read_rewrapped(partial, indexed, check)
        if found is None:
            raise InputError(
                f"Video stream {stream_index} of {path} ({indexed.table.codec}) could not be "
                "copied with usable timestamps: the copy reads differently.",
                hint="Convert the source to Matroska with another tool first.",
            )
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return found


def require_space(path: Path, size_bytes: int, directory: Path) -> None:
    """Errors: ResourceError."""
    free_bytes = disk_usage(directory).free
    if free_bytes < size_bytes:
        raise ResourceError(
            f"{path} has to be copied into {directory} before it can be encoded in parts; that "
            f"takes {size_bytes / 1e9:.2f} GB and {free_bytes / 1e9:.2f} GB are free.",
            hint="Free some space, or name another work directory.",
        )


def rewrapped_name(path: Path, stream_index: int) -> str | None:
    """The file name of a copy, its extension naming a container that takes the stream; None if
    none does. Each is asked to write a header."""
    import av

    with open_input(path) as source:
        stream = video_stream(source, stream_index, path)
        for extension, kind in _CONTAINERS.items():
            if kind == "nut" and stream.codec_context.codec.canonical_name in _HIDES_PICTURES:
                continue
            try:
                with av.open(BytesIO(), "w", format=kind) as target:
                    copy = target.add_stream_from_template(stream, opaque=True)
                    copy.time_base = Fraction(1, 1000)
                    target.start_encoding()
            except (av.error.FFmpegError, OSError, ValueError):
                continue
            return f"source_video{extension}"
    return None


def read_rewrapped(
    path: Path, indexed: IndexedPackets, check: Check = no_check
) -> FrameIndex | None:
    """The index of a finished copy, or None if it is not a whole copy of `indexed`."""
    try:
        copy = index_packets(path, 0, check)
    except InputError:
        return None
    wanted, found = indexed.index, copy.index
    expected = _schedule(indexed)
    same = (
        copy.faithful
        and len(found) == len(wanted)
        and bool(np.array_equal(found.key, wanted.key))
        and _same_times(found, wanted, expected.shift * expected.time_base)
    )
    if not same:
        return None
    notes = wanted.notes
    if expected.shift:
        late_s = float(expected.shift * expected.time_base)
        notes = (*notes, f"the first frame lies {late_s:.3f} s before 0 and was moved to 0")
    # NUT stores no durations; the last one cannot be told from the frame after it.
    last = max(1, round(int(wanted.duration[-1]) * (wanted.time_base / found.time_base)))
    duration = np.append(found.duration[:-1], last)
    return replace(found, duration=duration, synthetic=False, notes=notes)


def _same_times(found: FrameIndex, wanted: FrameIndex, shift_s: Fraction) -> bool:
    """Equal to the tick of the coarser of the two clocks."""
    ratio = wanted.time_base / found.time_base
    shift = shift_s / found.time_base
    tolerance = max(Fraction(1), 1 / ratio) if ratio.denominator != 1 else 0
    return all(
        abs(pts * ratio + shift - got) <= tolerance
        for pts, got in zip(wanted.pts.tolist(), found.pts.tolist(), strict=True)
    )


def _schedule(indexed: IndexedPackets) -> _Schedule:
    """Every packet's times, decoding times strictly increasing."""
    index, table = indexed.index, indexed.table
    shown_rows = np.flatnonzero(indexed.row_frame >= 0)
    ranks = indexed.row_frame[shown_rows]
    shift = max(0, -int(index.pts[0]))
    in_order = index.pts + shift
    place = np.arange(len(ranks))
    delay = max(0, int((place - ranks).max()))
    # The i-th packet is decoded when the frame `delay` places before it is shown: never after
    # its own. The first few lie a tick apart before the first frame, below 0 if need be.
    dts = in_order[np.maximum(place - delay, 0)] + np.minimum(place - delay, 0)

    pts_all = np.full(len(table), -1, dtype=np.int64)
    dts_all = pts_all.copy()
    pts_all[shown_rows] = in_order[ranks]
    dts_all[shown_rows] = dts
    written = shown_rows
    if table.codec in _HIDES_PICTURES:
        # A hidden picture takes the time of the one that is shown next.
        hidden = np.flatnonzero(~table.shown)
        following = np.searchsorted(shown_rows, hidden)
        hidden = hidden[(hidden > shown_rows[0]) & (following < len(shown_rows))]
        following = shown_rows[np.searchsorted(shown_rows, hidden)]
        pts_all[hidden], dts_all[hidden] = pts_all[following], dts_all[following]
        written = np.sort(np.concatenate([shown_rows, hidden]))
    return _Schedule(index.time_base, pts_all, dts_all, written, shift)


def _copy(
    path: Path,
    stream_index: int,
    indexed: IndexedPackets,
    schedule: _Schedule,
    out: Path,
    kind: str,
    check: Check,
) -> None:
    import av

    options = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
    try:
        with (
            open_input(path) as source,
            av.open(file_url(out), "w", format=kind, options=options) as target,
        ):
            stream = video_stream(source, stream_index, path)
            copy = target.add_stream_from_template(stream, opaque=True)
            copy.time_base = schedule.time_base
            for row, packet in _whole_frames(source, stream, indexed, schedule):
                if row % PACKETS_PER_CHECK == 0:
                    check()
                packet.stream = copy
                packet.time_base = schedule.time_base
                packet.pts = int(schedule.pts[row])
                packet.dts = int(schedule.dts[row])
                packet.duration = 0
                packet.is_keyframe = bool(indexed.table.key[row])
                target.mux(packet)
    except DraptoError:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceError(
                f"Copying the video of {path} to {out.parent} failed: no space is left there.",
                hint="Free some space, or name another work directory.",
            ) from error
        raise InputError(
            f"Video stream {stream_index} of {path} ({indexed.table.codec}) cannot be copied "
            f"into a container with timestamps: {error}.",
            hint="Convert the source to Matroska with another tool first.",
        ) from error


def _whole_frames(
    container: InputContainer, stream: VideoStream, indexed: IndexedPackets, schedule: _Schedule
) -> Iterator[tuple[int, Packet[Any]]]:
    """(row, packet) of what is written; the two fields of a frame are joined into one packet."""
    from av.packet import Packet

    table = indexed.table
    written = set(schedule.written.tolist())
    waiting: tuple[int, Packet[Any]] | None = None
    for row, packet in enumerate(pictures(container, stream)):
        if row >= len(table):
            break
        if table.second_field[row] and waiting is not None:
            waiting = (waiting[0], Packet(bytes(waiting[1]) + bytes(packet)))
            continue
        if waiting is not None:
            yield waiting
        waiting = (row, packet) if row in written else None
    if waiting is not None:
        yield waiting
