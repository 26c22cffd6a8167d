"""Both sides of a stage on one file, without an encode: `drapto shadow compare`.

Promised: the source is only read, nothing is published, and nothing of either side outlives the
call; both sides run behind the fences of a shadow run, one after the other, in an order drawn by
chance, from the same input; a side that fails is the outcome of a comparison.

    both = OfflineRun(parts, random.Random())
    found = await both.run(source, options, stages=(RoutedStage.DETECTION,), repeat=3)

What a stage is fed is what the stage before it made, by the side that the flags name for this
source. Encoding without --crf takes the quality of the side that the flags name.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from drapto.core.comparison import Outcome
from drapto.core.errors import DraptoError, MissingToolError
from drapto.core.interfaces import EncodingService
from drapto.core.job import EncodeOptions
from drapto.core.offline import OfflineComparison, SideRun, Trial
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadow_task import CandidateEnd, CandidateResult, ShadowTask
from drapto.core.workshop import Workshop
from drapto.services.candidate_results import parse_result
from drapto.services.offline_source import KnownSource, as_shadow_run, open_source, task_for
from drapto.services.router import Flags
from drapto.services.shadow import Candidates
from drapto.services.shadow_judging import Judged, comparison_of, judge_candidate

# A person waits and can stop it; the legacy scripts have a deadline of their own besides.
_DEADLINE_S = math.inf

_SIDES = (Side.LEGACY, Side.NEW)


@dataclass(frozen=True)
class Parts:
    """`encoding` says which quality each side has by default; `tell` says what is under way."""

    workshop: Workshop
    candidates: Candidates
    flags: Flags
    encoding: Mapping[Side, EncodingService]
    tell: Callable[[str], None] = lambda _line: None


@dataclass(frozen=True)
class _Ended:
    """One side's run. `place` is where its files are, while they are needed."""

    run: SideRun
    result: CandidateResult | None
    place: Path


class OfflineRun:
    """One call of `run` at a time."""

    def __init__(self, parts: Parts, rng: random.Random) -> None:
        self._parts = parts
        self._rng = rng

    async def run(
        self,
        source: Path,
        options: EncodeOptions,
        *,
        stages: Sequence[RoutedStage] = tuple(RoutedStage),
        repeat: int = 1,
    ) -> OfflineComparison:
        """`source` is absolute. Errors: InputError if it cannot be used, UsageError if the
        options do not fit it, MissingToolError if a side lacks a program, ResourceError for a
        full disk, DraptoError if a stage has no result for the next one to work on."""
        trials: list[Trial] = []
        workshop = self._parts.workshop
        async with workshop.store.scratch() as scratch:
            known = await open_source(
                source, options, scratch,
                reader=workshop.reader, flags=self._parts.flags,
            )  # fmt: skip
            last = max(tuple(RoutedStage).index(stage) for stage in stages)
            for stage in tuple(RoutedStage)[: last + 1]:
                if stage is RoutedStage.ENCODING:
                    encoding = self._parts.encoding[known.serves(stage)]
                    known = known.planned(workshop.machine, encoding)
                compared = repeat if stage in stages else 0
                served: CandidateResult | None = None
                for number in range(compared):
                    which = f", run {number + 1} of {repeat}" if repeat > 1 else ""
                    trial, results = await self._trial(stage, known, which)
                    trials.append(trial)
                    serves = known.serves(stage)
                    served = served or results[serves] or results[serves.other]
                if stage is tuple(RoutedStage)[last]:
                    break
                if not compared:
                    served = await self._alone(stage, known)
                if served is None:
                    raise _nothing_to_go_on(stage, source, trials[-1].comparison.reason)
                known = await known.after(served, workshop.reader)
        return OfflineComparison(source=source, trials=tuple(trials))

    async def _alone(self, stage: RoutedStage, known: KnownSource) -> CandidateResult:
        """The stage by the side that serves it, because a later one needs its result."""
        task = task_for(stage, known, known.serves(stage))
        async with self._parts.candidates.place(task) as place:
            ended = await self._side(task, place, "")
        if ended.result is None:
            raise _nothing_to_go_on(stage, task.source, ended.run.fault)
        return ended.result

    async def _trial(
        self, stage: RoutedStage, known: KnownSource, which: str
    ) -> tuple[Trial, dict[Side, CandidateResult | None]]:
        order = list(_SIDES)
        self._rng.shuffle(order)
        ended: dict[Side, _Ended] = {}
        async with AsyncExitStack() as stack:
            for side in order:
                task = task_for(stage, known, side)
                place = await stack.enter_async_context(self._parts.candidates.place(task))
                ended[side] = await self._side(task, place, which)
            legacy = ended[Side.LEGACY]
            task = task_for(stage, known, Side.NEW)
            task = as_shadow_run(task, legacy.result, legacy.run.wall_s)
            judged = await self._judged(task, ended, which)
        comparison = comparison_of(
            task,
            judged,
            primary_s=legacy.run.wall_s,
            candidate_s=ended[Side.NEW].run.wall_s,
        )
        trial = Trial(comparison=comparison, runs=tuple(ended[side].run for side in order))
        return trial, {side: ended[side].result for side in order}

    async def _side(self, task: ShadowTask, place: Path, which: str) -> _Ended:
        self._parts.tell(f"{task.stage}: running {task.candidate}{which}")
        end = await self._parts.candidates.run("run", task, place, deadline_s=_DEADLINE_S)
        if end.status == MissingToolError.exit_code:
            raise MissingToolError(f"The {task.candidate} {task.stage} cannot run: {end.fault}")
        if end.payload is None:
            return _Ended(_failed(task, f"It failed: {end.fault}.", end.wall_s), None, place)
        result, fault = parse_result(task, end.payload, place)
        if result is None:
            return _Ended(_failed(task, fault, end.wall_s), None, place)
        return _Ended(SideRun(side=task.candidate, wall_s=result.wall_s), result, place)

    async def _judged(self, task: ShadowTask, ended: Mapping[Side, _Ended], which: str) -> Judged:
        legacy, new = ended[Side.LEGACY], ended[Side.NEW]
        if legacy.result is None and new.result is None:
            why = f"Neither side has a result. Legacy: {legacy.run.fault} New: {new.run.fault}"
            return Judged(Outcome.INCOMPARABLE, why)
        if legacy.result is None:
            return Judged(Outcome.LEGACY_ERROR, legacy.run.fault)
        if new.result is None:
            return Judged(Outcome.CANDIDATE_ERROR, new.run.fault)
        measured: CandidateEnd | None = None
        if task.stage is RoutedStage.ENCODING:
            self._parts.tell(f"{task.stage}: measuring both files{which}")
            measured = await self._parts.candidates.run(
                "measure", task, new.place, deadline_s=_DEADLINE_S
            )
        return judge_candidate(task, new.result, measured, date.today())


def _failed(task: ShadowTask, fault: str, wall_s: float) -> SideRun:
    return SideRun(side=task.candidate, wall_s=wall_s, fault=fault)


def _nothing_to_go_on(stage: RoutedStage, source: Path, why: str) -> DraptoError:
    return DraptoError(
        f"The {stage} of {source} has no result for the stages after it to work on. {why}",
        hint=f"Compare that stage alone: drapto shadow compare --stage {stage}",
    )
