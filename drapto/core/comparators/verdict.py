"""What a difference counts as: tolerances, noise, ignored fields, and whose loss it is.

Both sides are always named legacy and new, whichever of them served. The question is what new
would do to a user, so the rule is:

- A difference by which *new* loses something of the source is CRITICAL.
- One by which *legacy* loses something is a MISMATCH marked `lost_by` legacy. If nothing else
  differs, the run ends as LEGACY_ERROR and counts neither for new nor against it.
- Where it is open who is wrong, the source is asked; where the source cannot say, it counts
  against new.
- In an A/A run 'new' is legacy's second run, and every loss is CRITICAL: the pipeline does not
  even agree with itself.

`ignore` is a person's word and is taken for what it says, a critical field included. What is
no more than measured noise is not decided here but when runs are judged (`core/noise.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from drapto.core.comparison import FieldResult, Outcome, Severity, outcome_of
from drapto.core.flag_policy import Ignore, Tolerances
from drapto.core.routing import Side
from drapto.core.words import count, shortened

_REASON_FIELDS = 3  # discrepancies that a reason names
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Terms:
    """What a comparison is made by."""

    tolerances: Tolerances
    ignore: tuple[Ignore, ...] = ()
    today: date = date.min
    is_aa: bool = False

    def ignored(self, name: str) -> Ignore | None:
        """The entry that covers a field and has not expired; its last day still counts."""
        for entry in self.ignore:
            if entry.expires is not None and entry.expires < self.today:
                continue
            if re.fullmatch(".*".join(map(re.escape, entry.field.split("*"))), name):
                return entry
        return None


def family(name: str) -> str:
    """'tracks[2].language' -> 'tracks[*].language': the fields that are judged together."""
    return _INDEX.sub("[*]", name)


class Sheet:
    """Collects the fields of one comparison. `skip`: what a side does not report.

    A skipped name leaves out the field and whatever is below it: 'cuts' leaves out 'cuts.f1'.
    """

    def __init__(self, terms: Terms, skip: Sequence[str] = ()) -> None:
        self._terms = terms
        self._skip = tuple(skip)
        self._fields: list[FieldResult] = []

    @property
    def fields(self) -> tuple[FieldResult, ...]:
        return tuple(self._fields)

    @property
    def terms(self) -> Terms:
        return self._terms

    def is_skipped(self, name: str) -> bool:
        return any(name == s or name.startswith((f"{s}.", f"{s}[")) for s in self._skip)

    def exact(
        self, name: str, legacy: Any, new: Any, *, lost_by: Side | None = None, detail: str = ""
    ) -> None:
        """Two values that have to be equal."""
        distance = 0.0 if legacy == new else 1.0
        self.measured(name, said(legacy), said(new), distance, 0.0, lost_by=lost_by, detail=detail)

    def measured(
        self,
        name: str,
        legacy: str,
        new: str,
        distance: float,
        tolerance: float,
        *,
        lost_by: Side | None = None,
        detail: str = "",
    ) -> Severity:
        """Two values that may be `tolerance` apart."""
        outside = distance > tolerance + 1e-9  # sums of decimal fractions
        severity = self._severity(name, lost_by) if outside else Severity.WITHIN
        self.put(
            FieldResult(
                field=name,
                severity=severity,
                legacy=legacy,
                new=new,
                distance=distance,
                tolerance=tolerance,
                detail=self._detail(name, severity, outside, detail),
                lost_by=lost_by if outside else None,
            )
        )
        return severity

    def put(self, result: FieldResult) -> None:
        if not self.is_skipped(result.field):
            self._fields.append(result)

    def _severity(self, name: str, lost_by: Side | None) -> Severity:
        if self._terms.ignored(name) is not None:
            return Severity.IGNORED
        if lost_by is Side.NEW or (lost_by is not None and self._terms.is_aa):
            return Severity.CRITICAL
        return Severity.MISMATCH

    def _detail(self, name: str, severity: Severity, outside: bool, detail: str) -> str:
        entry = self._terms.ignored(name)
        if severity is Severity.IGNORED and entry is not None:
            return f"{detail} Ignored: {entry.reason}".strip()
        return detail if outside else ""


def loser(legacy: Any, new: Any, truth: Any = None) -> Side | None:
    """Who is wrong where two values differ that only the source can decide.

    None if they are equal. `truth` None: the source does not say, which counts against new.
    """
    if legacy == new:
        return None
    return Side.LEGACY if truth is not None and new == truth else Side.NEW


def said(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else shortened(str(value))


def verdict(fields: Sequence[FieldResult], incomparable: str = "") -> tuple[Outcome, str]:
    """The outcome and one plain sentence why.

    `incomparable`: why the two cannot be set side by side, empty if they can.
    """
    if incomparable:
        return Outcome.INCOMPARABLE, incomparable
    if not fields:
        return Outcome.INCOMPARABLE, "There is nothing that both sides report."
    outcome = outcome_of(fields)
    compared = count(len(fields), "field")
    if outcome is Outcome.MATCH:
        return outcome, f"All of {compared} compared are within their tolerances."
    gravest = {
        Outcome.CRITICAL: Severity.CRITICAL,
        Outcome.IGNORED: Severity.IGNORED,
    }.get(outcome, Severity.MISMATCH)
    found = [f for f in fields if f.severity is gravest]
    opening = {
        Outcome.CRITICAL: "Something of the source would be lost",
        Outcome.IGNORED: "Nothing differs but what was said to be ignored",
        Outcome.LEGACY_ERROR: "Legacy loses something of the source",
    }.get(outcome, f"{len(found)} of {compared} outside their tolerances")
    return outcome, f"{opening}: {_named(found)}."


def _named(found: Sequence[FieldResult]) -> str:
    shown = [f"{f.field} (legacy {f.legacy}, new {f.new})" for f in found[:_REASON_FIELDS]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
