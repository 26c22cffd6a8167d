"""Whether a stage may move on: from comparisons to a verdict. `docs/judging.md` explains it.

    verdict = judge(tally(comparisons, flag.gate), flag.gate, mode=Mode.SHADOW, in_mode=age)
    verdict.decision, verdict.reason

Pure. The comparisons are those of one stage and one candidate revision, oldest first.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from drapto.core.comparison import Outcome
from drapto.core.flag_policy import GatePolicy
from drapto.core.media import Value
from drapto.core.routing import Mode
from drapto.core.statistics import Z_95, corrected_z, exact_interval, wilson_interval
from drapto.core.words import count

ERROR = 0.05  # the chance to promote, or to abort, what is exactly as good as the gate

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

# Where a verdict moves a stage. Retiring legacy for good is for a person to do.
_NEXT_MODE = {Mode.SHADOW: Mode.CANARY, Mode.CANARY: Mode.NEW}


class Observed(Protocol):
    """What judging needs of a comparison. `Comparison` is one; so is a row of the store."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def is_aa(self) -> bool: ...
    @property
    def strata(self) -> tuple[str, ...]: ...


class Agreement(Value):
    """How many comparisons agreed, of those that say something about the new side."""

    agreed: int = 0
    counted: int = 0

    @property
    def share(self) -> float:
        """From 0 to 1; 0 for none."""
        return self.agreed / self.counted if self.counted else 0.0

    @classmethod
    def of(cls, outcomes: Mapping[Outcome, int]) -> Agreement:
        return cls(
            agreed=sum(n for outcome, n in outcomes.items() if outcome.agrees),
            counted=sum(n for outcome, n in outcomes.items() if outcome.counts),
        )

    def bounds(self, looks: int) -> tuple[float, float]:
        """At least and at most, each wrong in at most 5 % although it is looked at `looks` times.

        Wilson's bounds at the corrected z, or the exact ones where those are more cautious.
        """
        wilson = wilson_interval(self.agreed, self.counted, corrected_z(looks, ERROR))
        exact = exact_interval(self.agreed, self.counted, ERROR / looks)
        return min(wilson[0], exact[0]), max(wilson[1], exact[1])

    def __str__(self) -> str:
        return f"{self.agreed} of {self.counted} ({self.share:.1%})"


class Tally(Value):
    """What the comparisons add up to."""

    total: Agreement = Agreement()
    looks: tuple[Agreement, ...] = ()  # as it stood at each look that was reached
    strata: Mapping[str, Agreement] = {}
    aa: Agreement = Agreement()  # legacy against itself
    outcomes: Mapping[Outcome, int] = {}  # without the A/A runs

    @property
    def critical(self) -> int:
        return self.outcomes.get(Outcome.CRITICAL, 0)

    @property
    def uncounted(self) -> int:
        """Skipped, incomparable, or legacy's own errors: they say nothing about the new side."""
        return sum(self.outcomes.values()) - self.total.counted


class Decision(StrEnum):
    PROMOTE = "promote"
    HOLD = "hold"
    ABORT = "abort"


class Verdict(Value):
    """What to do with a stage, and why.

    `lower_95` is the lower end of the Wilson 95 % interval of all comparisons, for a report.
    The decision is made on `look`, the newest that was reached, whose two bounds are corrected
    for the number of looks (`Agreement.bounds`, `z`). `moves_to` is the mode that the decision
    means, None for the present one.
    """

    decision: Decision
    reason: str  # plain sentences
    total: Agreement
    lower_95: float
    gate: float
    aa: Agreement
    z: float
    look: Agreement | None = None
    lower: float = 0.0  # of `look`
    upper: float = 1.0
    next_look: int | None = None  # comparisons at the next look; None after the last one
    moves_to: Mode | None = None
    dry_run: bool = True

    @property
    def action(self) -> str:
        """What is done about it, or would be, were this not a dry run. One plain sentence."""
        if self.decision is Decision.HOLD:
            return "Nothing changes."
        if self.moves_to is None:
            kept = "A person decides: the mode stays as it is."
            return kept if self.decision is Decision.PROMOTE else f"Mend the new side. {kept}"
        return f"{'Would move' if self.dry_run else 'Moves'} to {self.moves_to}."


def tally(observed: Iterable[Observed], gate: GatePolicy) -> Tally:
    """Count the comparisons, oldest first: a look is at the first so many, whatever came after."""
    outcomes: Counter[Outcome] = Counter()  # plain counts: a report goes over 100,000
    aa: Counter[Outcome] = Counter()
    of_kind: dict[str, Counter[Outcome]] = defaultdict(Counter)
    agreed, counted, looks = 0, 0, []
    wanted = set(gate.looks)
    for seen in observed:
        outcome = seen.outcome
        if seen.is_aa:
            aa[outcome] += 1
            continue
        outcomes[outcome] += 1
        for name in seen.strata:
            of_kind[name][outcome] += 1
        if outcome.counts:
            agreed, counted = agreed + outcome.agrees, counted + 1
            if counted in wanted:
                looks.append(Agreement(agreed=agreed, counted=counted))
    return Tally(
        total=Agreement.of(outcomes),
        looks=tuple(looks),
        strata={name: Agreement.of(counts) for name, counts in of_kind.items()},
        aa=Agreement.of(aa),
        outcomes=outcomes,
    )


