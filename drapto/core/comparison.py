"""What a shadow run found: comparisons, their discrepancies, and what they count as."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from drapto.core.media import Value
from drapto.core.routing import RoutedStage, Side


class Outcome(StrEnum):
    """How one shadow run ended."""

    MATCH = "match"  # every field within its tolerance
    IGNORED = "ignored"  # the only discrepancies are ones a person said to ignore
    MISMATCH = "mismatch"
    CRITICAL = "critical"  # the candidate would have lost something of the source
    CANDIDATE_ERROR = "candidate_error"  # crashed, wrote garbage, or broke a rule
    TIMEOUT = "timeout"
    INCOMPARABLE = "incomparable"  # both ran, but the results cannot be set side by side
    SKIPPED = "skipped"  # dropped: queue full, source gone, interrupted
    LEGACY_ERROR = "legacy_error"  # the legacy side failed, as primary or as candidate

    @property
    def counts(self) -> bool:
        """Whether it says something about the new implementation, for or against."""
        return self in _AGREEMENTS or self in _DISAGREEMENTS

    @property
    def agrees(self) -> bool:
        return self in _AGREEMENTS


_AGREEMENTS = frozenset({Outcome.MATCH, Outcome.IGNORED})
_DISAGREEMENTS = frozenset(
    {Outcome.MISMATCH, Outcome.CRITICAL, Outcome.CANDIDATE_ERROR, Outcome.TIMEOUT}
)


class Severity(StrEnum):
    WITHIN = "within"  # no discrepancy: within its tolerance, or within measured noise
    IGNORED = "ignored"  # outside, but listed under `ignore`
    MISMATCH = "mismatch"
    CRITICAL = "critical"


class FieldResult(Value):
    """One compared field. A `Discrepancy` is one whose severity is not WITHIN.

    `legacy` and `new` are the two values as a person reads them; in an A/A run both are
    legacy's. `distance` is how far apart they are in the unit of the tolerance (0 for equal, 1
    for unlike where there is no measure), `tolerance` how far apart they may be.
    """

    field: str  # 'crop.left', 'cuts.f1', 'cuts[3]', 'tracks[2].language', 'vmaf.mean', …
    severity: Severity
    legacy: str
    new: str
    distance: float
    tolerance: float
    detail: str = ""  # one plain sentence, where the values alone do not say it
    lost_by: Side | None = None  # the side that loses something of the source by it, where known


def outcome_of(fields: Iterable[FieldResult]) -> Outcome:
    """The outcome of a run whose two results could be compared: that of its gravest field.

    Where legacy alone loses something of the source, it is legacy's error: it speaks neither for
    the new implementation nor against it.
    """
    outside = [f for f in fields if f.severity is not Severity.WITHIN]
    severities = {f.severity for f in outside}
    if Severity.CRITICAL in severities:
        return Outcome.CRITICAL
    if Severity.MISMATCH in severities:
        mismatches = [f for f in outside if f.severity is Severity.MISMATCH]
        of_legacy = all(f.lost_by is Side.LEGACY for f in mismatches)
        return Outcome.LEGACY_ERROR if of_legacy else Outcome.MISMATCH
    return Outcome.IGNORED if Severity.IGNORED in severities else Outcome.MATCH


class Comparison(Value):
    """One shadow run, as it is stored. Times are UTC; `*_s` seconds of wall time."""

    id: str  # 12 hex digits
    at: datetime
    job: str
    source: Path
    stage: RoutedStage
    primary: Side
    candidate: Side
    outcome: Outcome
    reason: str  # one plain sentence: why this outcome
    fields: tuple[FieldResult, ...] = ()
    primary_s: float = 0.0
    candidate_s: float = 0.0
    strata: tuple[str, ...] = ()
    revision: str = ""
    mode: str = ""
    reproduce: str = ""  # a command line that runs both sides again
    # 'size_ratio' (new / legacy bytes), 'vmaf_mean_difference', 'vmaf_p1_difference' (new -
    # legacy); in an A/A run the candidate stands for new
    measures: dict[str, float] = {}

    @property
    def is_aa(self) -> bool:
        """Legacy against itself: measures noise and counts for nothing else."""
        return self.primary is self.candidate

    @property
    def discrepancies(self) -> tuple[FieldResult, ...]:
        return tuple(f for f in self.fields if f.severity is not Severity.WITHIN)


class Served(Value):
    """One job's stage, served: what the automatic rollback watches.

    `failed` is true when the new side was primary and failed and legacy then served the job.
    """

    at: datetime
    job: str
    stage: RoutedStage
    side: Side  # that was asked to serve first
    failed: bool = False
    wall_s: float = 0.0  # of the side that served in the end
    frames: int = 0
    revision: str = ""
    mode: str = ""  # of the route; the automatic rollback acts on canary and new alone
    strata: tuple[str, ...] = ()  # as of SourceFacts: times are compared within like sources
    reason: str = ""  # why it failed
