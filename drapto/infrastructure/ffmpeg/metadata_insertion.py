"""Puts dynamic metadata into a finished segment file, before anyone counts or hashes it.

Encoders either drop HDR10+ or know nothing of a crop, and each does it differently; so whoever
has encoded the segment, the metadata of its frames is what is given here, and any that the
encoder wrote itself is replaced. The file stays what it was otherwise: the same packets, the same
timestamps.

    await insert(task, written)

Tests: tests/infrastructure/ffmpeg/test_metadata_insertion.py.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio.from_thread
import anyio.to_thread

from drapto.core import t35
from drapto.core.bits import BitsError
from drapto.core.dynamic_metadata import FrameMetadata
from drapto.core.errors import ResourceError, SegmentFailedError
from drapto.core.opening import file_url
from drapto.core.segments import SegmentTask
from drapto.infrastructure.ffmpeg.metadata_reading import of_segment
from drapto.infrastructure.ffmpeg.obu import with_metadata
from drapto.infrastructure.ffmpeg.opening import open_container

if TYPE_CHECKING:
    import av
    from av.video.stream import VideoStream

_OURS = (t35.HDR10_PLUS_HEAD, t35.DOLBY_VISION_HEAD)


async def insert(task: SegmentTask, written: Path) -> None:
    """Give every frame of `written`, an AV1 file, the metadata of its frame in the source.

    A file that is no such thing, or has another number of frames, stays as it is: counting its
    frames is what tells. Errors: InputError if the source cannot be read; ResourceError on a full
    disk; SegmentFailedError if the file cannot be written. Cancellable.
    """
    await anyio.to_thread.run_sync(partial(_insert, task, written))


def _insert(task: SegmentTask, written: Path) -> None:
    import av

    frames = of_segment(task, anyio.from_thread.check_cancelled)
    marked = written.with_suffix(f".marked{written.suffix}")
    try:
        with open_container(written) as source:
            stream = source.streams.video[0]
            packets = [packet for packet in source.demux(stream) if packet.size]
            units = _marked(packets, frames)
            if units is not None:
                _write(marked, stream, packets, units)
                marked.replace(written)
    except (av.error.FFmpegError, IndexError, BitsError):
        return  # no AV1 that can be read
    finally:
        marked.unlink(missing_ok=True)


def _write(
    marked: Path,
    stream: VideoStream,
    packets: Sequence[av.Packet[VideoStream]],
    units: Sequence[bytes],
) -> None:
    """The same file with other bytes in its packets."""
    import av

    options = {"fflags": "+bitexact"}
    try:
        with av.open(file_url(marked), "w", format="matroska", options=options) as target:
            copy = target.add_stream_from_template(stream, opaque=True)
            for packet, unit in zip(packets, units, strict=True):
                target.mux_one(_copied(packet, unit, copy))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceError(
                f"The metadata of {marked.name} cannot be written: no space is left in "
                f"{marked.parent}.",
                hint="Free some space, or name another work directory.",
            ) from error
        raise SegmentFailedError(
            f"The frames' metadata cannot be written into {marked}: {error}."
        ) from error


def _marked(
    packets: Sequence[av.Packet[VideoStream]], frames: Sequence[FrameMetadata]
) -> list[bytes] | None:
    """The packets' new bytes; AV1 stores temporal units in the order they are shown."""
    times = [packet.pts for packet in packets if packet.pts is not None]
    if not len(packets) == len(frames) == len(times) or times != sorted(set(times)):
        return None
    pairs = zip(packets, frames, strict=True)
    return [with_metadata(bytes(packet), frame.messages, _OURS) for packet, frame in pairs]


def _copied(
    packet: av.Packet[VideoStream], unit: bytes, stream: VideoStream
) -> av.Packet[VideoStream]:
    import av

    copy = cast("av.Packet[VideoStream]", av.Packet(unit))
    copy.stream = stream
    copy.time_base = packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.is_keyframe = packet.is_keyframe
    return copy
