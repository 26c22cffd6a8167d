"""What became of every kind of fault, as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.faults.harness import Outcome, Verdict

_COLUMNS = ("injected", "survived", "clear error", "lost")


@dataclass
class Row:
    name: str
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    skipped: str = ""  # why it could not be tried here

    @property
    def injected(self) -> int:
        return self.outcomes.total() - self.outcomes[Outcome.MISSED]

    def cells(self) -> list[str]:
        counts = (Outcome.SURVIVED, Outcome.CLEAR_ERROR, Outcome.LOST)
        return [str(self.injected), *(str(self.outcomes[outcome]) for outcome in counts)]


@dataclass
class Table:
    rows: dict[str, Row] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        return self.rows.setdefault(name, Row(name))

    def add(self, name: str, verdict: Verdict) -> None:
        self.row(name).outcomes[verdict.outcome] += 1

    @property
    def lost(self) -> int:
        return sum(row.outcomes[Outcome.LOST] for row in self.rows.values())

    @property
    def never_hit(self) -> list[str]:
        """Kinds that could be tried here and whose fault came too late every time."""
        return [row.name for row in self.rows.values() if not row.injected and not row.skipped]

    def __str__(self) -> str:
        total = Row("all")
        for row in self.rows.values():
            total.outcomes += row.outcomes
        width = max((len(name) for name in self.rows), default=0)
        lines = [f"{'fault':<{width}}  " + "  ".join(f"{name:>11}" for name in _COLUMNS)]
        for row in (*self.rows.values(), total):
            if row.skipped:
                lines.append(f"{row.name:<{width}}  skipped: {row.skipped}")
            else:
                cells = "  ".join(f"{cell:>11}" for cell in row.cells())
                lines.append(f"{row.name:<{width}}  {cells}")
        return "\n".join(lines)
