"""From segments to tasks: which timestamps, and where the decoder may start.

A task always names the range of the source. That a segment may also be a file of its own
(`Segment.path`) concerns legacy encoding alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

from drapto.core.analysis import Scene
from drapto.core.field_filters import FieldStretch
from drapto.core.media import FrameIndex
from drapto.core.quality import Measuring
from drapto.core.segments import Segment, SegmentTask, VideoSettings
from drapto.core.source import SourceVideo

# Containers whose index leads ffmpeg straight to a key frame. In the others a seek may land
# behind the frame that was asked for, so the first attempt already starts one key frame early.
INDEXED_FORMATS = frozenset({"matroska", "webm", "mov", "mp4"})

# ffmpeg moves a seek back by 3/23 s when the stream has B-frames (fftools/ffmpeg_demux.c), which
# would land on the previous key frame and decode a whole GOP for nothing.
SEEK_BACKOFF_S = 3 / 23

LEAST_MEASURED = 12  # frames of a segment, where it has as many: a choice
EARLIER_S = 10.0  # the second attempt starts at a key frame at least this much earlier


def make_tasks(
    video: SourceVideo,
    segments: Sequence[Segment],
    settings: VideoSettings,
    segment_dir: Path,
    *,
    scenes: Sequence[Scene] = (),
    measuring: Measuring | None = None,
) -> tuple[SegmentTask, ...]:
    """One task per segment: its shown frames, as timestamps of `video`.

    `scenes` are those whose complexity is known, in order; what is `measuring` is measured of each.
    """
    return tuple(
        _task(video, segment, settings, segment_dir).model_copy(
            update={
                "measuring": measuring_of(segment, measuring),
                "complexity": complexity_of(segment, scenes),
            }
        )
        for segment in segments
    )


def complexity_of(segment: Segment, scenes: Sequence[Scene]) -> tuple[float, float] | None:
    """Spatial and temporal, the mean of its scenes by their frames in it; None if unknown."""
    first = max(0, bisect_right(scenes, segment.start, key=lambda scene: scene.start) - 1)
    spatial = temporal = frames = 0.0
    for scene in islice(scenes, first, None):
        if scene.start >= segment.end:
            break
        shared = min(scene.end, segment.end) - max(scene.start, segment.start)
        if shared > 0:
            spatial += shared * scene.spatial_complexity
            temporal += shared * scene.temporal_complexity
            frames += shared
    return (spatial / frames, temporal / frames) if frames else None


def measuring_of(segment: Segment, measuring: Measuring | None) -> Measuring | None:
    """Of a short segment more frames are measured: the mean of a few says little."""
    if measuring is None:
        return None
    affordable = max(1, segment.frames // LEAST_MEASURED)
    every = min(measuring.every, affordable if affordable % 2 else affordable - 1)
    return measuring.model_copy(update={"every": every})


def _task(
    video: SourceVideo, segment: Segment, settings: VideoSettings, segment_dir: Path
) -> SegmentTask:
    where = _where(video, segment)
    has_metadata = settings.dynamic_metadata.is_any
    return SegmentTask(
        segment=segment,
        source=video.path,
        stream_index=video.stream_index,
        time_base=where.time_base,
        first_pts=where.first_pts,
        end_pts=where.end_pts,
        seeks_s=seek_points(video.coded, where.decode_from, indexed=_is_indexed(video)),
        settings=settings,
        output=segment_dir / f"{segment.label}.mkv",
        fields=where.fields,
        as_decoded=video.coded.as_decoded,
        frame_pts=source_pts(video, segment.start, segment.end) if has_metadata else (),
        lp=settings.lp,
    )


@dataclass(frozen=True)
class _Where:
    """The frames of a segment, and the coded frame that the decoder has to show first."""

    time_base: Fraction
    first_pts: int
    end_pts: int | None
    decode_from: int
    fields: FieldStretch | None = None


def _where(video: SourceVideo, segment: Segment) -> _Where:
    index, work = video.index, video.deinterlacing
    if work.is_off:
        end_pts = int(index.pts[segment.end]) if segment.end < len(index) else None
        return _Where(index.time_base, int(index.pts[segment.start]), end_pts, segment.start)
    fields = FieldStretch.of(video.coded, index, work, segment.start, segment.end)
    first, end = fields.shown_first_pts, fields.shown_end_pts
    return _Where(fields.shown_time_base, first, end, fields.begins_at, fields)


def source_pts(video: SourceVideo, start: int, end: int) -> tuple[int, ...]:
    """The timestamps, in the file to decode, of what the frames [start, end) are made of."""
    coded = video.deinterlacing.coded_frame
    return tuple(int(video.coded.pts[coded(frame)]) for frame in range(start, end))


def seek_points(index: FrameIndex, start: int, *, indexed: bool) -> tuple[float | None, ...]:
    """Where the decoder starts, attempt by attempt: each one earlier, the last at the beginning.

    Never fewer than two attempts: an encoder may also be killed from outside.

    The first is the key frame at or before `start`: frames shown after a key frame never need
    what came before it, in an open GOP either (only the leading frames do, and those are
    shown before it).
    """
    key = index.key_before(start)
    if not indexed and key > 0:
        key = index.key_before(key - 1)
    earlier = key
    while earlier > 0 and index.time_s(key) - index.time_s(earlier) < EARLIER_S:
        earlier = index.key_before(earlier - 1)
    points: list[float | None] = []
    if key > 0:
        points.append(_aim(index, key, indexed=indexed))
    if 0 < earlier < key:
        points.append(index.time_s(earlier))
    return (*points, None) if points else (None, None)


def _aim(index: FrameIndex, key: int, *, indexed: bool) -> float:
    """A time that ffmpeg takes to this key frame: a little after it, but before the next."""
    if not indexed:
        return index.time_s(key)
    step_s = float(index.time_base)
    following = [int(frame) for frame in index.key[key + 1 :].nonzero()[0][:1]]
    aim_s = index.time_s(key) + SEEK_BACKOFF_S + step_s
    if following:
        aim_s = min(aim_s, index.time_s(key + 1 + following[0]) - step_s)
    return max(aim_s, index.time_s(key))


def _is_indexed(video: SourceVideo) -> bool:
    if video.path != video.origin.path:
        return True  # a rewrapped copy: Matroska
    return not INDEXED_FORMATS.isdisjoint(video.origin.format_name.split(","))
