"""Who serves each stage of a job: the only module that knows that flags exist.

Promised: the side that the route names serves; if the new side fails, legacy serves the job, the
failure is counted and the user is told in one line, and new is not asked again in this job; but not
where only new can go on with what it has begun. A failure of both is reported as the new side's,
and counts for nothing. The route is decided once per job and held by every later run of it. What
the other side would have made of it is asked after the output is in its place, and changes nothing.

    router = StageRouter(flags, new=stages, legacy=legacy_stages, rollback=manager, shadows=runner)
    served = router.for_job(job)
    await served.settle(None)
    await served.stages.detection.analyze(...)

Each stage that a router hands out joins the contract suites of its kind. Tests of what can go
wrong: tests/services/test_router.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from drapto.core.comparison import Served
from drapto.core.errors import (
    DraptoError,
    EncoderFailedError,
    NoSavingError,
    PublishError,
    ResourceError,
    StateError,
    UsageError,
)
from drapto.core.events import StageServed
from drapto.core.flags import Evaluation
from drapto.core.routing import Mode, Route, RoutedStage, Side, SourceFacts
from drapto.services.rollback import RollbackManager
from drapto.services.routed_stages import (
    RoutedDetection,
    RoutedEncoding,
    RoutedSegmentation,
    Work,
    unbound,
)
from drapto.services.stages import JobServed, JobToServe, Stages

if TYPE_CHECKING:
    from drapto.core.shadow_task import ShadowTask

_T = TypeVar("_T")

# What the other side could not do better: no disk is left, the journal that a finished segment is
# noted in cannot be written, the user asked for the impossible, no saving is to be had, or a
# graphics card failed, for which the job itself has another encoder.
_NOT_THE_STAGES_FAULT = (
    ResourceError,
    PublishError,
    StateError,
    UsageError,
    NoSavingError,
    EncoderFailedError,
)


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


@dataclass(frozen=True)
class _Done:
    """What one side did for a stage, in this run of the job."""

    frames: int
    wall_s: float


class RoutedJob:
    """The stages of one job."""

    def __init__(self, router: StageRouter, job: JobToServe) -> None:
        self._router = router
        self._job = job
        self._evaluations: dict[RoutedStage, Evaluation] = {}
        self._done_by_primary: dict[RoutedStage, _Done] = {}
        self._fallen_back: set[RoutedStage] = set()
        self.stages = Stages(
            detection=RoutedDetection(self),
            segmentation=RoutedSegmentation(self),
            encoding=RoutedEncoding(self),
        )

    async def settle(self, earlier: tuple[Route, ...] | None) -> tuple[Route, ...]:
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
        for stage, done in self._done_by_primary.items():
            evaluation = self._evaluations[stage]
            if evaluation.route.candidate is not None and _did_all(stage, done, served):
                await self._submit(evaluation, served, done.wall_s)

    async def _submit(self, evaluation: Evaluation, served: JobServed, primary_s: float) -> None:
        from drapto.services.shadow import shadow_task  # only where something is compared

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
        return self._side(self.route(stage).primary)

    def _side(self, side: Side) -> Stages:
        return self._router.new if side is Side.NEW else self._legacy

    @cached_property
    def _legacy(self) -> Stages:
        """Made when it is first needed: most users have no scripts, and need not load them."""
        return self._router.legacy(self._job)

    async def serve(
        self,
        stage: RoutedStage,
        work: Work[_T],
        again: Work[_T] | None = None,
        *,
        is_bound: Callable[[], bool] = unbound,
    ) -> _T:
        """Let the primary do the work, and legacy where a new primary could not.

        `again` is the work as it is given to the side that takes over; None: no different.
        `is_bound` is asked after a failure: whether nobody else can go on with what was begun.
        """
        route, again = self.route(stage), again or work
        if stage in self._fallen_back:
            result, _ = await again(self._legacy)
            return result
        started_s = time.monotonic()
        try:
            result, frames = await work(self._side(route.primary))
        except _NOT_THE_STAGES_FAULT:
            raise
        except Exception as failure:
            if route.primary is Side.LEGACY or not route.may_fall_back or is_bound():
                raise
            return await self._fall_back(stage, again, failure)
        done = _Done(frames, time.monotonic() - started_s)
        if frames:  # else an earlier run of the job has done it all
            self._done_by_primary[stage] = done
            await self._note(stage, done)
        return result

    async def _fall_back(self, stage: RoutedStage, work: Work[_T], failure: Exception) -> _T:
        started_s = time.monotonic()
        try:
            result, frames = await work(self._legacy)
        except Exception:  # then it is the source, or the machine: what new said is better said
            raise failure from failure.__cause__
        self._fallen_back.add(stage)
        said = failure.message if isinstance(failure, DraptoError) else repr(failure)
        self._job.reporter.warn(
            f"The new {stage} failed, so the legacy scripts served this job: {said}"
        )
        done = _Done(frames, time.monotonic() - started_s)
        await self._note(stage, done, failure=said)
        return result

    async def _note(self, stage: RoutedStage, done: _Done, *, failure: str = "") -> None:
        if self._job.is_rehearsal:
            return
        route, flag = self.route(stage), self._evaluations[stage].flag
        served = Served(
            at=datetime.now(UTC),
            job=self._job.job,
            stage=stage,
            side=route.primary,
            failed=bool(failure),
            wall_s=done.wall_s,
            frames=done.frames,
            revision=route.revision,
            mode=route.mode.value,
            strata=facts_of(self._job).strata,
            reason=failure,
        )
        rolled_back = await self._router.rollback.served(served, flag.rollback)
        self._job.reporter.emit(StageServed(job=self._job.job, served=served))
        if rolled_back is not None:
            self._job.reporter.emit(rolled_back.event(self._job.job))
            self._job.reporter.warn(rolled_back.line)


def _did_all(stage: RoutedStage, done: _Done, served: JobServed) -> bool:
    """Whether this run did the whole stage. The time for the rest of an encode that went on where
    an earlier run stopped is no measure for a candidate, which has to do all of it."""
    if stage is not RoutedStage.ENCODING:
        return True
    return done.frames == sum(segment.frames for segment in served.segments)


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
