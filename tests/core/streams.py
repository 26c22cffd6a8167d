"""Thousands of simulated streams of comparisons and jobs, through the code that decides.

    .venv/bin/python -m tests.core.streams

prints the figures of docs/judging.md (about a minute). Seeds are fixed, so they stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from drapto.core.comparison import Outcome, Served
from drapto.core.flag_policy import GatePolicy, RollbackPolicy
from drapto.core.judging import Decision, judge, tally
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.core.statistics import ALARM_E_VALUE, failure_e_value
from drapto.core.watching import RECENT_JOBS, FailureWatch, slowdown_alarm

STREAMS = 4_000
NEVER = 10**9  # sorts behind every job number

GATE = GatePolicy()
ROLLBACK = RollbackPolicy()
A_WEEK = timedelta(days=7)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Seen:
    """A comparison, as far as judging looks at it."""

    outcome: Outcome
    is_aa: bool = False
    strata: tuple[str, ...] = ("sdr", "hd")


_AGREES, _DIFFERS = Seen(Outcome.MATCH), Seen(Outcome.MISMATCH)


def decisions(
    true_agreement: float, gate: GatePolicy = GATE, streams: int = STREAMS, seed: int = 1
) -> list[Decision]:
    """The first decision that is not hold of each stream, judged at every look."""
    rng = np.random.default_rng(seed)
    agrees = rng.random((streams, gate.looks[-1])) < true_agreement
    return [_first_decision([_AGREES if a else _DIFFERS for a in row], gate) for row in agrees]


def _first_decision(stream: Sequence[Seen], gate: GatePolicy) -> Decision:
    for look in gate.looks:
        seen = tally(stream[:look], gate)
        decision = judge(seen, gate, mode=Mode.SHADOW, in_mode=A_WEEK).decision
        if decision is not Decision.HOLD:
            return decision
    return Decision.HOLD


def first_alarms(
    failure_rate: float,
    jobs: int,
    policy: RollbackPolicy = ROLLBACK,
    streams: int = STREAMS,
    seed: int = 2,
) -> npt.NDArray[np.int64]:
    """The job at which each stream is rolled back, counted from 1; NEVER if none is."""
    rng = np.random.default_rng(seed)
    failed = rng.random((streams, jobs)) < failure_rate
    return np.array([_first_alarm(row.tolist(), policy) for row in failed])


def _first_alarm(failed: Sequence[bool], policy: RollbackPolicy) -> int:
    watch = FailureWatch()
    for job, this_failed in enumerate(failed, start=1):
        watch = watch.after(failed=this_failed)
        if watch.alarm(policy) is not None:
            return job
    return NEVER


def late_alarms(
    rates: npt.NDArray[np.float64], window: int, streams: int = 1_000, seed: int = 3
) -> npt.NDArray[np.int64]:
    """The first alarm of long streams, whose rate may change, over the newest `window` jobs.

    By the e-value alone, and by thresholds: a window at every job is too slow job by job.
    """
    rng = np.random.default_rng(seed)
    failed = rng.random((streams, len(rates))) < rates
    so_far = np.concatenate([np.zeros((streams, 1), int), failed.cumsum(axis=1)], axis=1)
    enough = _failures_that_alarm(window)
    ends = np.arange(1, len(rates) + 1)
    starts = np.maximum(ends - window, 0)
    alarms = so_far[:, ends] - so_far[:, starts] >= enough[ends - starts]
    return np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, NEVER)


def _failures_that_alarm(jobs: int) -> npt.NDArray[np.int64]:
    """For each number of jobs up to `jobs`, the fewest failures that raise an alarm."""

    def alarms(failures: int, among: int) -> bool:
        return failure_e_value(failures, among, ROLLBACK.failure_rate) >= ALARM_E_VALUE

    return np.array(
        [next((f for f in range(n + 1) if alarms(f, n)), n + 1) for n in range(jobs + 1)]
    )


def slowdown_alarms(
    ratio: float, spread: float, jobs: int = 300, streams: int = 300, seed: int = 4
) -> float:
    """The share of streams that are rolled back for slowness within `jobs`, half on each side.

    Times per frame are lognormal with the standard deviation `spread` of the logarithm; new's
    median is `ratio` times legacy's. Judged after every tenth job.
    """
    rng = np.random.default_rng(seed)
    times = np.exp(rng.normal(0, spread, (streams, jobs)))
    times[:, ::2] *= ratio
    return float(np.mean([_is_ever_slow(row.tolist()) for row in times]))


def _is_ever_slow(times: Sequence[float]) -> bool:
    served = [
        Served(
            at=NOON,
            job=str(job),
            stage=RoutedStage.ENCODING,
            side=Side.LEGACY if job % 2 else Side.NEW,
            wall_s=wall_s,
            frames=1,
        )
        for job, wall_s in enumerate(times)
    ]
    looks = range(10, len(served) + 1, 10)
    return any(slowdown_alarm(served[:jobs], ROLLBACK) is not None for jobs in looks)


def figures() -> Iterator[str]:
    yield "true agreement  promoted  held  aborted   (gate 95 %, looks 100, 200, 400)"
    for agreement in (0.90, 0.93, 0.95, 0.97, 0.98, 0.99, 1.0):
        made = decisions(agreement)
        shares = [made.count(d) / len(made) for d in (Decision.PROMOTE, Decision.HOLD)]
        aborted = made.count(Decision.ABORT) / len(made)
        yield f"{agreement:>14.0%}  {shares[0]:>8.1%} {shares[1]:>6.1%} {aborted:>7.1%}"
    yield "\ntrue failures   rolled back within 300 jobs   median job   (2 % allowed, 3 in a row)"
    for rate in (0.005, 0.01, 0.02, 0.05, 0.10, 0.30, 1.0):
        alarms = first_alarms(rate, 300)
        median = np.median(alarms)
        said = "never" if median == NEVER else f"{median:.0f}"
        yield f"{rate:>13.1%}   {np.mean(alarms <= 300):>27.2%}   {said:>10}"
    yield "\nwindow   rolled back in 3,000 jobs at 2 %   median job at 10 % after 3,000 at 0.5 %"
    for window in (200, 300, RECENT_JOBS, 1_000, 3_000):
        allowed = late_alarms(np.full(3_000, 0.02), window)
        breaking = np.concatenate([np.full(3_000, 0.005), np.full(2_000, 0.10)])
        late = late_alarms(breaking, window) - 3_000
        yield f"{window:>6}   {np.mean(allowed <= 3_000):>31.1%}   {np.median(late):>22.0f}"
    yield "\nnew's time per frame   spread   rolled back for slowness within 300 jobs   (limit 3)"
    for ratio, spread in ((1.0, 0.5), (1.0, 0.8), (2.0, 0.5), (4.0, 0.5)):
        yield f"{ratio:>20g}   {spread:>6}   {slowdown_alarms(ratio, spread):>20.1%}"


if __name__ == "__main__":
    for line in figures():
        print(line)
