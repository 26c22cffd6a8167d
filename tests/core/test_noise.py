"""A field is held against the new side only where it is further off than legacy is from itself."""

from __future__ import annotations

from pathlib import Path

from drapto.core.comparison import Comparison, FieldResult, Outcome, Severity, outcome_of
from drapto.core.noise import above_noise, distances, noise_level, noise_levels, without_noise
from drapto.core.routing import RoutedStage, Side
from tests.core.streams import NOON


def field(
    name: str,
    distance: float,
    *,
    tolerance: float = 1.0,
    severity: Severity | None = None,
) -> FieldResult:
    outside = Severity.MISMATCH if distance > tolerance else Severity.WITHIN
    return FieldResult(
        field=name,
        severity=severity or outside,
        legacy="a",
        new="b",
        distance=distance,
        tolerance=tolerance,
    )


def comparison(*fields: FieldResult, aa: bool = False) -> Comparison:
    return Comparison(
        id="0123456789ab",
        at=NOON,
        job="job1",
        source=Path("a.mkv"),
        stage=RoutedStage.DETECTION,
        primary=Side.LEGACY,
        candidate=Side.LEGACY if aa else Side.NEW,
        outcome=outcome_of(fields),
        reason="1 of 2 fields outside their tolerances.",
        fields=fields,
    )


def aa_runs(*edges: float) -> list[Comparison]:
    return [comparison(field("crop.left", edge), aa=True) for edge in edges]


def test_noise_is_what_95_percent_of_the_aa_runs_stay_within() -> None:
    assert noise_level([0.0] * 18 + [3.0, 8.0]) == 3
    assert noise_level([0.0] * 19 + [8.0]) == 0, "one odd run is no noise"
    assert not above_noise(3.0, [0.0] * 18 + [3.0, 8.0])
    assert above_noise(3.1, [0.0] * 18 + [3.0, 8.0])


def test_with_too_few_aa_runs_nothing_is_noise() -> None:
    assert noise_level([8.0] * 19) is None
    assert above_noise(1.0, [8.0] * 19)
    assert noise_levels(aa_runs(*[8.0] * 19)) == {}


def test_only_aa_runs_make_noise_and_those_without_fields_say_nothing() -> None:
    other = [comparison(field("crop.left", 50.0)) for _ in range(40)]
    crashed = [comparison(aa=True) for _ in range(40)]
    assert noise_levels([*aa_runs(*[2.0] * 20), *other, *crashed]) == {"crop.left": 2.0}


def test_fields_of_one_family_are_judged_together_and_an_absent_one_was_equal() -> None:
    runs = [
        comparison(field("cuts[0]", 2.0), field("cuts[7]", 5.0)),
        comparison(field("cuts.f1", 0.0)),
    ]
    assert distances(runs) == {"cuts[*]": (5.0, 0.0), "cuts.f1": (0.0, 0.0)}


def test_mismatch_within_noise_is_none_and_the_outcome_follows() -> None:
    levels = noise_levels(aa_runs(*[4.0] * 20))
    judged = without_noise(comparison(field("crop.left", 4.0), field("crop.top", 0.0)), levels)
    assert judged.outcome is Outcome.MATCH
    assert judged.fields[0].severity is Severity.WITHIN
    assert judged.reason == "1 field no further off than legacy is from itself."


def test_what_is_above_noise_or_of_another_field_stays_a_mismatch() -> None:
    levels = noise_levels(aa_runs(*[4.0] * 20))
    above = comparison(field("crop.left", 4.1))
    assert without_noise(above, levels) is above
    mixed = without_noise(comparison(field("crop.left", 3.0), field("crop.top", 3.0)), levels)
    assert mixed.outcome is Outcome.MISMATCH
    assert [f.severity for f in mixed.fields] == [Severity.WITHIN, Severity.MISMATCH]
    assert mixed.reason.endswith("Besides, 1 field no further off than legacy is from itself.")


def test_noise_excuses_no_loss_and_nothing_that_must_be_equal() -> None:
    levels = {"crop.left": 100.0, "codec": 1.0}
    for kept in (
        comparison(field("crop.left", 4.0, severity=Severity.CRITICAL)),
        comparison(field("codec", 1.0, tolerance=0.0)),
        comparison(field("crop.left", 4.0, severity=Severity.IGNORED)),
    ):
        assert without_noise(kept, levels) is kept


def test_critical_field_beside_a_noisy_one_stays_critical() -> None:
    both = comparison(
        field("crop.left", 4.0), field("dynamic_range", 1.0, severity=Severity.CRITICAL)
    )
    assert without_noise(both, {"crop.left": 9.0}).outcome is Outcome.CRITICAL


def test_aa_run_is_not_measured_by_itself() -> None:
    run = comparison(field("crop.left", 4.0), aa=True)
    assert without_noise(run, {"crop.left": 9.0}) is run
