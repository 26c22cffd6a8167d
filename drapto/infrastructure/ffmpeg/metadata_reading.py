"""Reads the dynamic metadata of frames: of the range a segment covers, and of whole files.

Frames are matched by timestamp alone: a packet's is that of the frame it becomes (a frame index
is made the same way). Only packets are read, so a film takes as long as its disk does.

    frames = of_segment(task)       # one for each frame of the segment file
    reader = PacketMetadataReader()
    facts = await reader.of_source(path, 0, frame_pts, plan)  # what the output must carry
    facts = await reader.of_output(path, 0)                   # what it carries

Tests: tests/infrastructure/ffmpeg/test_metadata_reading.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import anyio.from_thread
import anyio.to_thread

from drapto.core.dynamic_metadata import (
    NOTHING,
    DynamicFacts,
    DynamicMetadata,
    FrameMetadata,
    MetadataDigests,
    digest,
)
from drapto.core.segments import SegmentTask
from drapto.infrastructure.ffmpeg.frame_metadata import extractor
from drapto.infrastructure.ffmpeg.opening import open_input
from drapto.infrastructure.ffmpeg.packets import (
    PACKETS_PER_CHECK,
    Check,
    no_check,
    pictures,
    video_stream,
)

# So many packets in a row that are shown behind the range mean that nothing of it will follow: no
# codec reorders further than 16 pictures, which may be 32 fields.
_PACKETS_BEHIND = 64

# How much before the range reading starts, attempt by attempt; None: at the beginning. A second,
# so that a seek that lands a little late by decoding time still lands before the range.
_EARLIER_S = (1.0, 10.0, 100.0, 1000.0, None)

_Found = Iterator[tuple[int, FrameMetadata]]


def of_segment(task: SegmentTask, check: Check = no_check) -> list[FrameMetadata]:
    """What the output's frames carry, in the order of `task.frame_pts`. Errors: InputError.

    Where a frame is not found, the seek went past it; where it has no message, it may inherit one
    from further up in the file. Then reading starts earlier, at last from the beginning.
    """
    plan = task.settings.dynamic_metadata
    if not task.frame_pts:
        return []
    frames: dict[int, FrameMetadata] = {}
    for earlier_s in _EARLIER_S:
        frames = _range_of(task, earlier_s, check)
        waits = plan.inherits and any(f.hdr10_plus is None for f in frames.values())
        if not waits and all(pts in frames for pts in task.frame_pts):
            break
    return [plan.carried(frames.get(pts, NOTHING)) for pts in task.frame_pts]


class PacketMetadataReader:
    """Reads whole files for a comparison (`core/workshop.py: MetadataReader`)."""

    async def of_source(
        self, path: Path, stream_index: int, frame_pts: Sequence[int], plan: DynamicMetadata
    ) -> DynamicFacts:
        check = anyio.from_thread.check_cancelled
        work = partial(_of_source, path, stream_index, frame_pts, plan, check)
        return await anyio.to_thread.run_sync(work)

    async def of_output(self, path: Path, stream_index: int) -> DynamicFacts:
        check = anyio.from_thread.check_cancelled
        return await anyio.to_thread.run_sync(partial(_of_output, path, stream_index, check))


def _of_source(
    path: Path, stream_index: int, frame_pts: Sequence[int], plan: DynamicMetadata, check: Check
) -> DynamicFacts:
    hdr10_plus, dolby_vision = _Kind(), _Kind()
    for pts, frame in _frames(path, stream_index, check):
        carried = plan.carried(frame)
        if plan.hdr10_plus:
            hdr10_plus.take(pts, frame.hdr10_plus, carried.hdr10_plus)
        if plan.dolby_vision is not None:
            dolby_vision.take(pts, frame.dolby_vision, carried.dolby_vision)
    return DynamicFacts(hdr10_plus.digests(frame_pts), dolby_vision.digests(frame_pts))


def _of_output(path: Path, stream_index: int, check: Check) -> DynamicFacts:
    hdr10_plus, dolby_vision = _Kind(), _Kind()
    shown = []
    for pts, frame in _frames(path, stream_index, check):
        shown.append(pts)
        hdr10_plus.take(pts, frame.hdr10_plus, frame.hdr10_plus)
        dolby_vision.take(pts, frame.dolby_vision, frame.dolby_vision)
    shown.sort()
    return DynamicFacts(hdr10_plus.digests(shown), dolby_vision.digests(shown))


class _Kind:
    """Collects one kind of metadata by timestamp."""

    def __init__(self) -> None:
        self._carried: dict[int, bytes] = {}
        self._left_out: set[int] = set()

    def take(self, pts: int, found: bytes | None, carried: bytes | None) -> None:
        if (value := digest(carried)) is not None:
            self._carried.setdefault(pts, value)
        elif found is not None:
            self._left_out.add(pts)

    def digests(self, frame_pts: Sequence[int]) -> MetadataDigests:
        known = self._carried.keys() | self._left_out
        return MetadataDigests(
            frames=tuple(self._carried.get(pts) for pts in frame_pts),
            left_out=tuple(n for n, pts in enumerate(frame_pts) if pts in self._left_out),
            unplaced=len(known - set(frame_pts)),
        )


def _frames(
    path: Path, stream_index: int, check: Check, *, before: tuple[int, float] | None = None
) -> _Found:
    """Every packet with a timestamp, in decode order; with `before` from so many seconds before a
    timestamp on, or nothing if the file cannot be sought in."""
    import av

    with open_input(path) as container:
        stream = video_stream(container, stream_index, path)
        context = stream.codec_context
        extract = extractor(context.codec.canonical_name, context.extradata)
        if extract is None:
            return
        if before is not None:
            pts, earlier_s = before
            try:
                early = round(earlier_s / (stream.time_base or Fraction(1, 1000)))
                container.seek(pts - early, stream=stream)
            except av.error.FFmpegError:
                return
        for number, packet in enumerate(pictures(container, stream)):
            if number % PACKETS_PER_CHECK == 0:
                check()
            frame = extract(bytes(packet))
            if packet.pts is not None and not packet.is_discard:  # else no frame comes of it
                yield packet.pts, frame


def _range_of(task: SegmentTask, earlier_s: float | None, check: Check) -> dict[int, FrameMetadata]:
    """Until nothing of the range can follow."""
    wanted, last = set(task.frame_pts), max(task.frame_pts)
    before = None if earlier_s is None else (min(wanted), earlier_s)
    found: dict[int, FrameMetadata] = {}
    behind = 0
    for pts, frame in _frames(task.source, task.stream_index, check, before=before):
        if pts in wanted:
            found.setdefault(pts, frame)
        behind = behind + 1 if pts > last else 0
        if behind >= _PACKETS_BEHIND:
            break
    return found
