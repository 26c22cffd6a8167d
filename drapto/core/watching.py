"""When a stage has to go back to legacy by itself: the rules, as pure functions of what happened.

`services/rollback.py` feeds them with history and acts on the `Alarm`. How often they are wrong,
and how quick they are: `docs/judging.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from drapto.core.comparison import Comparison, Outcome, Served
from drapto.core.flag_policy import RollbackPolicy
from drapto.core.media import Value
from drapto.core.routing import Mode, Side
from drapto.core.statistics import ALARM_E_VALUE, failure_e_value
from drapto.core.words import count

# Where the new side serves and legacy can take over. In shadow mode legacy serves anyway, and a
# retired stage has no legacy to go back to.
WATCHED_MODES = frozenset({Mode.CANARY.value, Mode.NEW.value})

# How many of the newest jobs are looked at. A test over all of them grows deaf: after 3,000 good
# jobs it needs 745 to notice that 10 % fail, over the newest 500 it needs 189. Shorter windows
# raise more false alarms in the long run (`docs/judging.md`).
RECENT_JOBS = 500

_LARGEST_E_VALUE = 1e6  # in evidence: infinity is no JSON, and nobody needs the digits


class Alarm(Value):
    """A reason to roll back: one plain sentence, and the figures behind it for the audit log."""

    why: str
    evidence: dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class FailureWatch:
    """The failures among the jobs that new was to serve, counted as they come.

    watch = FailureWatch()
    watch = watch.after(failed=True)
    watch.alarm(policy)
    """

    jobs: int = 0
    failures: int = 0
    in_a_row: int = 0  # the newest jobs, without a good one among them

    @classmethod
    def over(cls, served: Iterable[Served]) -> FailureWatch:
        """Of the newest `RECENT_JOBS` that new was to serve; `served` is oldest first."""
        watch = cls()
        for job in [s for s in served if s.side is Side.NEW][-RECENT_JOBS:]:
            watch = watch.after(failed=job.failed)
        return watch

    def after(self, *, failed: bool) -> FailureWatch:
        if failed:
            return FailureWatch(self.jobs + 1, self.failures + 1, self.in_a_row + 1)
        return FailureWatch(self.jobs + 1, self.failures, 0)

    def alarm(self, policy: RollbackPolicy) -> Alarm | None:
        if self.in_a_row >= policy.consecutive:
            return self._alarm(
                f"New failed {count(self.in_a_row, 'time')} in a row; "
                f"{policy.consecutive} are the limit.",
                policy,
            )
        e_value = failure_e_value(self.failures, self.jobs, policy.failure_rate)
        if e_value >= ALARM_E_VALUE:
            return self._alarm(
                f"New failed in {self.failures} of {count(self.jobs, 'job')}, more than the "
                f"{policy.failure_rate:.2%} that are allowed can explain.",
                policy,
            )
        return None

    def _alarm(self, why: str, policy: RollbackPolicy) -> Alarm:
        e_value = failure_e_value(self.failures, self.jobs, policy.failure_rate)
        return Alarm(
            why=why,
            evidence={
                "failures": self.failures,
                "jobs": self.jobs,
                "in_a_row": self.in_a_row,
                "e_value": round(min(e_value, _LARGEST_E_VALUE), 2),
                "failure_rate": policy.failure_rate,
                "consecutive": policy.consecutive,
            },
        )


def slowdown_alarm(served: Sequence[Served], policy: RollbackPolicy) -> Alarm | None:
    """Whether new needs far more time for a frame than legacy, among sources of the same kind.

    The medians are compared, so that one stuck job or one enormous source decides nothing.
    """
    if policy.slowdown is None:
        return None
    for strata, (legacy_s, new_s) in sorted(_frame_times(served).items()):
        if min(len(legacy_s), len(new_s)) < policy.slowdown_jobs:
            continue
        legacy_median_s, new_median_s = median(legacy_s), median(new_s)
        if new_median_s > policy.slowdown * legacy_median_s:
            kind = " ".join(strata)
            sources = f"{kind} sources" if kind else "sources"
            return Alarm(
                why=(
                    f"New takes {new_median_s / legacy_median_s:.1f} times as long for a frame as "
                    f"legacy does (median of {len(new_s)} and {len(legacy_s)} {sources}); "
                    f"{policy.slowdown:g} times is the limit."
                ),
                evidence={
                    "sources": kind,
                    "new_median_s_per_frame": new_median_s,
                    "legacy_median_s_per_frame": legacy_median_s,
                    "new_jobs": len(new_s),
                    "legacy_jobs": len(legacy_s),
                    "slowdown": policy.slowdown,
                },
            )
    return None


def critical_alarm(comparisons: Iterable[Comparison]) -> Alarm | None:
    """The newest comparison, if any, by which new lost something while it served."""
    critical = [
        c
        for c in comparisons
        if c.outcome is Outcome.CRITICAL and not c.is_aa and c.mode in WATCHED_MODES
    ]
    if not critical:
        return None
    newest = critical[-1]
    return Alarm(
        why=f"Comparison {newest.id} of {newest.source.name} is critical: {newest.reason}",
        evidence={
            "comparison": newest.id,
            "job": newest.job,
            "source": str(newest.source),
            "critical_comparisons": len(critical),
        },
    )


def _frame_times(
    served: Iterable[Served],
) -> dict[tuple[str, ...], tuple[list[float], list[float]]]:
    """Seconds per frame by strata: (legacy's, new's). A failed job was served by legacy."""
    times: dict[tuple[str, ...], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for job in served:
        if job.frames > 0 and job.wall_s > 0:
            by_new = job.side is Side.NEW and not job.failed
            times[job.strata][by_new].append(job.wall_s / job.frames)
    return dict(times)
