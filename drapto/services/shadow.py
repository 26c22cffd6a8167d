"""Shadow runs: the other side does the same work once more, and the two are compared.

Promised: the user's result is the primary's and already in its place; a candidate waits until
the jobs at hand are done, and runs alone, behind fences, for a limited time; what it does wrong
becomes the outcome of a comparison and nothing else; the queue is bounded, and what does not fit
in it is dropped and counted. Nothing in here raises an Exception.

    await runner.submit(task)       # a job's output is in its place
    ended = await runner.run_all()  # when there is nothing better to do
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import date
from pathlib import Path
from secrets import token_hex
from typing import Protocol

import anyio

from drapto.core.comparison import Comparison, Outcome
from drapto.core.errors import DraptoError
from drapto.core.events import ComparisonDone, WarningRaised
from drapto.core.flag_policy import StageFlag
from drapto.core.interfaces import EventSink
from drapto.core.routing import Route, RoutedStage
from drapto.core.shadow_task import CandidateEnd, ShadowTask
from drapto.core.words import count
from drapto.services.candidate_results import parse_result
from drapto.services.gatekeeper import Moved
from drapto.services.rollback import RollbackManager
from drapto.services.shadow_judging import Judged, comparison_of, failed, judge_candidate
from drapto.services.stages import JobServed, JobToServe


class Candidates(Protocol):
    """Processes for candidates. `infrastructure/candidates.py: ProcessCandidates` is one."""

    def place(self, task: ShadowTask) -> AbstractAsyncContextManager[Path]:
        """A directory that is gone afterwards. Errors: ResourceError if the disk is too full."""
        ...

    async def changed(self, task: ShadowTask) -> str:
        """Why the source or the output is not what it was; empty if it is."""
        ...

    async def run(
        self, verb: str, task: ShadowTask, place: Path, *, deadline_s: float
    ) -> CandidateEnd: ...


class Gate(Protocol):
    """Is asked to judge stages that have new comparisons. `Gatekeeper` is one."""

    async def review(self, stages: Iterable[RoutedStage]) -> tuple[Moved, ...]: ...


class NoGate:
    """Moves no stage, whatever its comparisons say."""

    async def review(self, stages: Iterable[RoutedStage]) -> tuple[Moved, ...]:
        return ()


class ShadowRunner:
    """All of it on one event loop."""

    def __init__(
        self,
        candidates: Candidates,
        rollback: RollbackManager,
        sink: EventSink,
        gate: Gate | None = None,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._candidates = candidates
        self._rollback = rollback
        self._sink = sink
        self._gate = gate or NoGate()
        self._today = today
        self._waiting: deque[ShadowTask] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def submit(self, task: ShadowTask) -> None:
        """Queue a task, or drop and count it if too many wait already."""
        if len(self._waiting) >= task.policy.queue:
            full = f"Dropped: no more than {count(task.policy.queue, 'shadow run')} may wait."
            await self._end(task, Judged(Outcome.SKIPPED, full))
        else:
            self._waiting.append(task)

    def take_waiting(self) -> tuple[ShadowTask, ...]:
        """Hand the queue over to somebody else."""
        taken, self._waiting = tuple(self._waiting), deque()
        return taken

    async def run_all(self) -> tuple[Comparison, ...]:
        """Run what waits, one after the other. Cancelled, it drops and counts the rest."""
        ended = []
        try:
            while self._waiting:
                ended.append(await self._run(self._waiting[0]))
                self._waiting.popleft()
        finally:
            with anyio.CancelScope(shield=True):
                for task in self.take_waiting():
                    await self._end(task, Judged(Outcome.SKIPPED, "Dropped: it was interrupted."))
        jobs = {comparison.stage: comparison.job for comparison in ended}
        for moved in await self._gate.review(jobs):
            self._sink.emit(WarningRaised(job=jobs[moved.stage], message=moved.line))
        return tuple(ended)

    async def _run(self, task: ShadowTask) -> Comparison:
        try:
            if why := await self._candidates.changed(task):
                judged = Judged(Outcome.SKIPPED, why)
            else:
                judged = await self._judged(task)
                # What became of other files says nothing about the candidate.
                if why := await self._candidates.changed(task):
                    judged = Judged(Outcome.SKIPPED, why, candidate_s=judged.candidate_s)
        except DraptoError as error:  # no place for it on this machine
            judged = Judged(Outcome.SKIPPED, str(error))
        except Exception as error:  # a fault of ours, and none of the candidate's
            judged = Judged(Outcome.INCOMPARABLE, f"The comparison itself failed: {error!r}.")
        return await self._end(task, judged)

    async def _judged(self, task: ShadowTask) -> Judged:
        async with self._candidates.place(task) as place:
            end = await self._candidates.run("run", task, place, deadline_s=task.deadline_s)
            if end.timed_out:
                limit = f"{task.deadline_s:.0f} s, {task.policy.deadline_factor:g} times"
                return failed(
                    task,
                    Outcome.TIMEOUT,
                    f"It was still running after its deadline of {limit} the primary's time.",
                    end.wall_s,
                )
            if end.payload is None:
                return failed(task, Outcome.CANDIDATE_ERROR, f"It failed: {end.fault}.", end.wall_s)
            result, fault = parse_result(task, end.payload, place)
            if result is None:
                return failed(task, Outcome.CANDIDATE_ERROR, fault, end.wall_s)
            measured: CandidateEnd | None = None
            if result.output is not None:
                measured = await self._candidates.run(
                    "measure", task, place, deadline_s=task.measure_deadline_s
                )
            return judge_candidate(task, result, measured, self._today())

    async def _end(self, task: ShadowTask, judged: Judged) -> Comparison:
        comparison = comparison_of(
            task, judged, primary_s=task.primary_s, candidate_s=judged.candidate_s
        )
        rolled_back = await self._rollback.compared(comparison, task.rollback)
        self._sink.emit(ComparisonDone(job=task.job, comparison=comparison))
        if rolled_back is not None:
            self._sink.emit(rolled_back.event(task.job))
            self._sink.emit(WarningRaised(job=task.job, message=rolled_back.line))
        return comparison


def shadow_task(
    job: JobToServe,
    served: JobServed,
    route: Route,
    flag: StageFlag,
    strata: tuple[str, ...],
    primary_s: float,
) -> ShadowTask:
    """The task of a route that has a candidate. Errors: OSError if source or output is gone."""
    assert route.candidate is not None
    request = job.request
    source, output = request.source.stat(), request.output.stat()
    detects = route.stage is RoutedStage.DETECTION  # which counts frames as they are decoded
    return ShadowTask(
        id=token_hex(6),
        job=job.job,
        stage=route.stage,
        primary=route.primary,
        candidate=route.candidate,
        mode=route.mode,
        revision=route.revision,
        source=request.source,
        source_size_bytes=source.st_size,
        source_mtime_ns=source.st_mtime_ns,
        output=request.output,
        output_size_bytes=output.st_size,
        options=request.options,
        settings=served.settings,
        analysis=served.analysis,
        deinterlacing=served.video.deinterlacing,
        # The files of legacy segments go with the job.
        segments=tuple(s.model_copy(update={"path": None}) for s in served.segments),
        color=job.track.color,
        frames=len(served.video.coded if detects else served.video.index),
        primary_s=primary_s,
        strata=strata,
        policy=flag.shadow,
        compare=flag.compare,
        ignore=flag.ignore,
        rollback=flag.rollback,
    )
