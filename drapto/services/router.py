"""Who serves each stage of a job: the only module that knows that flags exist.

Promised: the side that the route names serves; if the new side fails, legacy serves the job,
the failure is counted and the user is told in one line; a failure of both is reported as the new
side's. The route is decided once per job and held by every later run of it. What the other side
would have made of it is asked after the output is in its place, and changes nothing.

    router = StageRouter(flags, new=stages, legacy=legacy_stages, rollback=manager, shadows=runner)
    served = router.for_job(job)
    await served.settle(None)
    await served.stages.detection.analyze(...)

Each stage that a router hands out joins the contract suites of its kind.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from drapto.core.analysis import VideoAnalysis
from drapto.core.comparison import Served
from drapto.core.errors import DraptoError, ResourceError, UsageError
from drapto.core.events import StageServed
from drapto.core.flags import Evaluation
from drapto.core.interfaces import (
    Encoder,
    FindingCallback,
    ProgressCallback,
    ScenePlanner,
    SourceVideo,
    TaskSource,
    unheard,
)
from drapto.core.job import EncodeOptions
from drapto.core.routing import Mode, Route, RoutedStage, Side, SourceFacts
from drapto.core.segments import EncodedSegment, Segment
from drapto.core.shadow_task import ShadowTask
from drapto.services.encoding.unfinished import UnfinishedTasks
from drapto.services.rollback import RollbackManager
from drapto.services.shadow import shadow_task
from drapto.services.stages import JobServed, JobToServe, Stages

_T = TypeVar("_T")

# What the other side could not do better: no disk is left, or the user asked for the impossible.
_NOT_THE_STAGES_FAULT = (ResourceError, UsageError)


class Flags(Protocol):
    """Decides routes. `core/flags.py: FeatureFlags` is one."""

    async def evaluate(
        self, stage: RoutedStage, job_key: str, facts: SourceFacts, *, asked: Mode | None = None
    ) -> Evaluation: ...


class Shadows(Protocol):
    async def submit(self, task: ShadowTask) -> None: ...


class StageRouter:
    """`legacy` makes the legacy side of one job: its scripts need a directory of their own."""

    def __init__(
        self,
        flags: Flags,
        *,
        new: Stages,
        legacy: Callable[[JobToServe], Stages],
        rollback: RollbackManager,
        shadows: Shadows,
    ) -> None:
        self.flags = flags
        self.new = new
        self.legacy = legacy
        self.rollback = rollback
        self.shadows = shadows

    def for_job(self, job: JobToServe) -> RoutedJob:
        return RoutedJob(self, job)


class RoutedJob:
    """The stages of one job."""

    def __init__(self, router: StageRouter, job: JobToServe) -> None:
        self._router = router
        self._job = job
        self._sides = {Side.NEW: router.new, Side.LEGACY: router.legacy(job)}
        self._evaluations: dict[RoutedStage, Evaluation] = {}
        self._primary_s: dict[RoutedStage, float] = {}  # of stages whose primary served
        self.stages = Stages(
            detection=_RoutedDetection(self),
            segmentation=_RoutedSegmentation(self),
            encoding=_RoutedEncoding(self),
        )

    async def settle(self, earlier: tuple[Route, ...] | None) -> tuple[Route, ...]:
        """Errors: UsageError for flags that cannot be read."""
        facts = facts_of(self._job)
        asked = self._job.request.run.routes
        known = {route.stage: route for route in earlier or ()}
        for stage in RoutedStage:
            evaluation = await self._router.flags.evaluate(
                stage, self._job.job, facts, asked=asked.get(stage)
            )
            for warning in evaluation.warnings:
                self._job.reporter.warn(warning)
            if stage in known:
                evaluation = self._as_before(evaluation, known[stage])
            self._evaluations[stage] = evaluation
        return tuple(evaluation.route for evaluation in self._evaluations.values())

    def _as_before(self, now: Evaluation, before: Route) -> Evaluation:
        """A job never switches sides half-way; a person who wanted that is told."""
        if before.primary is not now.route.primary:
            self._job.reporter.warn(
                f"This job goes on with the {before.primary} {before.stage}, as it began, though "
                f"the flags now say {now.route.primary}; --no-resume starts it afresh."
            )
        return now.model_copy(update={"route": before})

    async def published(self, served: JobServed) -> None:
        for stage, evaluation in self._evaluations.items():
            if evaluation.route.candidate is not None and stage in self._primary_s:
                await self._submit(evaluation, served, self._primary_s[stage])

    async def _submit(self, evaluation: Evaluation, served: JobServed, primary_s: float) -> None:
        strata = facts_of(self._job).strata
        route, flag = evaluation.route, evaluation.flag
        try:
            task = shadow_task(self._job, served, route, flag, strata, primary_s)
        except OSError as gone:
            self._job.reporter.warn(f"The {route.stage} is not compared: {gone}")
        else:
            await self._router.shadows.submit(task)

    def route(self, stage: RoutedStage) -> Route:
        return self._evaluations[stage].route

    def primary(self, stage: RoutedStage) -> Stages:
        return self._sides[self.route(stage).primary]

    async def serve(
        self,
        stage: RoutedStage,
        frames: Callable[[], int],
        work: Callable[[Stages], Awaitable[_T]],
    ) -> _T:
        """Let the primary do the work, and legacy where a new primary could not."""
        route = self.route(stage)
        started_s = time.monotonic()
        try:
            result = await work(self._sides[route.primary])
        except _NOT_THE_STAGES_FAULT:
            raise
        except Exception as failure:
            if route.primary is Side.LEGACY or not route.may_fall_back:
                raise
            return await self._fall_back(stage, frames, work, failure)
        wall_s = time.monotonic() - started_s
        self._primary_s[stage] = self._primary_s.get(stage, 0.0) + wall_s
        await self._note(stage, frames(), wall_s, reason="")
        return result

    async def _fall_back(
        self,
        stage: RoutedStage,
        frames: Callable[[], int],
        work: Callable[[Stages], Awaitable[_T]],
        failure: Exception,
    ) -> _T:
        started_s = time.monotonic()
        try:
            result = await work(self._sides[Side.LEGACY])
        except Exception:  # then it is the source, or the machine: what new said is better said
            raise failure from None
        self._primary_s.pop(stage, None)
        said = failure.message if isinstance(failure, DraptoError) else repr(failure)
        self._job.reporter.warn(
            f"The new {stage} failed, so the legacy scripts served this job: {said}"
        )
        await self._note(stage, frames(), time.monotonic() - started_s, reason=said)
        return result

    async def _note(self, stage: RoutedStage, frames: int, wall_s: float, *, reason: str) -> None:
        route, flag = self.route(stage), self._evaluations[stage].flag
        served = Served(
            at=datetime.now(UTC),
            job=self._job.job,
            stage=stage,
            side=route.primary,
            failed=bool(reason),
            wall_s=wall_s,
            frames=frames,
            revision=route.revision,
            mode=route.mode.value,
            strata=facts_of(self._job).strata,
            reason=reason,
        )
        rolled_back = await self._router.rollback.served(served, flag.rollback)
        self._job.reporter.emit(StageServed(job=self._job.job, served=served))
        if rolled_back is not None:
            self._job.reporter.emit(rolled_back.event(self._job.job))
            self._job.reporter.warn(rolled_back.line)


def facts_of(job: JobToServe) -> SourceFacts:
    """What rules can ask about the source of a job."""
    track = job.track
    return SourceFacts(
        path=job.request.source,
        container=job.media.format_name,
        codec=track.codec,
        width=track.width or 0,
        height=track.height or 0,
        dynamic_range=track.color.dynamic_range.value,
        interlaced=track.interlaced,
        duration_s=job.media.duration_s or track.duration_s or 0.0,
        priority=job.request.run.priority,
    )


class _RoutedDetection:
    def __init__(self, job: RoutedJob) -> None:
        self._job = job

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        return await self._job.serve(
            RoutedStage.DETECTION,
            lambda: len(video.index),
            lambda side: side.detection.analyze(video, options, on_progress, on_finding),
        )


class _RoutedSegmentation:
    def __init__(self, job: RoutedJob) -> None:
        self._job = job

    def planner(self, video: SourceVideo, options: EncodeOptions) -> ScenePlanner | None:
        primary = self._job.primary(RoutedStage.SEGMENTATION)
        return primary.segmentation.planner(video, options)

    async def plan(
        self, video: SourceVideo, analysis: VideoAnalysis, options: EncodeOptions
    ) -> tuple[Segment, ...]:
        return await self._job.serve(
            RoutedStage.SEGMENTATION,
            lambda: len(video.index),
            lambda side: side.segmentation.plan(video, analysis, options),
        )


class _RoutedEncoding:
    def __init__(self, job: RoutedJob) -> None:
        self._job = job

    def default_crf(self, encoder: Encoder, width: int) -> float:
        primary = self._job.primary(RoutedStage.ENCODING)
        return primary.encoding.default_crf(encoder, width)

    async def encode(
        self,
        tasks: TaskSource,
        *,
        workers: int,
        on_progress: Callable[[int, int], None],
        on_retry: Callable[[int, int, str], None],
        on_done: Callable[[EncodedSegment], Awaitable[None]],
    ) -> None:
        remembered = UnfinishedTasks(tasks)

        async def accept(done: EncodedSegment) -> None:
            remembered.finished(done)
            await on_done(done)

        async def work(side: Stages) -> None:
            await side.encoding.encode(
                remembered.from_the_first_unfinished(),
                workers=workers,
                on_progress=on_progress,
                on_retry=on_retry,
                on_done=accept,
            )

        await self._job.serve(RoutedStage.ENCODING, lambda: remembered.frames, work)
