"""Segmentation: cut the film into the pieces that encoders work on.

Promised: every frame once, no gap, no overlap, in order; borders at scene cuts where the
lengths allow it; no segment longer than `max_segment_s`, none shorter than `min_segment_s`
unless the film is; the same input always gives the same segments.

    planner = SegmentPlanner(min_frames=24, max_frames=240)
    segments = plan_segments(scenes, planner)

Contract suite: tests/services/test_segmentation_contract.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.job import EncodeOptions
from drapto.core.segments import Segment
from drapto.core.source import SourceVideo


class SceneSegmentation:
    """The new segmentation stage: virtual segments along scene cuts."""

    async def plan(
        self, video: SourceVideo, analysis: VideoAnalysis, options: EncodeOptions
    ) -> tuple[Segment, ...]:
        return plan_segments(analysis.scenes, self.planner(video, options))

    def planner(self, video: SourceVideo, options: EncodeOptions) -> SegmentPlanner:
        frame_rate = video.index.frame_rate
        return SegmentPlanner(
            min_frames=frames_in(options.min_segment_s, frame_rate),
            max_frames=frames_in(options.max_segment_s, frame_rate),
        )


def plan_segments(scenes: Iterable[Scene], planner: SegmentPlanner) -> tuple[Segment, ...]:
    """Segments for scenes that cover the film in order."""
    segments = [segment for scene in scenes for segment in planner.add_scene(scene.end)]
    return tuple(segments + planner.finish())


def frames_in(duration_s: float, frame_rate: Fraction) -> int:
    """Whole frames in a duration, at least one."""
    return max(1, round(Fraction(duration_s).limit_denominator(1000) * frame_rate))


class SegmentPlanner:
    """Plans as scenes become known, so that encoding can start before the film has been seen.

    A scene shorter than the minimum is joined to what follows; what is longer than the maximum
    is split evenly. The newest piece is held back until the next one stands, because a short
    end of the film is joined to it.
    """

    def __init__(self, *, min_frames: int, max_frames: int) -> None:
        self._max = max_frames
        self._min = min(min_frames, max(1, max_frames // 2))
        self._planned = 0  # segments handed out
        self._held = 0  # first frame of the piece that is held back
        self._start = 0  # first frame after that piece: everything from here is unplanned
        self._end = 0  # first frame that no scene has covered yet

    def add_scene(self, end: int) -> list[Segment]:
        """Take the scene that ends at frame `end`; returns the segments that are now final."""
        if end <= self._end:
            raise ValueError(f"scene ends at {end}, before {self._end}")
        self._end = end
        if end - self._start < self._min:
            return []
        ready = self._split(self._held, self._start)
        self._held, self._start = self._start, end
        return ready

    def finish(self) -> list[Segment]:
        """The rest of the film."""
        if self._end - self._start >= self._min or self._start == self._held:
            ready = self._split(self._held, self._start)
            return ready + self._split(self._start, self._end)
        return self._split(self._held, self._end)

    def _split(self, start: int, end: int) -> list[Segment]:
        frames = end - start
        parts = -(-frames // self._max)
        borders = [start + frames * part // parts for part in range(parts + 1)] if parts else []
        segments = [
            Segment(index=self._planned + part, start=borders[part], end=borders[part + 1])
            for part in range(parts)
        ]
        self._planned += parts
        return segments
