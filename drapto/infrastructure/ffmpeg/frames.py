"""The frame index: which frames a video stream has, and when each is shown.

Made from packets alone, at the speed of the disk. What a decoder would not yield is not in it:
packets that an edit list discards, hidden reference pictures of VP8 and VP9, the second of two
packets that are the fields of one frame, and what stands before the first key frame. Where
the container's timestamps are missing or make no sense they are made up or repaired, and a
note says so.

    index = build_index(path, track)

Every container of tests/media/containers.py is compared with a full decode.
Tests: tests/infrastructure/ffmpeg/test_frames.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drapto.core.errors import InputError
from drapto.core.media import FrameIndex, Int64Array, Track
from drapto.infrastructure.ffmpeg.display_order import (
    decoded_rows,
    display_order,
    never_reorders,
)
from drapto.infrastructure.ffmpeg.opening import ELEMENTARY_FORMATS, missing_bytes, open_input
from drapto.infrastructure.ffmpeg.packets import (
    NO_PTS,
    PACKETS_PER_CHECK,
    Check,
    PacketTable,
    no_check,
    read_packets,
    video_stream,
)
from drapto.infrastructure.ffmpeg.timestamps import (
    Timeline,
    count,
    durations,
    from_own,
    from_rate,
    from_slots,
    from_some,
    nominal_step,
    strictly_increasing,
    without,
)

# Whether pictures that are coded after the first key frame but shown before it can be decoded
# is found out by decoding no more than this many packets: no codec reorders further than 16.
_HEAD_PACKETS = 64


@dataclass(frozen=True, eq=False)
class IndexedPackets:
    """A frame index and how it was come by.

    `row_frame` has shape (packets,): the frame number of every packet in decode order, -1 where
    it is none of its own. `faithful` says that a decoder of the file as it is yields exactly
    these frames with exactly these timestamps.
    """

    index: FrameIndex
    table: PacketTable
    row_frame: Int64Array
    faithful: bool
    restarts: int = 0


def build_index(path: Path, track: Track, check: Check = no_check) -> FrameIndex:
    """Every frame of `track`, in display order. Errors: InputError."""
    return index_packets(path, track.index, check).index


def index_packets(path: Path, stream_index: int, check: Check = no_check) -> IndexedPackets:
    """As `build_index`, with what rewrapping needs. Errors: InputError."""
    table = read_packets(path, stream_index, check)
    read = len(np.flatnonzero(table.shown))
    table, notes = _damage(path, table)
    clean_end = len(np.flatnonzero(table.shown)) == read
    table, clean_start, start_notes = _from_first_key(path, stream_index, table)
    line = _timeline(path, stream_index, table, check)
    if not len(line.rows):
        raise InputError(
            f"No frame of video stream {stream_index} of {path} can be decoded.",
            hint="The file is damaged or was cut off; copy it again.",
        )
    last = 0 if line.synthetic else int(table.duration[line.rows[-1]])
    key = table.key[line.rows]
    row_frame = np.full(len(table), -1, dtype=np.int64)
    row_frame[line.rows] = np.arange(len(line.rows))
    index = FrameIndex(
        time_base=line.time_base,
        pts=line.pts,
        duration=durations(line.pts, last, nominal_step(table, line.time_base)),
        key=key,
        synthetic=line.synthetic,
        notes=(*notes, *start_notes, *line.notes),
    )
    faithful = line.own and clean_start and clean_end
    return IndexedPackets(index, table, row_frame, faithful, line.restarts)


def index_from_decoded(index: FrameIndex, decoded_pts: Sequence[int]) -> FrameIndex:
    """The index as a decoder's frames make it, where they differ from the packets.

    `decoded_pts` in the time base of `index`. Key marks are kept where a decoded frame has the
    timestamp of a key frame; the end of the last frame is kept if there is one after it. A note
    says what differs, if anything does.
    """
    pts, moved = strictly_increasing(np.sort(np.array(decoded_pts, dtype=np.int64)))
    if not len(pts):
        raise InputError("The decoder yields no frame at all.", hint="Copy the source again.")
    last = index.end_pts - int(pts[-1])
    fallback = int(np.median(index.duration)) if len(index) else 1
    spread = f"{count(moved, 'timestamp')} of decoded frames moved apart" if moved else ""
    return FrameIndex(
        time_base=index.time_base,
        pts=pts,
        duration=durations(pts, last, fallback),
        key=np.isin(pts, index.pts[index.key]),
        synthetic=index.synthetic,
        as_decoded=True,
        notes=(*index.notes, *filter(None, [_difference(index.pts, pts), spread])),
    )


def _difference(listed: Int64Array, decoded: Int64Array) -> str:
    """In what the decoder's timestamps, in order, are not the container's; '' if they are."""
    shorter = min(len(listed), len(decoded))
    others = np.flatnonzero(listed[:shorter] != decoded[:shorter])
    first = int(others[0]) if len(others) else shorter
    if len(listed) != len(decoded):
        return (
            f"{count(len(decoded), 'frame')} decoded where the container has {len(listed)}, the "
            f"first difference at frame {first}: the source is damaged"
        )
    if not len(others):
        return ""
    return (
        f"the decoder gives {len(others)} of {count(len(listed), 'frame')} another timestamp than "
        f"the container, the first at frame {first}: the decoder's are used"
    )


def decoded_pts(path: Path, stream_index: int, check: Check = no_check) -> list[int]:
    """The timestamp of every frame that PyAV decodes, in the order it yields them.

    Frames without one are left out, so a bare stream gives an empty list. Errors: InputError.
    """
    import av

    found: list[int] = []
    with open_input(path) as container:
        stream = video_stream(container, stream_index, path)
        # With frame threads an error makes PyAV lose good frames that the ffmpeg program shows.
        stream.codec_context.thread_type = "SLICE"
        for number, packet in enumerate(container.demux(stream)):
            if number % PACKETS_PER_CHECK == 0:
                check()
            try:
                frames = stream.codec_context.decode(packet)
            except (av.error.FFmpegError, ValueError):
                continue
            found += [frame.pts for frame in frames if frame.pts is not None]
    return found


def _timeline(path: Path, stream_index: int, table: PacketTable, check: Check) -> Timeline:
    """Choose by what the container offers."""
    has_pts = table.pts[table.shown] != NO_PTS
    bare = table.format_name in ELEMENTARY_FORMATS
    in_storage_order = table.format_name == "avi" and not never_reorders(table.codec)
    if not bare and not in_storage_order and bool(has_pts.all()):
        return from_own(table)
    rows = display_order(path, stream_index, table, check)
    if in_storage_order and bool((table.dts[rows] != NO_PTS).all()):
        return from_slots(table, rows)
    if bare or not has_pts.any():
        return from_rate(table, rows)
    return from_some(table, rows)


def _damage(path: Path, table: PacketTable) -> tuple[PacketTable, list[str]]:
    """Leave out a last packet that was cut in half; say what reading showed to be wrong."""
    notes = []
    if table.fault:
        notes.append(f"reading stopped after {count(len(table), 'packet')}: {table.fault}")
    if table.promised > max(len(table), _slots_of_avi(table)):
        notes.append(
            f"the container promises {count(table.promised, 'packet')} but only {len(table)} can "
            "be read: the file was cut off"
        )
    if missing := missing_bytes(path):
        notes.append(f"the file lacks its last {count(missing, 'byte')}: it was cut off")
    whole = np.flatnonzero(~table.corrupt)
    torn = np.arange(whole[-1] + 1 if len(whole) else len(table), len(table))
    if len(torn):
        table = without(table, torn)
        notes.append(f"{count(len(torn), 'packet')} torn at the end left out")
    damaged = int(np.count_nonzero(table.corrupt)) - len(torn)
    if damaged:
        notes.append(f"{count(damaged, 'packet')} marked as damaged")
    return table, notes


def _slots_of_avi(table: PacketTable) -> int:
    """AVI counts empty packets, too, by which a writer fills a hole: here by the slots taken."""
    return int(table.dts.max()) + 1 if table.format_name == "avi" else 0


def _from_first_key(
    path: Path, stream_index: int, table: PacketTable
) -> tuple[PacketTable, bool, list[str]]:
    """Leave out what no decoder can start with; False if there was something to leave out at
    the very beginning, which some decoders show as garbage."""
    keys = np.flatnonzero(table.key)
    if not len(keys):
        key = table.key.copy()
        key[np.flatnonzero(table.shown)[:1]] = True
        return replace(table, key=key), True, ["no key frame is marked in this stream"]
    first = int(keys[0])
    before = np.flatnonzero(table.shown[:first])
    leading = _undecodable_leading(path, stream_index, table, keys)
    notes = []
    if len(before):
        notes.append(f"{count(len(before), 'frame')} before the first key frame cannot be decoded")
    if len(leading):
        notes.append(
            f"{count(len(leading), 'frame')} at the start cannot be decoded without what was cut "
            "off before them"
        )
    gone = np.concatenate([before, leading]).astype(np.int64)
    return without(table, gone), not len(before), notes


def _undecodable_leading(
    path: Path, stream_index: int, table: PacketTable, keys: Int64Array
) -> Int64Array:
    """Rows after the first key frame, shown before it, that a decoder starting there drops.

    Without timestamps every row of the head is in question.
    """
    first = int(keys[0])
    if never_reorders(table.codec):
        return np.array([], dtype=np.int64)
    end = min(int(keys[1]) if len(keys) > 1 else len(table), first + _HEAD_PACKETS)
    head = np.arange(first + 1, end)
    head = head[table.shown[head]]
    if table.pts[first] != NO_PTS and table.format_name != "avi":
        head = head[(table.pts[head] < table.pts[first]) & (table.pts[head] != NO_PTS)]
    if not len(head):
        return head
    if first > 0:
        return head if table.pts[first] != NO_PTS else head[:0]
    yielded = np.array(decoded_rows(path, stream_index, packets=end), dtype=np.int64)
    yielded = yielded - table.second_field[yielded]
    return head[~np.isin(head, yielded)]
