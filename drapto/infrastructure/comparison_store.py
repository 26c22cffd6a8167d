"""The history of shadow runs and served stages, in SQLite: a `ComparisonStore`.

    store = SqliteComparisonStore(state_dir, on_warning=warn)
    await store.record(comparison)
    await store.comparisons(RoutedStage.DETECTION, revision="3", limit=400)
    await store.figures(RoutedStage.DETECTION)     # everything of a report, added up

Durable when a call returns; several processes may write at once. Errors are StateError: whoever
serves a job with it catches that and warns, because a store that fails must never fail a job.
Comparisons are kept until the file is removed.

Tests: tests/infrastructure/test_comparison_store.py; how fast: bench/comparison_store.py.
"""

from __future__ import annotations

import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
from pydantic import ValidationError

from drapto.core.comparators.verdict import family
from drapto.core.comparison import Comparison, FieldResult, Outcome, Served, Severity
from drapto.core.errors import StateError
from drapto.core.json_text import dumps, loads
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadow_figures import StageFigures
from drapto.infrastructure.comparison_figures import Query, read_figures
from drapto.infrastructure.comparison_schema import Database

FILE_NAME = "shadow.sqlite3"

T = TypeVar("T")

_ESCAPED = rb"\\x"  # what core/json_text.py writes for a byte that is no text, as JSON spells it

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Which comparisons a person wants to see first; 0 is never shown as a worst case.
_GRAVITY = {
    Outcome.CRITICAL: 5,
    Outcome.CANDIDATE_ERROR: 4,
    Outcome.TIMEOUT: 3,
    Outcome.MISMATCH: 2,
    Outcome.LEGACY_ERROR: 1,
}
_RANK = {severity: rank for rank, severity in enumerate(Severity)}  # within 0 … critical 3


def _unheard(_warning: str) -> None:
    """For those who have nobody to warn."""


