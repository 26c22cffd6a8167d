"""How far legacy is from itself, and which discrepancies are no more than that.

An A/A run is legacy against itself: whatever differs there is noise. A field is held against the
new side only where it is further off than that. Noise excuses no critical field (a loss is a
loss), and none with a tolerance of 0 (it is equal or it is not; there is no 'nearly').
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from drapto.core.comparators.verdict import family
from drapto.core.comparison import Comparison, FieldResult, Outcome, Severity, outcome_of
from drapto.core.statistics import quantile
from drapto.core.words import count

# Noise is the distance that this share of the A/A runs stays within. With fewer runs than the
# minimum nothing is excused; with 20, one odd run alone does not make the noise.
NOISE_SHARE = 0.95
NOISE_MINIMUM_RUNS = 20


def noise_level(aa_distances: Sequence[float]) -> float | None:
    """The distance of one field that is noise, one distance for each A/A run; None: unknown."""
    if len(aa_distances) < NOISE_MINIMUM_RUNS:
        return None
    return quantile(aa_distances, NOISE_SHARE)


def above_noise(distance: float, aa_distances: Sequence[float]) -> bool:
    """Whether a field is further off than legacy is from itself; true while that is unknown."""
    level = noise_level(aa_distances)
    return level is None or distance > level


def distances(runs: Iterable[Comparison]) -> dict[str, tuple[float, ...]]:
    """By field family, how far off it was in each run whose results could be compared.

    A family that a run lists several times ('cuts[0]', 'cuts[1]') counts with the largest; one
    that it does not list was equal, or not there: 0.
    """
    largest = []
    for run in runs:
        if not run.fields:
            continue
        of_run: dict[str, float] = {}
        for field in run.fields:
            name = family(field.field)
            of_run[name] = max(of_run.get(name, 0.0), field.distance)
        largest.append(of_run)
    names = sorted({name for of_run in largest for name in of_run})
    return {name: tuple(of_run.get(name, 0.0) for of_run in largest) for name in names}


def noise_levels(comparisons: Iterable[Comparison]) -> dict[str, float]:
    """The noise of every field family, from the A/A runs among the comparisons.

    A family whose noise is unknown is left out.
    """
    by_family = distances(c for c in comparisons if c.is_aa)
    levels = {name: noise_level(values) for name, values in by_family.items()}
    return {name: level for name, level in levels.items() if level is not None}


def without_noise(comparison: Comparison, levels: Mapping[str, float]) -> Comparison:
    """The comparison as it is judged once the noise is known.

    Mismatches within the noise become WITHIN, and the outcome follows. An A/A run is left as it
    is: it would be measured by itself.
    """
    if comparison.is_aa or comparison.outcome is not Outcome.MISMATCH:
        return comparison
    fields = tuple(_excused(field, levels) for field in comparison.fields)
    excused = sum(a is not b for a, b in zip(fields, comparison.fields, strict=True))
    if not excused:
        return comparison
    outcome = outcome_of(fields)
    reason = f"{count(excused, 'field')} no further off than legacy is from itself."
    if outcome is comparison.outcome:
        reason = f"{comparison.reason} Besides, {reason}"
    return comparison.model_copy(update={"fields": fields, "outcome": outcome, "reason": reason})


def _excused(field: FieldResult, levels: Mapping[str, float]) -> FieldResult:
    level = levels.get(family(field.field))
    if field.severity is not Severity.MISMATCH or field.tolerance == 0 or level is None:
        return field
    if field.distance > level:
        return field
    detail = f"{field.detail} Legacy is as far from itself.".strip()
    return field.model_copy(update={"severity": Severity.WITHIN, "detail": detail})
