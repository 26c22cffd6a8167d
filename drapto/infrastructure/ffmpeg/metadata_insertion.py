"""Puts dynamic metadata into a finished segment file, before anyone counts or hashes it.

Encoders either drop HDR10+ or know nothing of a crop, and each does it differently; so whoever
has encoded the segment, the metadata of its frames is what is given here, and any that the
encoder wrote itself is replaced. The file stays what it was otherwise: the same packets, the same
timestamps.

    await insert(task, written)

Tests: tests/infrastructure/ffmpeg/test_metadata_insertion.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio.from_thread
import anyio.to_thread

from drapto.core import t35
from drapto.core.bits import BitsError
from drapto.core.dynamic_metadata import FrameMetadata
from drapto.core.errors import SegmentFailedError
from drapto.core.opening import file_url
from drapto.core.segments import SegmentTask
from drapto.infrastructure.ffmpeg.metadata_reading import of_segment
from drapto.infrastructure.ffmpeg.obu import with_metadata
from drapto.infrastructure.ffmpeg.opening import open_container
from drapto.infrastructure.files import cleared, translate

if TYPE_CHECKING:
    import av
    from av.video.stream import VideoStream

_OURS = (t35.HDR10_PLUS_HEAD, t35.DOLBY_VISION_HEAD)


async def insert(task: SegmentTask, written: Path) -> None:
    """Give every frame of `written`, an AV1 file, the metadata of its frame in the source.

    A file that is no such thing, or has another number of frames, stays as it is: counting its
    frames is what tells. Errors: InputError if the source cannot be read; ResourceError on a full
    disk, PublishError on one that may not be written to; SegmentFailedError if a frame cannot be
    given its metadata. Cancellable.
    """
    await anyio.to_thread.run_sync(partial(_insert, task, written))


def _insert(task: SegmentTask, written: Path) -> None:
    import av

    frames = of_segment(task, anyio.from_thread.check_cancelled)
    marked = cleared(written.with_suffix(f".marked{written.suffix}"))
    try:
        with open_container(written) as source:
            stream = source.streams.video[0]
            if stream.codec.canonical_name != "av1":
                return
            packets = [packet for packet in source.demux(stream) if packet.size]
            if _can_be_paired(packets, frames):
                _write(marked, stream, packets, _marked(packets, frames, task))
                marked.replace(written)
    except (av.error.FFmpegError, IndexError):
        return  # nothing that can be read
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
    except OSError as error:  # libavformat's own of the disk among them
        raise translate(error, f"The segment with its metadata, {marked}, cannot be written") from (
            error
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise SegmentFailedError(
            f"The frames' metadata cannot be written into {marked}: {error}."
        ) from error


def _can_be_paired(
    packets: Sequence[av.Packet[VideoStream]], frames: Sequence[FrameMetadata]
) -> bool:
    """A packet for every frame; AV1 stores temporal units in the order they are shown."""
    times = [packet.pts for packet in packets if packet.pts is not None]
    return len(packets) == len(frames) == len(times) and times == sorted(set(times))


def _marked(
    packets: Sequence[av.Packet[VideoStream]], frames: Sequence[FrameMetadata], task: SegmentTask
) -> list[bytes]:
    """The packets' new bytes. Errors: SegmentFailedError, naming the frame."""
    units = []
    for number, (packet, frame) in enumerate(zip(packets, frames, strict=True)):
        try:
            units.append(with_metadata(bytes(packet), frame.messages, _OURS))
        except BitsError as error:
            raise SegmentFailedError(
                f"Segment {task.segment.index} of {task.source}: the dynamic metadata of its frame "
                f"{number} cannot be put in, because what the encoder wrote for that frame cannot "
                f"be taken apart ({error}).",
                hint="Run the same command again. If it fails at the same frame, another ffmpeg "
                "may write it otherwise: DRAPTO_FFMPEG names one.",
            ) from error
    return units


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
