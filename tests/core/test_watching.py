"""When a stage is rolled back, and how often that is wrong or late."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from drapto.core.comparison import Comparison, Outcome, Served
from drapto.core.flag_policy import RollbackPolicy
from drapto.core.routing import RoutedStage, Side
from drapto.core.watching import RECENT_JOBS, FailureWatch, critical_alarm, slowdown_alarm
from tests.core.streams import NEVER, NOON, ROLLBACK, first_alarms, late_alarms, slowdown_alarms


def served(
    number: int = 0,
    *,
    side: Side = Side.NEW,
    failed: bool = False,
    frame_s: float = 0.1,
    strata: tuple[str, ...] = ("sdr", "hd"),
) -> Served:
    return Served(
        at=NOON + timedelta(minutes=number),
        job=f"job{number}",
        stage=RoutedStage.ENCODING,
        side=side,
        failed=failed,
        wall_s=frame_s * 240,
        frames=240,
        revision="3",
        mode="canary",
        strata=strata,
    )


def comparison(outcome: Outcome, *, mode: str = "canary", aa: bool = False) -> Comparison:
    return Comparison(
        id="0123456789ab",
        at=NOON,
        job="job1",
        source=Path("/films/a.mkv"),
        stage=RoutedStage.ENCODING,
        primary=Side.LEGACY if aa else Side.NEW,
        candidate=Side.LEGACY,
        outcome=outcome,
        reason="Track 2 is missing.",
        revision="3",
        mode=mode,
    )


def test_three_failures_in_a_row_raise_the_alarm_whatever_came_before() -> None:
    watch = FailureWatch.over([served(n) for n in range(300)])
    for failure in (1, 2, 3):
        watch = watch.after(failed=True)
        assert (watch.alarm(ROLLBACK) is None) == (failure < 3)
    alarm = watch.alarm(ROLLBACK)
    assert alarm is not None
    assert alarm.why == "New failed 3 times in a row; 3 are the limit."
    assert alarm.evidence["jobs"] == 303 and alarm.evidence["in_a_row"] == 3


def test_a_good_job_ends_the_row() -> None:
    watch = FailureWatch(jobs=100)
    for failed in (True, True, False, True):
        watch = watch.after(failed=failed)
    assert watch.in_a_row == 1
    assert watch.alarm(ROLLBACK) is None


def test_failures_far_apart_raise_the_alarm_by_their_rate() -> None:
    watch = FailureWatch.over([served(n, failed=n % 10 == 9) for n in range(60)])
    alarm = watch.alarm(ROLLBACK)
    assert alarm is not None
    assert alarm.why == (
        "New failed in 6 of 60 jobs, more than the 2.00% that are allowed can explain."
    )
    assert float(alarm.evidence["e_value"]) >= 20


def test_evidence_can_be_written_as_json_even_where_no_failure_is_allowed() -> None:
    alarm = FailureWatch(jobs=9, failures=1, in_a_row=1).alarm(RollbackPolicy(failure_rate=0))
    assert alarm is not None
    assert alarm.evidence["e_value"] == 1e6


def test_only_the_newest_jobs_of_the_new_side_count() -> None:
    old = [served(n, failed=True) for n in range(100)]
    recent = [served(n) for n in range(100, 100 + RECENT_JOBS)]
    legacy = [served(n, side=Side.LEGACY) for n in range(1_000, 1_100)]
    assert FailureWatch.over([*old, *recent, *legacy]) == FailureWatch(jobs=RECENT_JOBS)


def test_new_that_is_slower_than_the_limit_raises_the_alarm() -> None:
    legacy = [served(n, side=Side.LEGACY, frame_s=0.1) for n in range(10)]
    alarm = slowdown_alarm([*legacy, *(served(n, frame_s=0.31) for n in range(10))], ROLLBACK)
    assert alarm is not None
    assert alarm.why == (
        "New takes 3.1 times as long for a frame as legacy does (median of 10 and 10 sdr hd "
        "sources); 3 times is the limit."
    )
    as_slow_as_allowed = [served(n, frame_s=0.3) for n in range(10)]
    assert slowdown_alarm([*legacy, *as_slow_as_allowed], ROLLBACK) is None


def test_slowness_is_judged_by_enough_jobs_on_each_side_and_not_by_one_stuck_job() -> None:
    legacy = [served(n, side=Side.LEGACY) for n in range(10)]
    slow = [served(n, frame_s=9.0) for n in range(10)]
    assert slowdown_alarm([*legacy, *slow[:9]], ROLLBACK) is None
    assert slowdown_alarm([*legacy[:9], *slow], ROLLBACK) is None
    stuck = [*(served(n) for n in range(9)), served(9, frame_s=1e6)]
    assert slowdown_alarm([*legacy, *stuck], ROLLBACK) is None
    assert slowdown_alarm([*legacy, *slow], RollbackPolicy(slowdown=None)) is None


def test_slowness_is_judged_among_sources_of_the_same_kind() -> None:
    """A rule that gives the large pictures to new makes new no slower."""
    small = [served(n, side=Side.LEGACY, frame_s=0.1, strata=("sdr", "hd")) for n in range(20)]
    large = [served(n, frame_s=0.8, strata=("sdr", "uhd")) for n in range(20)]
    assert slowdown_alarm([*small, *large], ROLLBACK) is None


def test_job_that_new_failed_was_served_in_legacys_time() -> None:
    quick = [served(n, frame_s=0.01, failed=True) for n in range(10)]
    alarm = slowdown_alarm([*quick, *(served(n) for n in range(10))], ROLLBACK)
    assert alarm is not None
    assert alarm.evidence["legacy_jobs"] == 10


def test_critical_comparison_raises_the_alarm_where_new_serves() -> None:
    alarm = critical_alarm([comparison(Outcome.MATCH), comparison(Outcome.CRITICAL)])
    assert alarm is not None
    assert alarm.why == "Comparison 0123456789ab of a.mkv is critical: Track 2 is missing."
    assert critical_alarm([comparison(Outcome.CRITICAL, mode="new")]) is not None


def test_critical_comparison_in_shadow_mode_or_of_legacy_with_itself_raises_none() -> None:
    harmless = [
        comparison(Outcome.CRITICAL, mode="shadow"),
        comparison(Outcome.CRITICAL, mode="retired"),
        comparison(Outcome.CRITICAL, aa=True),
        comparison(Outcome.MISMATCH),
    ]
    assert critical_alarm(harmless) is None


def test_false_rollback_of_4000_streams_within_300_jobs_is_at_most_5_percent() -> None:
    """At exactly the allowed rate, by the failure rate and by failures in a row together."""
    alarms = first_alarms(ROLLBACK.failure_rate, jobs=300)
    assert 0 < np.mean(alarms <= 300) <= 0.05


def test_ten_percent_failures_are_found_in_a_median_of_60_jobs_at_most() -> None:
    assert np.median(first_alarms(0.10, jobs=300)) <= 60


def test_total_failure_is_found_by_the_third_job() -> None:
    assert set(first_alarms(1.0, jobs=10, streams=1)) == {3}


def test_other_limits_keep_to_5_percent_too() -> None:
    """Where the row is long enough for the rate: 0.1 to the power of 5, 300 times, is 0.3 %."""
    policy = RollbackPolicy(failure_rate=0.1, consecutive=5)
    assert np.mean(first_alarms(0.1, jobs=300, policy=policy, streams=1_000) < NEVER) <= 0.05


def test_stage_that_breaks_after_thousands_of_good_jobs_is_still_found() -> None:
    rates = np.concatenate([np.full(3_000, 0.005), np.full(600, 0.10)])
    windowed = late_alarms(rates, RECENT_JOBS, streams=300)
    assert np.mean(windowed <= 3_000) <= 0.01
    assert np.median(windowed) - 3_000 <= 250


@pytest.mark.parametrize(("ratio", "spread", "low", "high"), [(1, 0.5, 0, 0.01), (4, 0.5, 0.95, 1)])
def test_slowness_is_found_and_scatter_is_not_taken_for_it(
    ratio: float, spread: float, low: float, high: float
) -> None:
    assert low <= slowdown_alarms(ratio, spread, streams=100) <= high