class SqliteComparisonStore:
    """See the module's text. Nothing is opened before the first call."""

    def __init__(self, state_dir: Path, on_warning: Callable[[str], None] = _unheard) -> None:
        self._database = Database(state_dir / FILE_NAME, on_warning)

    @property
    def path(self) -> Path:
        return self._database.path

    async def record(self, comparison: Comparison) -> None:
        """One that is there already (same id) is left as it is."""
        await self._write(lambda c: insert_comparisons(c, (comparison,)))

    async def record_served(self, served: Served) -> None:
        await self._write(lambda c: _insert_served(c, served))

    async def comparisons(
        self,
        stage: RoutedStage,
        revision: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[Comparison, ...]:
        """The newest `limit` at `since` or later, A/A runs included, oldest first."""
        query = _query(stage, revision, since)
        rows = await self._read(lambda c: _newest_comparisons(c, query, limit)) or []
        return tuple(self._comparison(body) for body in rows)

    async def served(
        self,
        stage: RoutedStage,
        revision: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        side: Side | None = None,
    ) -> tuple[Served, ...]:
        """The newest `limit` at `since` or later, oldest first; `side` None: of both sides."""
        query = _query(stage, revision, since)
        rows = await self._read(lambda c: _newest_served(c, query, limit, side)) or []
        try:
            return tuple(Served.model_validate(loads(body)) for body in rows)
        except (ValueError, ValidationError) as error:
            raise self._unreadable(error) from error

    async def get(self, id: str) -> Comparison | None:
        """The comparison of that id, or the only one whose id begins so; else None."""
        rows = await self._read(lambda c: _with_id(c, id)) or []
        return self._comparison(rows[0]) if len(rows) == 1 else None

    async def ids_near(self, id: str, most: int = 5) -> tuple[str, ...]:
        """Ids that somebody may have meant: with the same beginning or, failing that, the same
        end; else the newest."""
        return tuple(await self._read(lambda c: _ids_near(c, id, most)) or ())

    async def figures(
        self,
        stage: RoutedStage,
        revision: str | None = None,
        since: datetime | None = None,
        *,
        worst: int = 10,
    ) -> StageFigures:
        query = _query(stage, revision, since)
        found = await self._read(lambda c: read_figures(c, query, worst))
        if found is None:
            return StageFigures(stage=stage)
        figures, bodies = found
        return figures.model_copy(update={"worst": tuple(map(self._comparison, bodies))})

    async def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        await anyio.to_thread.run_sync(partial(self._database.run, work, write=True))

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """None where nothing was ever recorded: reading makes no file."""

        def read() -> T | None:
            return self._database.run(work, write=False) if self.path.exists() else None

        return await anyio.to_thread.run_sync(read)

    def _comparison(self, body: bytes) -> Comparison:
        try:
            text = zlib.decompress(body)
            if _ESCAPED not in text:  # ten times as fast, and there are many
                return Comparison.model_validate_json(text)
            return Comparison.model_validate(loads(text))
        except (ValueError, ValidationError, zlib.error) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> StateError:
        return StateError(
            f"An entry of the store of shadow runs {self.path} cannot be read: {error}",
            hint="Move the file away: a new one is begun.",
        )


def insert_comparisons(connection: sqlite3.Connection, comparisons: Iterable[Comparison]) -> None:
    """In the transaction of the caller."""
    for comparison in comparisons:
        row = (
            comparison.id,
            _microseconds(comparison.at),
            comparison.stage.value,
            comparison.revision,
            comparison.is_aa,
            comparison.outcome.value,
            _GRAVITY.get(comparison.outcome, 0),
            bool(comparison.fields),
            ",".join(comparison.strata),
            comparison.measures.get("size_ratio"),
            comparison.measures.get("vmaf_mean_difference"),
            comparison.measures.get("vmaf_p1_difference"),
            _time_ratio(comparison),
        )
        done = connection.execute(
            "INSERT OR IGNORE INTO comparison (id, at_us, stage, revision, is_aa, outcome, "
            "gravity, compared, strata, size_ratio, vmaf_mean, vmaf_p1, time_ratio) "
            f"VALUES ({', '.join('?' * len(row))})",
            row,
        )
        if done.rowcount == 0:
            continue
        number = done.lastrowid
        body = zlib.compress(dumps(comparison).encode())
        connection.execute("INSERT INTO comparison_body VALUES (?, ?)", (number, body))
        for name, (distance, held, rank) in _differences(comparison.fields).items():
            key = (comparison.stage.value, name)
            connection.execute("INSERT OR IGNORE INTO family (stage, name) VALUES (?, ?)", key)
            connection.execute(
                "INSERT INTO difference SELECT id, ?, ?, ?, ? FROM family "
                "WHERE stage = ? AND name = ?",
                (number, distance, held, rank, *key),
            )


def _differences(fields: Iterable[FieldResult]) -> dict[str, tuple[float, float | None, int]]:
    """By family: the largest distance, that of the mismatches, and the gravest severity."""
    found: dict[str, tuple[float, float | None, int]] = {}
    for field in fields:
        rank = _RANK[field.severity]
        if not field.distance and not rank:
            continue
        held = None
        if field.severity is Severity.MISMATCH:  # noise excuses nothing that has to be exact
            held = field.distance if field.tolerance > 0 else sys.float_info.max
        name = family(field.field)
        known = found.get(name, (0.0, None, 0))
        helds = [h for h in (held, known[1]) if h is not None]
        found[name] = (
            max(field.distance, known[0]), max(helds, default=None), max(rank, known[2]),
        )  # fmt: skip
    return found


def _time_ratio(comparison: Comparison) -> float | None:
    """Wall time of new by that of legacy; in an A/A run of the second run by the first."""
    new_s, legacy_s = comparison.candidate_s, comparison.primary_s
    if comparison.primary is Side.NEW:
        new_s, legacy_s = legacy_s, new_s
    return new_s / legacy_s if new_s > 0 and legacy_s > 0 and comparison.fields else None


def _insert_served(connection: sqlite3.Connection, served: Served) -> None:
    connection.execute(
        "INSERT INTO served (at_us, stage, revision, side, failed, body) VALUES (?, ?, ?, ?, ?, ?)",
        (
            _microseconds(served.at),
            served.stage.value,
            served.revision,
            served.side.value,
            served.failed,
            dumps(served),
        ),
    )


def _newest_comparisons(
    connection: sqlite3.Connection, query: Query, limit: int | None
) -> list[bytes]:
    rows = connection.execute(
        f"SELECT body FROM (SELECT number, at_us FROM comparison WHERE {query.where} "
        "ORDER BY at_us DESC, number DESC LIMIT ?) JOIN comparison_body USING (number) "
        "ORDER BY at_us, number",
        (*query.values, _limit(limit)),
    )
    return [body for (body,) in rows]


def _newest_served(
    connection: sqlite3.Connection, query: Query, limit: int | None, side: Side | None
) -> list[str]:
    of_side = "" if side is None else "AND side = ?"
    sides = () if side is None else (side.value,)
    rows = connection.execute(
        f"SELECT body FROM served WHERE {query.where} {of_side} "
        "ORDER BY at_us DESC, number DESC LIMIT ?",
        (*query.values, *sides, _limit(limit)),
    ).fetchall()
    return [body for (body,) in reversed(rows)]


def _with_id(connection: sqlite3.Connection, id: str) -> list[bytes]:
    """Two at most: more than one is as good as none."""
    rows = connection.execute(
        "SELECT body FROM comparison JOIN comparison_body USING (number) "
        "WHERE id >= ? AND id < ? LIMIT 2",
        (id, id + "\U0010ffff"),
    )
    return [body for (body,) in rows]


def _ids_near(connection: sqlite3.Connection, id: str, most: int) -> list[str]:
    attempts = [("id >= ?1 AND id < ?1 || char(1114111)", id[:n]) for n in range(len(id), 2, -1)]
    attempts += [("substr(id, -length(?1)) = ?1", id[-n:]) for n in range(len(id), 2, -1)]
    for where, part in [*attempts, ("?1 = ?1", "")]:
        rows = connection.execute(
            f"SELECT id FROM comparison WHERE {where} ORDER BY at_us DESC LIMIT ?2", (part, most)
        ).fetchall()
        if rows:
            return [found for (found,) in rows]
    return []


def _query(stage: RoutedStage, revision: str | None, since: datetime | None) -> Query:
    return Query(stage, revision, None if since is None else _microseconds(since))


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit


def _microseconds(at: datetime) -> int:
    """Since 1970, exact; a time without a zone is UTC."""
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
