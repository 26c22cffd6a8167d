"""What a report says about one stage, added up by the store: plain numbers, nothing judged."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from drapto.core.comparison import Comparison, Outcome
from drapto.core.media import Value
from drapto.core.routing import RoutedStage, Side


class OutcomeCount(Value):
    """How often something came out on one day (UTC).

    `excused` of them, all mismatches, are no further off than legacy is from itself
    (`core/noise.py`) and count as agreement.
    """

    day: date
    outcome: Outcome
    is_aa: bool
    runs: int
    excused: int = 0


class StratumCount(Value):
    """Comparisons of one stratum that count, A/A left out; `agreed` includes excused ones."""

    stratum: str  # 'hdr', 'uhd', … as of SourceFacts.strata
    counted: int
    agreed: int


class FieldFigures(Value):
    """One field family ('tracks[*].title') over all runs whose results could be compared.

    Distances are in the unit of the field's tolerance, the largest of a family in each run; a
    run in which a family was equal or absent has 0. `noise` is how far legacy is from itself,
    None while too few A/A runs are there.
    """

    field: str
    outside: int  # runs with a mismatch or worse
    critical: int
    ignored: int
    above_noise: int  # runs with a mismatch that is more than noise, or worse
    median: float
    p95: float
    max: float
    aa_outside: int
    aa_median: float
    aa_p95: float
    aa_max: float
    noise: float | None


class Ratios(Value):
    """New against legacy, one number for each comparison that has it, oldest first."""

    size: tuple[float, ...] = ()  # bytes
    vmaf_mean: tuple[float, ...] = ()  # difference, new - legacy
    vmaf_p1: tuple[float, ...] = ()  # difference
    time: tuple[float, ...] = ()  # wall time of the stage


class ServedCount(Value):
    side: Side
    served: int
    failed: int


class StageFigures(Value):
    """Everything of one stage; `comparisons` and `aa_runs` are how many were compared.

    `agreements` has an entry for every run that counts, oldest first, A/A left out: whether it
    agreed, excused ones included. `times_s` says when each was made, in seconds since 1970 (UTC).
    """

    stage: RoutedStage
    comparisons: int = 0
    aa_runs: int = 0
    outcomes: tuple[OutcomeCount, ...] = ()  # by day, oldest first
    agreements: tuple[bool, ...] = ()
    times_s: tuple[float, ...] = ()
    strata: tuple[StratumCount, ...] = ()
    fields: tuple[FieldFigures, ...] = ()  # those that ever differed, most often outside first
    ratios: Ratios = Ratios()
    aa_ratios: Ratios = Ratios()
    worst: tuple[Comparison, ...] = ()  # gravest first, then newest
    served: tuple[ServedCount, ...] = ()

    def total(self, *outcomes: Outcome, is_aa: bool = False) -> int:
        """Runs with one of these outcomes; all of them if none is named."""
        return sum(c.runs for c in self._of(outcomes, is_aa))

    def excused(self, *, is_aa: bool = False) -> int:
        return sum(c.excused for c in self._of((), is_aa))

    def _of(self, outcomes: tuple[Outcome, ...], is_aa: bool) -> list[OutcomeCount]:
        wanted = outcomes or tuple(Outcome)
        return [c for c in self.outcomes if c.is_aa is is_aa and c.outcome in wanted]


class FiguresSource(Protocol):
    """Fast however many comparisons there are. Errors: StateError."""

    async def figures(
        self,
        stage: RoutedStage,
        revision: str | None = None,
        since: datetime | None = None,
        *,
        worst: int = 10,
    ) -> StageFigures:
        """`revision` None: of every revision; `since` None: from the beginning."""
        ...

    async def get(self, id: str) -> Comparison | None:
        """The comparison of that id, or of the only one whose id begins so."""
        ...
