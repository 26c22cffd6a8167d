"""The measured quality of a finished video against its source: all of it, or stretches of it.

    source = Footage.of(source_video, crop=settings.crop)
    output = await output_footage(path)
    found = await measure_whole(Pair(source, output, metric), Means(ffmpeg, scratch), every=3)
    quality = await measure_quality(ffmpeg, source, output, scratch_dir=temp, deadline_s=600)

`measure_whole` is for `drapto verify`. `measure_quality`, VMAF alone, is for shadow runs: a video
of up to WHOLE_FRAMES frames is measured whole; of a longer one WINDOWS stretches of WINDOW_FRAMES
frames, evenly spread. Two outputs of one source are measured at the same frames, so their
difference does not depend on the choice.

Tests: tests/infrastructure/ffmpeg/test_quality.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np

from drapto.core.output_summary import Quality
from drapto.core.quality import Measuring, Metric, SegmentQuality
from drapto.core.verification import vmaf_note
from drapto.infrastructure.ffmpeg.footage import Footage
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.pairing import FramesDone, Means, Pair, unwatched

WHOLE_FRAMES = 3000  # two minutes of film: what a test clip or a trailer has at most
WINDOWS = 10
WINDOW_FRAMES = 240  # ten seconds of film, the longest segment; 24 of all frames make the p1


@dataclass(frozen=True)
class Scores:
    """Of frame 0 and every `measuring.every`-th after it."""

    measuring: Measuring
    values: tuple[float, ...]

    @property
    def quality(self) -> SegmentQuality:
        return SegmentQuality.of_scores(self.values, self.measuring.weights(len(self.values)))


async def measure_whole(
    pair: Pair, means: Means, *, every: int = 1, on_frames: FramesDone = unwatched
) -> Scores:
    """Errors: as `Pair.scores`."""
    measuring = pair.measuring(every)
    values = await pair.scores(means, measuring, 0, pair.frames, on_frames)
    return Scores(measuring, tuple(values))


async def measure_quality(
    ffmpeg: Path,
    source: Footage,
    output: Footage,
    *,
    scratch_dir: Path,
    deadline_s: float | None = None,
    threads: int = 1,
    nice: int = 0,
) -> Quality:
    """VMAF in windows. `deadline_s` is for all of them together.

    Errors: InputError if the two do not have the same frames or picture, ProcessFailedError
    (past its deadline included), MissingToolError.
    """
    pair = Pair(source, output, metric_for(Metric.VMAF))
    measuring = pair.measuring()
    ends_at = None if deadline_s is None else anyio.current_time() + deadline_s
    means = Means(ffmpeg, scratch_dir, threads, nice, ends_at)
    stretches = windows(pair.frames)
    scores: list[float] = []
    for start, end in stretches:
        scores += await pair.scores(means, measuring, start, end)
    return Quality(
        mean=round(float(np.mean(scores)), 4),
        p1=round(float(np.percentile(scores, 1)), 4),
        frames=len(scores),
        windows=len(stretches),
        model=measuring.model,
        note=vmaf_note(source.color),
    )


def windows(frames: int) -> tuple[tuple[int, int], ...]:
    """The ranges [start, end) that are measured: the middles of equal parts, or all of it."""
    if frames <= WHOLE_FRAMES:
        return ((0, frames),)
    middles = [round((i + 0.5) * frames / WINDOWS) for i in range(WINDOWS)]
    return tuple((m - WINDOW_FRAMES // 2, m + WINDOW_FRAMES // 2) for m in middles)
