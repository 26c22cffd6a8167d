"""What happens inside the process of a candidate: one stage, fed by the stages before it.

For encoding a whole file is made, audio and joining included, because that is what a person
would get; detection and segmentation are then what the primary's job already found out.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from drapto.core.analysis import VideoAnalysis
from drapto.core.events import Event
from drapto.core.interfaces import FindingCallback, ProgressCallback, unheard
from drapto.core.job import EncodeOptions, JobRequest, RunOptions
from drapto.core.routing import RoutedStage
from drapto.core.segments import Segment, VideoSettings
from drapto.core.shadow_task import CandidateResult, ShadowTask
from drapto.core.source import SourceVideo
from drapto.core.workshop import Workshop
from drapto.services.detection.deinterlacing import shown
from drapto.services.detection.truth import settle_on_decoded
from drapto.services.orchestrator import VideoOrchestrator
from drapto.services.stages import FixedStages, Stages

_T = TypeVar("_T")


async def run_candidate(
    task: ShadowTask, workshop: Workshop, stages: Stages, place: Path
) -> CandidateResult:
    """Run the task's stage with `stages`, the candidate's side. Errors: the stage's."""
    if task.stage is RoutedStage.ENCODING:
        return await _encode(task, workshop, stages, place)
    reader = workshop.reader
    media = await reader.probe(task.source)
    track = reader.main_video(media, task.options.video_stream)
    video = await reader.open_video(media, track, place)
    if task.stage is RoutedStage.DETECTION:
        analysis, wall_s = await _timed(
            lambda: stages.detection.analyze(video, task.options, lambda _frames: None)
        )
        return CandidateResult(analysis=analysis, wall_s=wall_s)
    video, known = await settle_on_decoded(reader, video, task.analysis)
    video, known = shown(video, known, task.deinterlacing)
    segments, wall_s = await _timed(lambda: stages.segmentation.plan(video, known, task.options))
    return CandidateResult(segments=segments, wall_s=wall_s)


async def _encode(
    task: ShadowTask, workshop: Workshop, stages: Stages, place: Path
) -> CandidateResult:
    given = replace(stages, detection=_Given(task.analysis), segmentation=_Planned(task.segments))
    output = task.candidate_output(place.parent)
    request = JobRequest(
        source=task.source,
        output=output,
        options=task.options.model_copy(update=_as_encoded(task.settings)),
        run=RunOptions(work_dir=place, overwrite=True, resume=False),
    )
    orchestrator = VideoOrchestrator(workshop, FixedStages(given))
    _, wall_s = await _timed(lambda: orchestrator.encode(request, _Silence()))
    return CandidateResult(output=output, wall_s=wall_s)


def _as_encoded(settings: VideoSettings) -> dict[str, object]:
    """What the primary's job came to, where the options left it open."""
    return {"crf": settings.crf, "encoder": settings.encoder}


@dataclass(frozen=True)
class _Given:
    """A detection that knows the answer."""

    analysis: VideoAnalysis

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        return self.analysis


@dataclass(frozen=True)
class _Planned:
    """A segmentation that knows the answer."""

    segments: tuple[Segment, ...]

    def planner(self, video: SourceVideo, options: EncodeOptions) -> None:
        return None

    async def plan(
        self, video: SourceVideo, analysis: VideoAnalysis, options: EncodeOptions
    ) -> tuple[Segment, ...]:
        return self.segments


class _Silence:
    def emit(self, event: Event) -> None:
        """Nobody watches a candidate at work."""


async def _timed(work: Callable[[], Awaitable[_T]]) -> tuple[_T, float]:
    started_s = time.monotonic()
    return await work(), time.monotonic() - started_s
