"""The SQLite database of comparisons: opening, creating, migrating, setting aside.

One file for all processes that share a state directory. WAL, so that readers never wait for a
writer; every operation has a connection of its own, so nothing is shared between threads or
over a fork, and a file that was set aside is not written to any more by the next operation.

A damaged database is renamed, never deleted, and a new one begun: what shadow runs found is worth
less than the next job. One of a newer Drapto or of another program is left alone and refused.

Tests: tests/infrastructure/test_comparison_store.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from drapto.core.errors import StateError

APPLICATION_ID = 0x44524150  # 'DRAP': PRAGMA application_id
BUSY_TIMEOUT_S = 30.0  # for other writers, each of which takes milliseconds

# One script for each version. The table of bodies is apart, so that adding up never reads them.
# `difference` has a row only where something differs: `distance` is the largest of the family in
# that run, `held` that of its mismatches which noise might excuse (huge where it never may).
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE comparison (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at_us INTEGER NOT NULL,
        stage TEXT NOT NULL,
        revision TEXT NOT NULL,
        is_aa INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        gravity INTEGER NOT NULL,
        compared INTEGER NOT NULL,
        strata TEXT NOT NULL,
        size_ratio REAL,
        vmaf_mean REAL,
        vmaf_p1 REAL,
        time_ratio REAL
    );
    CREATE INDEX comparison_stage ON comparison (stage, at_us);
    CREATE INDEX comparison_revision ON comparison (stage, revision, at_us);
    CREATE INDEX comparison_gravity ON comparison (stage, gravity, at_us) WHERE gravity > 0;
    CREATE TABLE comparison_body (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE family (
        id INTEGER PRIMARY KEY, stage TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (stage, name)
    );
    CREATE TABLE difference (
        family INTEGER NOT NULL,
        number INTEGER NOT NULL,
        distance REAL NOT NULL,
        held REAL,
        severity INTEGER NOT NULL,
        PRIMARY KEY (family, number)
    ) WITHOUT ROWID;
    CREATE TABLE served (
        number INTEGER PRIMARY KEY,
        at_us INTEGER NOT NULL,
        stage TEXT NOT NULL,
        revision TEXT NOT NULL,
        side TEXT NOT NULL,
        failed INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX served_stage ON served (stage, side, at_us);
    CREATE INDEX served_revision ON served (stage, revision, side, at_us);
    """,
)

T = TypeVar("T")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """The file at `path`. `on_warning` gets one plain sentence when a damaged one is set aside."""

    def __init__(
        self,
        path: Path,
        on_warning: Callable[[str], None],
        migrations: Sequence[str] = MIGRATIONS,
    ) -> None:
        self.path = path
        self._warn = on_warning
        self._migrations = tuple(migrations)

    def run(self, work: Callable[[sqlite3.Connection], T], *, write: bool) -> T:
        """`work` in one transaction, committed at its end. Blocking. Errors: StateError.

        If the file turns out to be damaged it is set aside and `work` is done on a new one.
        """
        try:
            try:
                return self._once(work, write=write)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._set_aside(error)
                return self._once(work, write=write)
        except sqlite3.Error as error:
            raise StateError(
                f"The store of shadow runs {self.path} cannot be used: {error}.",
                hint="Check the disk and its permissions, or name another directory in "
                "DRAPTO_STATE_DIR.",
            ) from error
        except OSError as error:
            raise StateError(
                f"The store of shadow runs {self.path} cannot be used: {error.strerror}.",
                hint="Check the permissions, or name another directory in DRAPTO_STATE_DIR.",
            ) from error

    def _once(self, work: Callable[[sqlite3.Connection], T], *, write: bool) -> T:
        with contextlib.closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                result = work(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.execute("COMMIT")
            return result

    def _open(self) -> sqlite3.Connection:
        """A connection to a database of this version, made or brought up to it if need be."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = self._connect()
        try:
            if not self._is_current(connection):
                with self._alone():
                    self._bring_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")  # what is recorded survives a power cut
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        """Errors: StateError for a database that is not to be touched."""
        version = _pragma(connection, "user_version")
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and _pragma(connection, "application_id") != APPLICATION_ID:
            raise StateError(
                f"{self.path} is a database of another program; it was left alone.",
                hint="Move it away, or name another directory in DRAPTO_STATE_DIR.",
            )
        if version > len(self._migrations):
            raise StateError(
                f"The store of shadow runs {self.path} was written by a newer Drapto (schema "
                f"{version}; this one knows {len(self._migrations)}); it was left alone.",
                hint="Upgrade Drapto, or name another directory in DRAPTO_STATE_DIR.",
            )
        return version == len(self._migrations)

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        """Every missing version, one transaction each; nobody else does so meanwhile."""
        if self._is_current(connection):
            return
        connection.execute("PRAGMA journal_mode = WAL")
        for version in range(_pragma(connection, "user_version"), len(self._migrations)):
            connection.execute("BEGIN EXCLUSIVE")
            try:
                for statement in self._migrations[version].split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version + 1}")
            except BaseException:
                connection.rollback()
                raise
            connection.execute("COMMIT")

    def _set_aside(self, damage: sqlite3.DatabaseError) -> None:
        """Rename the file and its journals, unless another process has done so already."""
        with self._alone():
            if self._is_sound():
                return
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            kept = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
            # The journals first: a new database must never find them.
            for suffix in ("-wal", "-shm", ""):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(f"{self.path.name}{suffix}").rename(
                        kept.with_name(f"{kept.name}{suffix}")
                    )
        self._warn(
            f"The store of shadow runs {self.path} is damaged ({damage}). It was kept as "
            f"{kept.name} and a new one begun: reports do not show earlier comparisons."
        )

    def _is_sound(self) -> bool:
        if not self.path.exists():
            return True
        try:
            with contextlib.closing(self._connect()) as connection:
                return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                return False
            raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process makes, migrates or sets aside; the kernel ends it with its holder."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """By the primary code, the low byte of what SQLite says."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGED
