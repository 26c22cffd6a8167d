"""The bounds and tests, against exact sums of integers and against the laws they have to obey."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drapto.core.statistics import (
    ALARM_E_VALUE,
    Z_95,
    corrected_z,
    exact_interval,
    failure_e_value,
    log_beta_tail,
    quantile,
    student_t,
    wilson_interval,
)

TRIALS = st.integers(min_value=1, max_value=5_000)
ALLOWED = st.floats(min_value=0.001, max_value=0.5)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    trials = draw(TRIALS)
    return draw(st.integers(min_value=0, max_value=trials)), trials


def binomial_at_least(successes: int, trials: int, p: Fraction) -> Fraction:
    """P(X >= successes), exactly."""
    below = sum(
        math.comb(trials, k) * p.numerator**k * (p.denominator - p.numerator) ** (trials - k)
        for k in range(successes)
    )
    return 1 - Fraction(below, p.denominator**trials)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # R. G. Newcombe, Two-sided confidence intervals, Statist. Med. 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_that_of_the_published_examples(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert wilson_interval(successes, trials, Z_95) == pytest.approx((low, high), abs=5e-5)


@given(counts(), st.floats(min_value=0.1, max_value=5))
def test_wilson_interval_lies_in_0_to_1_around_the_share(seen: tuple[int, int], z: float) -> None:
    successes, trials = seen
    low, high = wilson_interval(successes, trials, z)
    assert 0 <= low <= successes / trials <= high <= 1


@given(counts(), st.floats(min_value=0.1, max_value=5))
def test_one_more_success_raises_both_ends_and_one_more_failure_lowers_them(
    seen: tuple[int, int], z: float
) -> None:
    successes, trials = seen
    low, high = wilson_interval(successes, trials, z)
    better = wilson_interval(successes + 1, trials + 1, z)
    worse = wilson_interval(successes, trials + 1, z)
    assert better[0] > low and better[1] >= high
    assert worse[0] <= low and worse[1] < high


def test_bounds_know_nothing_of_no_trials_and_refuse_impossible_counts() -> None:
    assert wilson_interval(0, 0, Z_95) == (0, 1)
    assert exact_interval(0, 0, 0.05) == (0, 1)
    for successes, trials in ((2, 1), (-1, 3)):
        with pytest.raises(ValueError, match="impossible"):
            wilson_interval(successes, trials, Z_95)


def test_three_looks_are_corrected_to_2_13() -> None:
    assert corrected_z(1) == pytest.approx(1.645, abs=5e-4)
    assert corrected_z(3) == pytest.approx(2.13, abs=5e-3)
    with pytest.raises(ValueError, match="once at least"):
        corrected_z(0)


@pytest.mark.parametrize("seen", [(0, 7), (1, 1), (3, 9), (97, 100), (390, 400), (100, 100)])
def test_exact_bounds_are_where_the_exact_sums_meet_the_error(seen: tuple[int, int]) -> None:
    successes, trials = seen
    low, high = (Fraction(bound) for bound in exact_interval(successes, trials, 0.0125))
    if successes:
        assert float(binomial_at_least(successes, trials, low)) == pytest.approx(0.0125)
    else:
        assert low == 0
    if successes < trials:
        assert float(1 - binomial_at_least(successes + 1, trials, high)) == pytest.approx(0.0125)
    else:
        assert high == 1


@pytest.mark.parametrize(
    ("x", "a", "b"),
    [
        (Fraction(1, 50), 1, 9),
        (Fraction(1, 50), 1, 3_000),  # far above the mean: 5e-27
        (Fraction(1, 50), 100, 5_000),
        (Fraction(1, 50), 20, 980),  # at the mean
        (Fraction(1, 1_000), 5, 12),  # far below it
        (Fraction(1, 2), 40, 60),
        (Fraction(9, 10), 5, 5),
    ],
)
def test_beta_tail_is_the_binomial_sum_it_equals(x: Fraction, a: int, b: int) -> None:
    """P(Beta(a, b) > x) = P(Binomial(a + b - 1, x) < a)."""
    exact = 1 - binomial_at_least(a, a + b - 1, x)
    assert math.exp(log_beta_tail(float(x), a, b)) == pytest.approx(float(exact), rel=1e-9)


def e_value_by_sum(failures: int, jobs: int, allowed: float, points: int = 400_001) -> float:
    """The definition, by the midpoint rule on a grid of failure rates."""
    rates = allowed + (np.arange(points) + 0.5) / points * (1 - allowed)
    mean = 2.5 * allowed
    weights = (1 - rates) ** max(1 / mean - 2, 0)
    good = jobs - failures
    likelihood = failures * np.log(rates / allowed) + good * np.log((1 - rates) / (1 - allowed))
    return float(np.average(np.exp(likelihood), weights=weights))


@pytest.mark.parametrize("allowed", [0.005, 0.02, 0.1, 0.45])
@pytest.mark.parametrize("seen", [(0, 1), (1, 1), (2, 2), (0, 300), (6, 60), (15, 300), (40, 2000)])
def test_e_value_is_the_average_likelihood_ratio(seen: tuple[int, int], allowed: float) -> None:
    failures, jobs = seen
    assert failure_e_value(failures, jobs, allowed) == pytest.approx(
        e_value_by_sum(failures, jobs, allowed), rel=1e-5
    )


@settings(max_examples=30)
@given(ALLOWED, st.floats(min_value=0, max_value=1), st.integers(min_value=1, max_value=60))
def test_expected_e_value_is_1_at_the_allowed_rate_and_less_below_it(
    allowed: float, part: float, jobs: int
) -> None:
    """Over all streams of a length, by their exact probabilities."""

    def expected(rate: float) -> float:
        return sum(
            math.comb(jobs, f)
            * rate**f
            * (1 - rate) ** (jobs - f)
            * failure_e_value(f, jobs, allowed)
            for f in range(jobs + 1)
        )

    assert expected(allowed) == pytest.approx(1, rel=1e-9)
    assert expected(allowed * part) <= 1 + 1e-9


@given(counts(), ALLOWED)
def test_e_value_is_expected_to_stay_where_it_is_whatever_came_before(
    seen: tuple[int, int], allowed: float
) -> None:
    """A martingale at the allowed rate, step by step."""
    failures, jobs = seen
    now = failure_e_value(failures, jobs, allowed)
    failed = failure_e_value(failures + 1, jobs + 1, allowed)
    if math.isinf(failed):
        return
    good = failure_e_value(failures, jobs + 1, allowed)
    assert allowed * failed + (1 - allowed) * good == pytest.approx(now, rel=1e-6)
    assert failed > now > good


def exact_chance_of_an_alarm(rate: float, allowed: float, jobs: int) -> float:
    """By the distribution of the failures of streams without an alarm so far."""
    alive, alarmed = np.array([1.0]), 0.0
    for job in range(1, jobs + 1):
        alive = np.append(alive * (1 - rate), 0) + np.append(0, alive * rate)
        alarms = [failure_e_value(f, job, allowed) >= ALARM_E_VALUE for f in range(job + 1)]
        alarmed += float(alive[alarms].sum())
        alive[alarms] = 0
    return alarmed


@pytest.mark.parametrize("allowed", [0.001, 0.01, 0.02, 0.1, 0.3])
def test_false_alarm_within_300_jobs_has_an_exact_chance_of_at_most_5_percent(
    allowed: float,
) -> None:
    assert 0 < exact_chance_of_an_alarm(allowed, allowed, jobs=300) <= 0.05


@given(st.floats(min_value=1e-6, max_value=0.999))
def test_two_failures_of_two_are_left_to_the_rule_about_failures_in_a_row(allowed: float) -> None:
    assert failure_e_value(2, 2, allowed) < ALARM_E_VALUE


def test_e_value_of_very_many_jobs_is_finite_and_of_the_right_side() -> None:
    assert 0 < failure_e_value(0, 100_000, 0.02) < 0.001
    assert 0 < failure_e_value(2_000, 100_000, 0.02) < 1
    assert failure_e_value(10_000, 100_000, 0.02) == math.inf


def test_limits_of_what_is_allowed() -> None:
    assert failure_e_value(0, 50, 0.0) == 1
    assert failure_e_value(1, 50, 0.0) == math.inf
    assert failure_e_value(50, 50, 1.0) == 1


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_quantile_is_a_value_that_was_seen_and_holds_its_share(
    values: list[float], share: float
) -> None:
    level = quantile(values, share)
    assert level in values
    assert sum(v <= level for v in values) >= share * len(values) - 1e-6
    assert sum(v < level for v in values) < share * len(values)


def test_quantile_of_20_at_95_percent_leaves_one_out() -> None:
    assert quantile([0.0] * 19 + [9.0], 0.95) == 0
    assert quantile([0.0] * 18 + [5.0, 9.0], 0.95) == 5
    with pytest.raises(ValueError, match="at least one"):
        quantile([], 0.95)


@pytest.mark.parametrize(
    ("share", "freedom", "t"),
    [(0.8, 1, 3.078), (0.8, 7, 1.415), (0.8, 30, 1.310), (0.95, 10, 2.228), (0.99, 2, 9.925)],
)
def test_student_t_is_that_of_the_printed_tables(share: float, freedom: int, t: float) -> None:
    assert student_t(share, freedom) == pytest.approx(t, abs=0.001)


@pytest.mark.parametrize(("share", "freedom"), [(0.0, 5), (1.0, 5), (0.8, 0)])
def test_a_t_that_cannot_be_is_refused(share: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="degrees of freedom"):
        student_t(share, freedom)
