"""From what a candidate handed back to an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TypeVar

from drapto.core.comparators.detection import compare_detection
from drapto.core.comparators.encoding import (
    compare_encoding,
    encoding_measures,
    why_incomparable,
)
from drapto.core.comparators.segmentation import compare_segmentation
from drapto.core.comparators.verdict import Terms, verdict
from drapto.core.comparison import Comparison, FieldResult, Outcome
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadow_task import CandidateEnd, CandidateResult, ShadowTask
from drapto.services.candidate_results import parse_measured

_T = TypeVar("_T")


@dataclass(frozen=True)
class Judged:
    """The outcome of one shadow run, and everything behind it."""

    outcome: Outcome
    reason: str
    fields: tuple[FieldResult, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)
    candidate_s: float = 0.0


def failed(task: ShadowTask, outcome: Outcome, why: str, candidate_s: float) -> Judged:
    """A candidate that has no result. Legacy's failure as a candidate says nothing about new."""
    if task.candidate is Side.LEGACY:
        outcome = Outcome.LEGACY_ERROR
    return Judged(outcome, why, candidate_s=candidate_s)


def comparison_of(
    task: ShadowTask, judged: Judged, *, primary_s: float, candidate_s: float
) -> Comparison:
    """What is kept of a shadow run that ended just now; both sides' times in seconds."""
    return Comparison(
        id=task.id,
        at=datetime.now(UTC),
        job=task.job,
        source=task.source,
        stage=task.stage,
        primary=task.primary,
        candidate=task.candidate,
        outcome=judged.outcome,
        reason=judged.reason,
        fields=judged.fields,
        primary_s=primary_s,
        candidate_s=candidate_s,
        strata=task.strata,
        revision=task.revision,
        mode=task.mode.value,
        reproduce=task.reproduce,
        measures=judged.measures,
    )


def judge_candidate(
    task: ShadowTask, result: CandidateResult, measured: CandidateEnd | None, today: date
) -> Judged:
    """The outcome for a candidate that came to an end. `measured`: of both files, for encoding."""
    terms = Terms(
        tolerances=task.compare,
        ignore=task.ignore,
        today=today,
        is_aa=task.primary is task.candidate,
    )
    if task.stage is RoutedStage.ENCODING:
        return _encoding(task, result, measured, terms)
    if task.stage is RoutedStage.DETECTION:
        assert result.analysis is not None
        legacy_analysis, new_analysis = _sides(task, task.analysis, result.analysis)
        fields = compare_detection(
            legacy_analysis,
            new_analysis,
            terms,
            width=task.settings.source_width,
            height=task.settings.source_height,
            frames=task.frames,
            color=task.color,
        )
    else:
        assert result.segments is not None
        legacy_segments, new_segments = _sides(task, task.segments, result.segments)
        fields = compare_segmentation(legacy_segments, new_segments, terms, frames=task.frames)
    return _judged(fields, result.wall_s)


def _encoding(
    task: ShadowTask, result: CandidateResult, measured: CandidateEnd | None, terms: Terms
) -> Judged:
    found = parse_measured(measured)
    if isinstance(found, str):
        return Judged(Outcome.INCOMPARABLE, found, candidate_s=result.wall_s)
    if found.candidate is None:
        return failed(task, Outcome.CANDIDATE_ERROR, found.candidate_fault, result.wall_s)
    legacy, new = _sides(task, found.primary, found.candidate)
    fields = compare_encoding(legacy, new, terms, source=found.source)
    judged = _judged(fields, result.wall_s, why_incomparable(legacy, new))
    return replace(judged, measures=encoding_measures(legacy, new))


def _judged(fields: Sequence[FieldResult], candidate_s: float, incomparable: str = "") -> Judged:
    outcome, reason = verdict(fields, incomparable)
    return Judged(outcome, reason, tuple(fields), candidate_s=candidate_s)


def _sides(task: ShadowTask, primary: _T, candidate: _T) -> tuple[_T, _T]:
    """Legacy's and new's; in an A/A run the candidate stands for new."""
    if task.candidate is Side.LEGACY and task.primary is Side.NEW:
        return candidate, primary
    return primary, candidate
