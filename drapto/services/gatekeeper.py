"""Moves a stage on, or back, where its gate says so and is no dry run.

Promised: only what `drapto shadow report` would say is done, never more: a stage moves at a look,
one step at a time, and the next step needs a look that was reached after the last; a person's file
is never rewritten: the move is an override with a line in the audit log, which `drapto flags
reset` takes back; nothing that fails here reaches a job.

    for move in await gatekeeper.review({RoutedStage.DETECTION}): print(move.line)

Tests: tests/services/test_gatekeeper.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from drapto.core.errors import DraptoError
from drapto.core.flags import standing_mode
from drapto.core.judging import Decision, Verdict, judge
from drapto.core.media import Value
from drapto.core.routing import Mode, RoutedStage
from drapto.core.shadow_figures import FiguresSource
from drapto.core.shadow_report import tally_of
from drapto.services.shadow_report import FlagsNow

_FAILURES = (DraptoError, OSError)


class Mover(Protocol):
    """Sets the mode of a stage beside the flags file, with a line in the audit log."""

    async def move(
        self,
        stage: RoutedStage,
        revision: str,
        mode: Mode,
        why: str,
        evidence: Mapping[str, str | int | float],
    ) -> None:
        """Errors: StateError, OSError."""
        ...


class Moved(Value):
    """What was done with one stage."""

    stage: RoutedStage
    before: Mode
    after: Mode
    why: str

    @property
    def line(self) -> str:
        """One line for the user."""
        return f"{self.stage} moves from {self.before} to {self.after}. {self.why}"


class Gatekeeper:
    """`flags` gives the flags as they are at the moment of the call."""

    def __init__(
        self,
        figures: FiguresSource,
        flags: Callable[[], Awaitable[FlagsNow]],
        mover: Mover,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._figures = figures
        self._flags = flags
        self._mover = mover
        self._now = now

    async def review(self, stages: Iterable[RoutedStage]) -> tuple[Moved, ...]:
        """Judge these stages, and move those whose time has come. Raises nothing of its own."""
        moves = []
        for stage in stages:
            try:
                moved = await self._review(stage)
            except _FAILURES:  # the report says the same next time, to a person
                continue
            if moved is not None:
                moves.append(moved)
        return tuple(moves)

    async def _review(self, stage: RoutedStage) -> Moved | None:
        now = await self._flags()
        flag = now.flags.of(stage)
        if flag.gate.dry_run or now.flags.kill_switch:
            return None
        override = now.overrides.of(stage, flag.candidate_revision)
        standing = standing_mode(stage, flag, override)
        since = now.file_changed if override is None else override.at
        seen = await self._figures.figures(stage, flag.candidate_revision)
        verdict = judge(
            tally_of(seen, flag.gate), flag.gate, mode=standing.mode, in_mode=self._now() - since
        )
        before = sum(1 for at_s in seen.times_s if at_s < since.timestamp())
        if verdict.moves_to is None or not _is_new(verdict, before):
            return None
        await self._mover.move(
            stage, flag.candidate_revision, verdict.moves_to, verdict.reason, _evidence(verdict)
        )
        return Moved(stage=stage, before=standing.mode, after=verdict.moves_to, why=verdict.reason)


def _is_new(verdict: Verdict, counted_before: int) -> bool:
    """A step forward needs a look reached in the present mode; a step back needs nothing."""
    if verdict.decision is not Decision.PROMOTE:
        return True
    return verdict.look is not None and verdict.look.counted > counted_before


def _evidence(verdict: Verdict) -> dict[str, str | int | float]:
    look = verdict.look or verdict.total
    return {
        "agreed": look.agreed,
        "counted": look.counted,
        "lower_bound": round(verdict.lower, 4),
        "upper_bound": round(verdict.upper, 4),
        "gate": verdict.gate,
    }
