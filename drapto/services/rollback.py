"""Sends a stage back to legacy when the new side does harm, without waiting for a person.

Promised: of the jobs and comparisons of one candidate revision, those of every process that
shares the history count; a rollback is latched before the call returns; nothing that fails here
(the history, the latch) reaches the job that was served.

    manager = RollbackManager(PerformanceMonitor(store), latch)
    rolled_back = await manager.served(served, flag.rollback)
    rolled_back = await manager.compared(comparison, flag.rollback)
    if rolled_back: print(rolled_back.line)

The rules themselves are in `core/watching.py`. Tests: tests/services/test_rollback.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from drapto.core.comparison import Comparison, Served
from drapto.core.errors import DraptoError
from drapto.core.events import StageRolledBack
from drapto.core.flag_policy import RollbackPolicy
from drapto.core.media import Value
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadowing import ComparisonStore, RollbackLatch
from drapto.core.watching import (
    RECENT_JOBS,
    WATCHED_MODES,
    Alarm,
    FailureWatch,
    critical_alarm,
    slowdown_alarm,
)

# A critical comparison is acted on when it is recorded. The newest are read again for the case
# that the process that found it ended before it could act.
_RECENT_COMPARISONS = 50

_FAILURES = (DraptoError, OSError)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Performance:
    """What is known of one stage under one candidate revision; everything oldest first.

    `legacy` are jobs of any revision: it is the same scripts whatever they are compared with.
    """

    new: tuple[Served, ...] = ()
    legacy: tuple[Served, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    def after(self, news: Served | Comparison) -> Performance:
        if isinstance(news, Comparison):
            return replace(self, comparisons=_newest(self.comparisons, news))
        if news.side is Side.NEW:
            return replace(self, new=_newest(self.new, news))
        return replace(self, legacy=_newest(self.legacy, news))

    def since(self, lifted: datetime | None) -> Performance:
        """Without what happened before a person lifted the last rollback."""
        if lifted is None:
            return self
        return replace(
            self,
            new=tuple(s for s in self.new if s.at >= lifted),
            comparisons=tuple(c for c in self.comparisons if c.at >= lifted),
        )

    def alarm(self, policy: RollbackPolicy) -> Alarm | None:
        """The gravest reason to roll back, None for none."""
        watched = [s for s in self.new if s.mode in WATCHED_MODES]
        return (
            critical_alarm(self.comparisons)
            or FailureWatch.over(watched).alarm(policy)
            or slowdown_alarm((*watched, *self.legacy), policy)
        )


def _newest(earlier: tuple[_T, ...], one_more: _T) -> tuple[_T, ...]:
    return (*earlier, one_more)[-RECENT_JOBS:]


class PerformanceMonitor:
    """Knows how each stage and revision has done: by the history, which other processes write
    too, and by memory where the history cannot be written or read."""

    def __init__(self, store: ComparisonStore) -> None:
        self._store = store
        self._known: dict[tuple[RoutedStage, str], Performance] = {}

    async def after(self, news: Served | Comparison) -> Performance:
        """Record what happened, and give all that is known since. Raises nothing of its own."""
        key = (news.stage, news.revision)
        try:
            await self._record(news)
            known = await self._rebuilt(*key)
        except _FAILURES:
            known = self._known.get(key, Performance()).after(news)
        self._known[key] = known
        return known

    async def _record(self, news: Served | Comparison) -> None:
        if isinstance(news, Comparison):
            await self._store.record(news)
        else:
            await self._store.record_served(news)

    async def _rebuilt(self, stage: RoutedStage, revision: str) -> Performance:
        """Read anew every time: a twentieth of a second, against a job of minutes."""
        store = self._store
        return Performance(
            new=await store.served(stage, revision, limit=RECENT_JOBS, side=Side.NEW),
            legacy=await store.served(stage, limit=RECENT_JOBS, side=Side.LEGACY),
            comparisons=await store.comparisons(stage, revision, limit=_RECENT_COMPARISONS),
        )


class RolledBack(Value):
    """What was done, for the log and the user. `problem`: why it could not be latched, or ''."""

    stage: RoutedStage
    revision: str
    alarm: Alarm
    problem: str = ""

    @property
    def line(self) -> str:
        """One line for the user."""
        if self.problem:
            return (
                f"{self.stage} should go back to legacy, but that could not be saved "
                f"({self.problem}). Set `kill_switch = true` in the flags file. {self.alarm.why}"
            )
        return (
            f"{self.stage} goes back to legacy until `drapto flags reset {self.stage}` or a new "
            f"candidate_revision. {self.alarm.why}"
        )

    def event(self, job: str) -> StageRolledBack:
        """The same for programs. `job` is the one after which it was decided."""
        return StageRolledBack(
            job=job,
            stage=self.stage,
            revision=self.revision,
            why=self.alarm.why,
            problem=self.problem,
        )


class RollbackManager:
    """Is told everything that happens to a routed stage, and rolls it back for cause."""

    def __init__(self, monitor: PerformanceMonitor, latch: RollbackLatch) -> None:
        self._monitor = monitor
        self._latch = latch

    async def served(self, served: Served, policy: RollbackPolicy) -> RolledBack | None:
        """Record how a job's stage was served. `policy` is that of the flag it was routed by."""
        return await self._judge(served, policy)

    async def compared(self, comparison: Comparison, policy: RollbackPolicy) -> RolledBack | None:
        """Record a comparison."""
        return await self._judge(comparison, policy)

    async def _judge(self, news: Served | Comparison, policy: RollbackPolicy) -> RolledBack | None:
        known = await self._monitor.after(news)
        if news.mode not in WATCHED_MODES:
            return None
        stage, revision = news.stage, news.revision
        try:
            alarm = known.since(await self._latch.lifted(stage, revision)).alarm(policy)
        except _FAILURES:  # nothing says that a person has lifted anything
            alarm = known.alarm(policy)
        if alarm is None:
            return None
        try:
            evidence = {**alarm.evidence, "revision": revision}
            await self._latch.roll_back(stage, alarm.why, evidence)
        except _FAILURES as failure:
            return RolledBack(stage=stage, revision=revision, alarm=alarm, problem=str(failure))
        return RolledBack(stage=stage, revision=revision, alarm=alarm)