def judge(seen: Tally, gate: GatePolicy, *, mode: Mode, in_mode: timedelta) -> Verdict:
    """Promote, hold or abort. `in_mode` is how long the stage has been in `mode`.

    The bounds are corrected for all looks, so a stage whose true agreement is that of the gate is
    ever promoted in at most 5 %, and ever aborted in at most 5 %.
    """
    z = corrected_z(len(gate.looks), ERROR)
    look = seen.looks[-1] if seen.looks else None
    lower, upper = look.bounds(len(gate.looks)) if look else (0.0, 1.0)
    decision, reason = _decided(seen, gate, look, (lower, upper), in_mode)
    return Verdict(
        decision=decision,
        reason=reason,
        total=seen.total,
        lower_95=wilson_interval(seen.total.agreed, seen.total.counted, Z_95)[0],
        gate=gate.agreement,
        aa=seen.aa,
        z=z,
        look=look,
        lower=lower,
        upper=upper,
        next_look=next((n for n in gate.looks if n > seen.total.counted), None),
        moves_to=_moves_to(decision, mode),
        dry_run=gate.dry_run,
    )


def bake_time(gate: GatePolicy) -> timedelta:
    return time_span(gate.bake)


def time_span(text: str) -> timedelta:
    """'90s', '30m', '24h', '7d' as a time. Errors: ValueError for anything else."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal():
        raise ValueError(f"{text!r} is no time such as 90s, 30m, 24h or 7d")
    return timedelta(**{_UNITS[unit]: int(number)})


def runs_needed(gate: GatePolicy) -> int | None:
    """The fewest comparisons that can pass the gate, if all agree; None: no number can.

    Wilson's lower bound for n of n is n / (n + z²), the exact one error^(1/n).
    """
    if gate.agreement >= 1:
        return None
    if gate.agreement <= 0:
        return 1
    looks = len(gate.looks)
    wilson = gate.agreement * corrected_z(looks, ERROR) ** 2 / (1 - gate.agreement)
    exact = math.log(ERROR / looks) / math.log(gate.agreement)
    return math.ceil(max(wilson, exact, 1))


def _decided(
    seen: Tally,
    gate: GatePolicy,
    look: Agreement | None,
    bounds: tuple[float, float],
    in_mode: timedelta,
) -> tuple[Decision, str]:
    """The first rule that applies, gravest first."""
    lower, upper = bounds
    if seen.critical:
        lost = count(seen.critical, "comparison")
        return Decision.ABORT, f"In {lost} the new side would have lost something of the source."
    if seen.aa.counted and seen.aa.share < gate.agreement:
        return Decision.HOLD, (
            f"Fix the tolerances first: legacy agrees with itself in only {seen.aa}, below the "
            f"gate of {gate.agreement:.1%}."
        )
    if look is None:
        return Decision.HOLD, _too_few(seen, gate)
    measured = f"{look} agreed at the look at {look.counted}"
    if upper < gate.agreement:
        return Decision.ABORT, (
            f"{measured}: at best {upper:.1%}, below the gate of {gate.agreement:.1%}."
        )
    if lower < gate.agreement:
        return Decision.HOLD, f"{measured}: {_undecided(seen, gate, lower)}"
    shown = f"{measured}: at least {lower:.1%}, the gate is {gate.agreement:.1%}."
    if missing := _strata_missing(seen, gate):
        return Decision.HOLD, f"{shown} But {missing}."
    if in_mode < bake_time(gate):
        return Decision.HOLD, f"{shown} But the mode was set less than {gate.bake} ago."
    return Decision.PROMOTE, shown


def _too_few(seen: Tally, gate: GatePolicy) -> str:
    so_far = f"{seen.total.counted} of {gate.looks[0]} comparisons for the first look"
    return f"Too little data: {so_far}.{_never(gate)}"


def _undecided(seen: Tally, gate: GatePolicy, lower: float) -> str:
    bound = f"at least {lower:.1%}, which does not show the gate of {gate.agreement:.1%}."
    following = next((n for n in gate.looks if n > seen.total.counted), None)
    if following is not None:
        return f"{bound} The next look is at {following}.{_never(gate)}"
    return (
        f"{bound} It was the last look: a person decides, or a new candidate_revision begins "
        f"again.{_never(gate)}"
    )


def _never(gate: GatePolicy) -> str:
    """A warning where no agreement could pass the gate at any of its looks."""
    needed = runs_needed(gate)
    if needed is None:
        return " An agreement of 100.0% can never be shown: lower the gate."
    if needed > gate.looks[-1]:
        return (
            f" An agreement of {gate.agreement:.1%} cannot be shown by {gate.looks[-1]} "
            f"comparisons, even if all agree: add a look at {needed} or more."
        )
    return ""


def _strata_missing(seen: Tally, gate: GatePolicy) -> str:
    """What is not known of a kind of source, or known to be bad; empty if nothing is missing."""
    missing = []
    for name, minimum in sorted(gate.strata_minimum.items()):
        counted = seen.strata.get(name, Agreement()).counted
        if counted < minimum:
            missing.append(f"only {counted} of {minimum} comparisons are of {name} sources")
    for name, agreement in sorted(seen.strata.items()):
        if agreement.bounds(len(gate.looks))[1] < gate.agreement:
            missing.append(f"of {name} sources only {agreement} agreed")
    return ", and ".join(missing)


def _moves_to(decision: Decision, mode: Mode) -> Mode | None:
    if decision is Decision.PROMOTE:
        return _NEXT_MODE.get(mode)
    if decision is Decision.ABORT and mode in (Mode.CANARY, Mode.NEW):
        return Mode.ROLLED_BACK
    return None
