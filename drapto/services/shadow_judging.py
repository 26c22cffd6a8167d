"""From what a candidate handed back to an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from drapto.core.comparators.detection import compare_detection
from drapto.core.comparators.encoding import (
    compare_encoding,
    encoding_measures,
    why_incomparable,
)
from drapto.core.comparators.segmentation import compare_segmentation
from drapto.core.comparators.verdict import Terms, verdict
from drapto.core.comparison import FieldResult, Outcome
from drapto.core.json_text import loads
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadow_task import CandidateEnd, CandidateResult, Measured, ShadowTask

_T = TypeVar("_T")


@dataclass(frozen=True)
class Judged:
    """The outcome of one shadow run, and everything behind it."""

    outcome: Outcome
    reason: str
    fields: tuple[FieldResult, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)
    candidate_s: float = 0.0


def parse_result(
    task: ShadowTask, payload: bytes, place: Path
) -> tuple[CandidateResult | None, str]:
    """The result if it is one, else one plain sentence why not."""
    try:
        result = CandidateResult.model_validate(loads(payload))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        return None, f"Its result is of the wrong type: {where}: {first['msg']}."
    except ValueError as error:
        return None, f"Its result is no JSON: {error}."
    wanted = {
        RoutedStage.DETECTION: result.analysis,
        RoutedStage.SEGMENTATION: result.segments,
        RoutedStage.ENCODING: result.output,
    }[task.stage]
    if wanted is None:
        return None, f"Its result holds no {task.stage}."
    if result.output is not None:
        output = result.output
        if output.parent.resolve() != place.resolve() or output.is_symlink():
            return None, "It named a file outside its own directory."
        if not output.is_file():
            return None, "It wrote no output."
    return result, ""


def failed(task: ShadowTask, outcome: Outcome, why: str, candidate_s: float) -> Judged:
    """A candidate that has no result. Legacy's failure as a candidate says nothing about new."""
    if task.candidate is Side.LEGACY:
        outcome = Outcome.LEGACY_ERROR
    return Judged(outcome, why, candidate_s=candidate_s)


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
    found = _measured(measured)
    if isinstance(found, str):
        return Judged(Outcome.INCOMPARABLE, found, candidate_s=result.wall_s)
    if found.candidate is None:
        return failed(task, Outcome.CANDIDATE_ERROR, found.candidate_fault, result.wall_s)
    legacy, new = _sides(task, found.primary, found.candidate)
    fields = compare_encoding(legacy, new, terms, source=found.source)
    judged = _judged(fields, result.wall_s, why_incomparable(legacy, new))
    return replace(judged, measures=encoding_measures(legacy, new))


def _measured(end: CandidateEnd | None) -> Measured | str:
    """What was measured, or one plain sentence why nothing was."""
    if end is None or end.timed_out:
        return "The two files could not be measured in time."
    if end.payload is None:
        return f"The two files could not be measured: {end.fault}."
    try:
        return Measured.model_validate(loads(end.payload))
    except ValueError as error:
        return f"The two files could not be measured: {error}."


def _judged(fields: Sequence[FieldResult], candidate_s: float, incomparable: str = "") -> Judged:
    outcome, reason = verdict(fields, incomparable)
    return Judged(outcome, reason, tuple(fields), candidate_s=candidate_s)


def _sides(task: ShadowTask, primary: _T, candidate: _T) -> tuple[_T, _T]:
    """Legacy's and new's; in an A/A run the candidate stands for new."""
    if task.candidate is Side.LEGACY and task.primary is Side.NEW:
        return candidate, primary
    return primary, candidate
