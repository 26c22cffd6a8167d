"""Adds up what the store of comparisons holds, for a report. Reads no bodies but the worst ones.

See `core/shadow_figures.py` for what the figures mean.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from drapto.core.comparison import Outcome
from drapto.core.noise import noise_level
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadow_figures import (
    FieldFigures,
    OutcomeCount,
    Ratios,
    ServedCount,
    StageFigures,
    StratumCount,
)

_DAY_US = 86_400_000_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_IGNORED, _MISMATCH, _CRITICAL = 1, 2, 3  # core.comparison.Severity in its order
_COUNTS = {outcome.value: outcome.counts for outcome in Outcome}
_AGREES = {outcome.value: outcome.agrees for outcome in Outcome}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Query:
    """Which rows: of one stage, of a revision or all, from a moment on (microseconds)."""

    stage: RoutedStage
    revision: str | None = None
    since_us: int | None = None

    @property
    def where(self) -> str:
        parts = ["stage = ?"]
        parts += ["revision = ?"] if self.revision is not None else []
        parts += ["at_us >= ?"] if self.since_us is not None else []
        return " AND ".join(parts)

    @property
    def values(self) -> tuple[str | int, ...]:
        given = (self.stage.value, self.revision, self.since_us)
        return tuple(value for value in given if value is not None)


class _Run(NamedTuple):
    """One comparison without its body: a tuple, because there are many."""

    number: int
    at_us: int  # since 1970, UTC
    outcome: str
    is_aa: int  # 0 or 1, as SQLite says it
    is_compared: int
    strata: str
    size: float | None
    vmaf_mean: float | None
    vmaf_p1: float | None
    time: float | None


@dataclass(frozen=True)
class _Family:
    """The rows of one field family: shape (rows,) each. `held` is below 0 where nothing is."""

    name: str
    number: npt.NDArray[np.int64]
    is_aa: npt.NDArray[np.bool_]
    distance: Floats
    held: Floats
    severity: npt.NDArray[np.int64]


_DIFFERENCE = np.dtype(
    [("number", np.int64), ("distance", np.float64), ("held", np.float64), ("severity", np.int64)]
)


def read_figures(
    connection: sqlite3.Connection, query: Query, worst: int
) -> tuple[StageFigures, list[bytes]]:
    """The figures without `worst`, and the bodies of those."""
    runs = _runs(connection, query)
    own = [run for run in runs if not run.is_aa]
    of_aa = [run for run in runs if run.is_aa]
    compared = sum(run.is_compared for run in own)
    aa_compared = sum(run.is_compared for run in of_aa)
    fields: list[FieldFigures] = []
    held: set[int] = set()  # runs with a mismatch that is more than noise
    for family in _families(connection, query, runs):
        level = noise_level(_padded(family.distance[family.is_aa], aa_compared).tolist())
        above = (family.held >= 0) & (family.held > (-1.0 if level is None else level))
        held |= set(family.number[above].tolist())
        fields.append(_field_figures(family, compared, aa_compared, level, above))
    mismatch = Outcome.MISMATCH.value
    excused = {run.number for run in own if run.outcome == mismatch and run.number not in held}
    counting = [run for run in own if _COUNTS[run.outcome]]
    figures = StageFigures(
        stage=query.stage,
        comparisons=compared,
        aa_runs=aa_compared,
        outcomes=_outcomes(runs, excused),
        agreements=tuple(_AGREES[run.outcome] or run.number in excused for run in counting),
        times_s=tuple(run.at_us / 1e6 for run in counting),
        strata=_strata(own, excused),
        fields=tuple(sorted(fields, key=lambda f: (-f.critical, -f.outside, f.field))),
        ratios=_ratios(own),
        aa_ratios=_ratios(of_aa),
        served=_served(connection, query),
    )
    return figures, _worst(connection, query, worst)


def _runs(connection: sqlite3.Connection, query: Query) -> list[_Run]:
    """Oldest first."""
    rows = connection.execute(
        "SELECT number, at_us, outcome, is_aa, compared, strata, "
        f"size_ratio, vmaf_mean, vmaf_p1, time_ratio FROM comparison WHERE {query.where} "
        "ORDER BY at_us, number",
        query.values,
    )
    new = tuple.__new__  # as _Run._make does it, without a call for each of 100,000
    return [new(_Run, row) for row in rows]


def _families(
    connection: sqlite3.Connection, query: Query, runs: Sequence[_Run]
) -> Iterator[_Family]:
    """Only rows of these runs."""
    if not runs:
        return
    wanted = np.array(sorted((run.number, run.is_aa) for run in runs), np.int64)
    names = connection.execute(
        "SELECT id, name FROM family WHERE stage = ? ORDER BY id", (query.stage.value,)
    ).fetchall()
    for id, name in names:
        rows = np.fromiter(
            connection.execute(
                "SELECT number, distance, coalesce(held, -1), severity FROM difference "
                "WHERE family = ? AND number BETWEEN ? AND ?",
                (id, int(wanted[0, 0]), int(wanted[-1, 0])),
            ),
            _DIFFERENCE,
        )
        place = np.searchsorted(wanted[:, 0], rows["number"])
        is_wanted = wanted[place, 0] == rows["number"]
        if is_wanted.any():
            rows, place = rows[is_wanted], place[is_wanted]
            yield _Family(
                name=name,
                number=rows["number"],
                is_aa=wanted[place, 1] == 1,
                distance=rows["distance"],
                held=rows["held"],
                severity=rows["severity"],
            )


def _padded(distances: Floats, runs: int) -> Floats:
    """With a 0 for every run that has no row, because nothing differed there."""
    return np.concatenate([distances, np.zeros(max(0, runs - len(distances)))])


def _field_figures(
    family: _Family, runs: int, aa_runs: int, level: float | None, above: npt.NDArray[np.bool_]
) -> FieldFigures:
    own = ~family.is_aa
    severity = family.severity[own]
    distances = _padded(family.distance[own], runs)
    of_aa = _padded(family.distance[family.is_aa], aa_runs)
    return FieldFigures(
        field=family.name,
        outside=int(np.sum(severity >= _MISMATCH)),
        critical=int(np.sum(severity == _CRITICAL)),
        ignored=int(np.sum(severity == _IGNORED)),
        above_noise=int(np.sum((severity == _CRITICAL) | above[own])),
        median=_quantile(distances, 0.5),
        p95=_quantile(distances, 0.95),
        max=_quantile(distances, 1),
        aa_outside=int(np.sum(family.severity[family.is_aa] >= _MISMATCH)),
        aa_median=_quantile(of_aa, 0.5),
        aa_p95=_quantile(of_aa, 0.95),
        aa_max=_quantile(of_aa, 1),
        noise=level,
    )


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0


def _outcomes(runs: Sequence[_Run], excused: set[int]) -> tuple[OutcomeCount, ...]:
    counts = Counter((run.at_us // _DAY_US, run.outcome, run.is_aa) for run in runs)
    spared = Counter(run.at_us // _DAY_US for run in runs if run.number in excused)
    return tuple(
        OutcomeCount(
            day=date.fromordinal(_EPOCH_ORDINAL + day),
            outcome=Outcome(outcome),
            is_aa=bool(is_aa),
            runs=number,
            excused=spared[day] if outcome == Outcome.MISMATCH and not is_aa else 0,
        )
        for (day, outcome, is_aa), number in sorted(counts.items())
    )


def _strata(runs: Sequence[_Run], excused: set[int]) -> tuple[StratumCount, ...]:
    kinds = Counter((run.strata, run.outcome, run.number in excused) for run in runs)
    counted: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for (strata, name, is_excused), number in kinds.items():
        outcome = Outcome(name)
        for stratum in filter(None, strata.split(",")):
            counted[stratum] += number if outcome.counts else 0
            agreed[stratum] += number if outcome.agrees or is_excused else 0
    return tuple(
        StratumCount(stratum=name, counted=counted[name], agreed=agreed[name])
        for name in sorted(counted)
    )


def _ratios(runs: Sequence[_Run]) -> Ratios:
    return Ratios(
        size=tuple(run.size for run in runs if run.size is not None),
        vmaf_mean=tuple(run.vmaf_mean for run in runs if run.vmaf_mean is not None),
        vmaf_p1=tuple(run.vmaf_p1 for run in runs if run.vmaf_p1 is not None),
        time=tuple(run.time for run in runs if run.time is not None),
    )


def _worst(connection: sqlite3.Connection, query: Query, limit: int) -> list[bytes]:
    rows = connection.execute(
        f"SELECT body FROM (SELECT number, gravity, at_us FROM comparison WHERE {query.where} "
        "AND gravity > 0 AND NOT is_aa ORDER BY gravity DESC, at_us DESC LIMIT ?) "
        "JOIN comparison_body USING (number) ORDER BY gravity DESC, at_us DESC",
        (*query.values, limit),
    )
    return [body for (body,) in rows]


def _served(connection: sqlite3.Connection, query: Query) -> tuple[ServedCount, ...]:
    rows = connection.execute(
        f"SELECT side, count(*), sum(failed) FROM served WHERE {query.where} GROUP BY side",
        query.values,
    )
    return tuple(ServedCount(side=Side(side), served=n, failed=bad) for side, n, bad in rows)
