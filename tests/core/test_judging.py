"""Verdicts: what promotes, what holds, what aborts, and how often that is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drapto.core.comparison import Outcome
from drapto.core.flag_policy import GatePolicy
from drapto.core.judging import (
    Agreement,
    Decision,
    Verdict,
    bake_time,
    judge,
    runs_needed,
    tally,
)
from drapto.core.routing import Mode
from tests.core.streams import A_WEEK, GATE, Seen, decisions, figures


def seen(
    agree: int, differ: int = 0, *, strata: tuple[str, ...] = ("sdr",), aa: bool = False
) -> list[Seen]:
    """The disagreements spread evenly, so that every look has its part of them."""
    every = agree + differ
    order = [(i + 1) * differ // every > i * differ // every for i in range(every)]
    outcomes = [Outcome.MISMATCH if differs else Outcome.MATCH for differs in order]
    return [Seen(outcome, aa, strata) for outcome in outcomes]


def verdict(
    observed: Sequence[Seen],
    gate: GatePolicy = GATE,
    *,
    mode: Mode = Mode.SHADOW,
    in_mode: timedelta = A_WEEK,
) -> Verdict:
    return judge(tally(observed, gate), gate, mode=mode, in_mode=in_mode)


def test_a_hundred_that_agree_promote_at_the_first_look() -> None:
    judged = verdict(seen(100))
    assert judged.decision is Decision.PROMOTE
    assert judged.moves_to is Mode.CANARY
    assert judged.reason == (
        "100 of 100 (100.0%) agreed at the look at 100: at least 95.7%, the gate is 95.0%."
    )
    assert judged.action == "Would move to canary."
    assert judged.z == pytest.approx(2.13, abs=0.005)


def test_without_dry_run_the_verdict_says_what_it_does() -> None:
    assert verdict(seen(100), GatePolicy(dry_run=False)).action == "Moves to canary."


def test_too_little_data_is_hold() -> None:
    judged = verdict(seen(99))
    assert judged.decision is Decision.HOLD
    assert judged.reason == "Too little data: 99 of 100 comparisons for the first look."
    assert judged.next_look == 100
    assert verdict([]).decision is Decision.HOLD
    assert verdict([]).lower_95 == 0


def test_between_two_looks_nothing_is_decided_anew() -> None:
    """What was seen after a look waits for the next one, be it good or bad."""
    hold = verdict(seen(96, 4))
    assert hold.decision is Decision.HOLD
    assert hold.reason.endswith("which does not show the gate of 95.0%. The next look is at 200.")
    much_better, much_worse = seen(96, 4) + seen(99), seen(96, 4) + seen(0, 99)
    for later in (much_better, much_worse):
        judged = verdict(later)
        assert (judged.decision, judged.look) == (Decision.HOLD, Agreement(agreed=96, counted=100))
    assert verdict(much_worse + seen(0, 1)).decision is Decision.ABORT


def test_the_report_has_the_wilson_bound_of_all_comparisons() -> None:
    judged = verdict(seen(96, 4) + seen(50))
    assert judged.total == Agreement(agreed=146, counted=150)
    share, z2, n = 146 / 150, 1.96**2, 150
    by_hand = (
        share + z2 / (2 * n) - 1.96 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    ) / (1 + z2 / n)
    assert judged.lower_95 == pytest.approx(by_hand, abs=1e-5)


def test_clearly_below_the_gate_aborts() -> None:
    judged = verdict(seen(85, 15), mode=Mode.CANARY)
    assert judged.decision is Decision.ABORT
    assert judged.moves_to is Mode.ROLLED_BACK
    assert "at best 91.8%, below the gate of 95.0%" in judged.reason
    in_shadow = verdict(seen(85, 15))
    assert in_shadow.moves_to is None
    assert in_shadow.action.startswith("Mend the new side.")


def test_one_critical_comparison_aborts_at_any_time() -> None:
    for observed in ([Seen(Outcome.CRITICAL)], [*seen(399), Seen(Outcome.CRITICAL)]):
        judged = verdict(observed)
        assert judged.decision is Decision.ABORT
        assert "1 comparison the new side would have lost something" in judged.reason


def test_errors_and_timeouts_disagree_and_what_says_nothing_is_not_counted() -> None:
    outcomes = [*Outcome] * 3
    counted = tally([Seen(outcome) for outcome in outcomes], GATE)
    assert counted.total == Agreement(agreed=2 * 3, counted=6 * 3)
    assert counted.uncounted == 3 * 3
    assert counted.outcomes[Outcome.TIMEOUT] == 3
    broken = [Seen(Outcome.CANDIDATE_ERROR), Seen(Outcome.TIMEOUT)] * 10
    assert verdict(seen(80) + broken).decision is Decision.ABORT
    nothing = [Seen(o) for o in (Outcome.SKIPPED, Outcome.INCOMPARABLE, Outcome.LEGACY_ERROR)]
    assert verdict(nothing * 100 + seen(100)).decision is Decision.PROMOTE


def test_aa_runs_count_for_noise_alone() -> None:
    counted = tally(seen(50) + seen(9, 1, aa=True), GATE)
    assert counted.total == Agreement(agreed=50, counted=50)
    assert counted.aa == Agreement(agreed=9, counted=10)
    assert counted.strata == {"sdr": Agreement(agreed=50, counted=50)}


def test_noisy_legacy_holds_until_the_tolerances_are_fixed() -> None:
    noise = seen(18, 2, aa=True)
    for observed in (seen(100), seen(85, 15)):
        judged = verdict(observed + noise)
        assert judged.decision is Decision.HOLD
        assert judged.reason == (
            "Fix the tolerances first: legacy agrees with itself in only 18 of 20 (90.0%), below "
            "the gate of 95.0%."
        )
    assert verdict(seen(100) + seen(19, 1, aa=True)).decision is Decision.PROMOTE
    assert verdict([*noise, Seen(Outcome.CRITICAL)]).decision is Decision.ABORT


def test_bake_time_has_to_pass_before_a_promotion_and_delays_no_abort() -> None:
    early = timedelta(hours=23, minutes=59)
    judged = verdict(seen(100), in_mode=early)
    assert judged.decision is Decision.HOLD
    assert judged.reason.endswith("But the mode was set less than 24h ago.")
    assert verdict(seen(100), in_mode=timedelta(hours=24)).decision is Decision.PROMOTE
    assert verdict(seen(70, 30), in_mode=early).decision is Decision.ABORT


def test_bake_is_read_in_seconds_minutes_hours_and_days() -> None:
    times = [bake_time(GatePolicy(bake=bake)) for bake in ("90s", "30m", "24h", "7d")]
    assert times == [timedelta(seconds=n) for n in (90, 1_800, 86_400, 604_800)]


def test_every_stratum_needs_its_minimum() -> None:
    gate = GatePolicy(strata_minimum={"hdr": 20, "interlaced": 5})
    judged = verdict(seen(90) + seen(10, strata=("hdr", "uhd")), gate)
    assert judged.decision is Decision.HOLD
    assert judged.reason.endswith(
        "But only 10 of 20 comparisons are of hdr sources, and only 0 of 5 comparisons are of "
        "interlaced sources."
    )
    enough = seen(75) + seen(20, strata=("hdr",)) + seen(5, strata=("sdr", "interlaced"))
    assert verdict(enough, gate).decision is Decision.PROMOTE


def test_good_average_does_not_hide_a_kind_of_source_that_fails() -> None:
    judged = verdict(seen(392) + seen(2, 6, strata=("hdr",)))
    assert judged.decision is Decision.HOLD
    assert judged.reason.endswith("But of hdr sources only 2 of 8 (25.0%) agreed.")


def test_after_the_last_look_a_person_decides() -> None:
    judged = verdict(seen(384, 16))
    assert judged.decision is Decision.HOLD
    assert judged.next_look is None
    assert "It was the last look: a person decides" in judged.reason


def test_gate_that_its_looks_can_never_show_is_named() -> None:
    strict = GatePolicy(agreement=0.99)
    assert "cannot be shown by 400 comparisons, even if all agree: add a look at 449" in (
        verdict(seen(10), strict).reason
    )
    assert "can never be shown" in verdict(seen(10), GatePolicy(agreement=1)).reason


@given(st.floats(min_value=0.3, max_value=0.999), st.integers(min_value=1, max_value=6))
def test_no_smaller_number_of_runs_can_pass_a_gate(agreement: float, looks: int) -> None:
    needed = runs_needed(GatePolicy(agreement=agreement, looks=tuple(range(1, looks + 1))))
    assert needed is not None
    assert Agreement(agreed=needed, counted=needed).bounds(looks)[0] >= agreement - 1e-9
    assert Agreement(agreed=needed - 1, counted=needed - 1).bounds(looks)[0] < agreement


def test_new_is_promoted_no_further_by_itself() -> None:
    assert verdict(seen(100), mode=Mode.CANARY).moves_to is Mode.NEW
    assert verdict(seen(100), mode=Mode.NEW).moves_to is None


@settings(max_examples=50)
@given(st.integers(min_value=1, max_value=400), st.data())
def test_more_agreement_never_makes_a_verdict_worse(counted: int, data: st.DataObject) -> None:
    order = [Decision.ABORT, Decision.HOLD, Decision.PROMOTE]
    gate = GatePolicy(looks=(counted, counted * 2))
    agreed = data.draw(st.integers(min_value=0, max_value=counted - 1))
    worse = verdict(seen(agreed, counted - agreed), gate)
    better = verdict(seen(agreed + 1, counted - agreed - 1), gate)
    assert order.index(better.decision) >= order.index(worse.decision)
    assert better.lower_95 > worse.lower_95


def test_false_promotion_and_false_abort_of_4000_streams_are_at_most_5_percent() -> None:
    """At a true agreement that is exactly the gate."""
    made = decisions(GATE.agreement)
    assert 0 < made.count(Decision.PROMOTE) / len(made) <= 0.05
    assert 0 < made.count(Decision.ABORT) / len(made) <= 0.05


def test_good_candidates_are_promoted_and_bad_ones_aborted() -> None:
    assert decisions(0.99, streams=500).count(Decision.PROMOTE) >= 0.95 * 500
    assert decisions(0.98, streams=500).count(Decision.PROMOTE) >= 0.75 * 500
    assert decisions(0.90, streams=500).count(Decision.ABORT) >= 0.90 * 500


def binomial(trials: int, p: float) -> list[float]:
    return [math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]


@pytest.mark.parametrize("looks", [(20,), (100,), (5, 10, 20), (100, 200, 400), (30, 60, 90, 120)])
@pytest.mark.parametrize("agreement", [0.5, 0.8, 0.878, 0.9, 0.95, 0.98])
def test_errors_have_an_exact_chance_of_at_most_5_percent_for_other_gates_and_looks(
    agreement: float, looks: tuple[int, ...]
) -> None:
    """By the distribution of the agreements of streams that are undecided so far."""
    undecided, earlier = np.array([1.0]), 0
    promoted = aborted = 0.0
    for look in looks:
        undecided = np.convolve(undecided, binomial(look - earlier, agreement))
        earlier = look
        bounds = [Agreement(agreed=k, counted=look).bounds(len(looks)) for k in range(look + 1)]
        promotes = np.array([low >= agreement for low, _ in bounds])
        aborts = np.array([high < agreement for _, high in bounds])
        promoted += float(undecided[promotes].sum())
        aborted += float(undecided[aborts].sum())
        undecided[promotes | aborts] = 0
    assert promoted <= 0.05
    assert aborted <= 0.05


@pytest.mark.slow
def test_figures_of_the_page_are_those_of_the_simulation() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "judging.md"
    for table in "\n".join(figures()).split("\n\n"):
        assert table in page.read_text()
