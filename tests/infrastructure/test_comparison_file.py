"""The file of shadow runs: shared by processes, durable, and no danger to a job."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from drapto.core.errors import StateError
from drapto.infrastructure.comparison_schema import MIGRATIONS, Database
from drapto.infrastructure.comparison_store import (
    FILE_NAME,
    SqliteComparisonStore,
)
from tests.infrastructure.comparisons import (
    STAGE,
    comparison,
)


@pytest.fixture
def store(tmp_path: Path) -> SqliteComparisonStore:
    return SqliteComparisonStore(tmp_path / "state")


async def test_many_tasks_of_one_process_write_at_once(store: SqliteComparisonStore) -> None:
    await asyncio.gather(*(store.record(comparison(n)) for n in range(40)))
    assert len(await store.comparisons(STAGE)) == 40


WRITER = """
import sys
from pathlib import Path
import anyio
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from tests.infrastructure.comparisons import comparison, served

async def main():
    store = SqliteComparisonStore(Path(sys.argv[1]))
    first, last = int(sys.argv[2]), int(sys.argv[3])
    for number in range(first, last):
        await store.record(comparison(number))
        await store.record_served(served(number))
        print(number, flush=True)

anyio.run(main)
"""


def writer(store: SqliteComparisonStore, first: int, last: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", WRITER, str(store.path.parent), str(first), str(last)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


async def test_several_processes_begin_and_write_at_once(store: SqliteComparisonStore) -> None:
    writers = [writer(store, 100 * n, 100 * n + 25) for n in range(4)]
    assert [w.wait(60) for w in writers] == [0] * 4
    for w in writers:
        w.communicate()
    assert len(await store.comparisons(STAGE)) == 100
    assert len(await store.served(STAGE)) == 100


async def test_what_was_recorded_survives_a_kill(store: SqliteComparisonStore) -> None:
    process = writer(store, 0, 100_000)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].split()
    done = len(said) + len(rest)
    assert len(await store.comparisons(STAGE)) >= done
    assert len(await store.served(STAGE)) >= done


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
async def test_a_damaged_database_is_kept_aside_and_a_new_one_begun(
    tmp_path: Path, damage: str
) -> None:
    warnings: list[str] = []
    store = SqliteComparisonStore(tmp_path, warnings.append)
    for number in range(30):
        await store.record(comparison(number))
    data = bytearray(store.path.read_bytes())
    if damage == "header":
        data[:100] = b"\0" * 100
    elif damage == "middle":
        data[4096:] = b"\xa5" * (len(data) - 4096)
    else:
        data = bytearray(b"this is no database" * 1000)
    store.path.write_bytes(data)
    await store.record(comparison(77))
    assert [c.job for c in await store.comparisons(STAGE)] == ["job77"]
    (kept,) = tmp_path.glob(f"{FILE_NAME}.damaged-*")
    assert kept.read_bytes() == bytes(data)
    (warning,) = warnings
    assert kept.name in warning and "new one" in warning


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = SqliteComparisonStore(tmp_path)
    await store.record(comparison())
    newer = Database(store.path, print, (*MIGRATIONS, "CREATE TABLE later (x INTEGER)"))
    newer.run(lambda c: None, write=True)
    before = store.path.read_bytes()
    for call in (store.record(comparison(1)), store.comparisons(STAGE), store.figures(STAGE)):
        with pytest.raises(StateError, match="newer Drapto \\(schema 2; this one knows 1\\)"):
            await call
    assert store.path.read_bytes() == before


async def test_an_older_schema_is_brought_up_and_keeps_what_it_has(tmp_path: Path) -> None:
    store = SqliteComparisonStore(tmp_path)
    await store.record(comparison(5))
    newer = Database(
        store.path, print, (*MIGRATIONS, "ALTER TABLE served ADD COLUMN later INTEGER DEFAULT 7")
    )
    count = newer.run(lambda c: c.execute("SELECT count(*) FROM comparison").fetchone(), write=True)
    assert count == (1,)
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT later FROM served").fetchall() == []


async def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    store = SqliteComparisonStore(tmp_path)
    await store.record(comparison())
    broken = Database(store.path, print, (*MIGRATIONS, "CREATE TABLE a (x); NONSENSE"))
    with pytest.raises(StateError, match="NONSENSE"):
        broken.run(lambda c: None, write=True)
    assert len(await store.comparisons(STAGE)) == 1


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StateError, match="another program"):
        await SqliteComparisonStore(tmp_path).record(comparison())
    assert (tmp_path / FILE_NAME).read_bytes() == before


async def test_a_place_that_cannot_be_written_to_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", Path("/proc/drapto")):
        with pytest.raises(StateError, match="cannot be used"):
            await SqliteComparisonStore(place).record(comparison())


async def test_a_writer_waits_for_another_one(store: SqliteComparisonStore) -> None:
    await store.record(comparison(0))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()

        async def release() -> None:
            await asyncio.sleep(0.5)
            other.execute("COMMIT")

        await asyncio.gather(store.record(comparison(1)), release())
    assert time.monotonic() - started >= 0.5
    assert len(await store.comparisons(STAGE)) == 2
