"""What `drapto shadow report` says: figures and verdict of every stage, in a bounded size.

Plain values: a table, JSON and a page are made from the same report. `drapto/services/
shadow_report.py` reads what it is made from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from drapto.core.comparison import Comparison, Outcome
from drapto.core.flag_policy import GatePolicy, Tolerances
from drapto.core.judging import Agreement, Tally, Verdict
from drapto.core.media import Value
from drapto.core.routing import Mode, RoutedStage
from drapto.core.shadow_figures import (
    FieldFigures,
    OutcomeCount,
    ServedCount,
    StageFigures,
    StratumCount,
)
from drapto.core.statistics import Z_95, wilson_interval

COURSE_POINTS = 120  # more cannot be told apart on a page
BINS = 31
_CORE = (0.005, 0.995)  # the share of the values that the bins cover; beyond are a few odd ones


class CoursePoint(Value):
    """Agreement as it stood after `counted` comparisons, with Wilson's 95 % interval."""

    at: datetime  # UTC, of the last one
    counted: int
    agreed: int
    lower_95: float
    upper_95: float


class Distribution(Value):
    """Many numbers in few. `counts[i]` are from `edges[i]` to `edges[i + 1]`; what is beyond the
    first or last edge is counted in the first or last bin. Without runs all is empty or 0."""

    runs: int = 0
    min: float = 0.0
    p5: float = 0.0
    median: float = 0.0
    p95: float = 0.0
    max: float = 0.0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


class RatioReport(Value):
    """New against legacy, and legacy against itself."""

    new: Distribution = Distribution()
    aa: Distribution = Distribution()


class StageReport(Value):
    """One stage under its present candidate revision.

    The verdict and the course count from the beginning of the revision, since the looks do; all
    else is limited by the report's `since`.
    """

    stage: RoutedStage
    mode: Mode
    percent: float | None = None  # of the jobs that new serves, in canary
    because: str  # who says so, one plain sentence
    mode_since: datetime
    revision: str
    looks: tuple[int, ...]
    tolerances: Tolerances
    verdict: Verdict
    comparisons: int = 0  # whose results could be compared, A/A left out
    aa_runs: int = 0
    excused: int = 0  # mismatches that are noise
    outcomes: tuple[OutcomeCount, ...] = ()
    course: tuple[CoursePoint, ...] = ()
    strata: tuple[StratumCount, ...] = ()
    fields: tuple[FieldFigures, ...] = ()
    size: RatioReport = RatioReport()  # bytes, new / legacy
    vmaf_mean: RatioReport = RatioReport()  # VMAF points, new - legacy
    vmaf_p1: RatioReport = RatioReport()  # the same of the first percentile
    time: RatioReport = RatioReport()  # wall time of the stage, new / legacy
    worst: tuple[Comparison, ...] = ()
    served: tuple[ServedCount, ...] = ()

    def total(self, outcome: Outcome, *, is_aa: bool = False) -> int:
        return sum(c.runs for c in self.outcomes if c.outcome is outcome and c.is_aa is is_aa)

    @property
    def runs(self) -> int:
        """All shadow runs in it, whatever became of them, A/A runs included."""
        return sum(c.runs for c in self.outcomes)


class ShadowReport(Value):
    """The whole report."""

    at: datetime
    since: datetime | None = None
    store: Path
    kill_switch: bool = False
    stages: tuple[StageReport, ...]

    @property
    def is_empty(self) -> bool:
        return not any(stage.runs for stage in self.stages)


def tally_of(figures: StageFigures, gate: GatePolicy) -> Tally:
    """What `core.judging.tally` would count of the same comparisons once the noise is excused."""
    outcomes: Counter[Outcome] = Counter()
    aa: Counter[Outcome] = Counter()
    for found in figures.outcomes:
        (aa if found.is_aa else outcomes)[found.outcome] += found.runs
    excused = figures.excused()
    outcomes[Outcome.MISMATCH] -= excused
    outcomes[Outcome.MATCH] += excused
    looks = [n for n in gate.looks if n <= len(figures.agreements)]
    return Tally(
        total=Agreement.of(outcomes),
        looks=tuple(Agreement(agreed=sum(figures.agreements[:n]), counted=n) for n in looks),
        strata={
            found.stratum: Agreement(agreed=found.agreed, counted=found.counted)
            for found in figures.strata
        },
        aa=Agreement.of(aa),
        outcomes=+outcomes,
    )


def course(agreements: Sequence[bool], times_s: Sequence[float]) -> tuple[CoursePoint, ...]:
    """At most COURSE_POINTS, evenly spread over the comparisons; the last is the present."""
    if not agreements:
        return ()
    running = np.cumsum(np.asarray(agreements, dtype=np.int64))
    spread = np.linspace(1, len(agreements), min(len(agreements), COURSE_POINTS))
    points = []
    for counted in np.unique(np.round(spread).astype(int)).tolist():
        agreed = int(running[counted - 1])
        lower, upper = wilson_interval(agreed, counted, Z_95)
        at = datetime.fromtimestamp(times_s[counted - 1], UTC)
        points.append(
            CoursePoint(at=at, counted=counted, agreed=agreed, lower_95=lower, upper_95=upper)
        )
    return tuple(points)


def ratio_report(new: Sequence[float], aa: Sequence[float]) -> RatioReport:
    """Both with the same bins, so that they can be drawn over each other."""
    values = np.asarray([*new, *aa], dtype=np.float64)
    if not len(values):
        return RatioReport()
    low, high = np.quantile(values, _CORE)
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    edges = np.linspace(low, high, BINS + 1)
    return RatioReport(new=_distribution(new, edges), aa=_distribution(aa, edges))


def _distribution(
    numbers: Sequence[float], edges: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Distribution:
    if not numbers:
        return Distribution()
    values = np.asarray(numbers, dtype=np.float64)
    p5, median, p95 = np.quantile(values, (0.05, 0.5, 0.95))
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return Distribution(
        runs=len(values),
        min=float(values.min()),
        p5=float(p5),
        median=float(median),
        p95=float(p95),
        max=float(values.max()),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
    )
