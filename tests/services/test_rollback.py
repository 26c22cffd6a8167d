"""Automatic rollback, on a real history and a real overrides file."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drapto.core.comparison import Comparison, Outcome, Served
from drapto.core.flag_policy import RollbackPolicy
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace
from drapto.infrastructure.flags.overrides import OverridesFile
from drapto.services import rollback
from drapto.services.rollback import PerformanceMonitor, RollbackManager, RolledBack

POLICY = RollbackPolicy()
ENCODING = RoutedStage.ENCODING


class Process:
    """What one process that shares the state directory has of all this."""

    def __init__(self, folder: Path) -> None:
        flags = folder / "flags.toml"
        flags.write_text("schema = 1\n")
        self.state_dir = folder / "state"
        self.store = SqliteComparisonStore(self.state_dir)
        self.overrides = OverridesFile(self.state_dir, FlagsFile(FlagsPlace(flags, "named")))
        self.manager = RollbackManager(PerformanceMonitor(self.store), self.overrides)

    async def serve(self, *, failed: bool = False, **changes: object) -> RolledBack | None:
        values: dict[str, object] = {
            "at": datetime.now(UTC),
            "job": "job",
            "stage": ENCODING,
            "side": Side.NEW,
            "failed": failed,
            "wall_s": 24.0,
            "frames": 240,
            "revision": "3",
            "mode": "canary",
        }
        served = Served.model_validate(values | changes)
        return await self.manager.served(served, POLICY)

    async def compare(self, outcome: Outcome, **changes: object) -> RolledBack | None:
        values: dict[str, object] = {
            "id": os.urandom(6).hex(),
            "at": datetime.now(UTC),
            "job": "job",
            "source": Path("/films/a.mkv"),
            "stage": ENCODING,
            "primary": Side.NEW,
            "candidate": Side.LEGACY,
            "outcome": outcome,
            "reason": "Track 2 is missing.",
            "revision": "3",
            "mode": "canary",
        }
        comparison = Comparison.model_validate(values | changes)
        return await self.manager.compared(comparison, POLICY)

    async def mode(self, revision: str = "3") -> Mode | None:
        override = (await self.overrides.read()).of(ENCODING, revision)
        return override.mode if override else None


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


async def test_three_failures_in_a_row_roll_back_with_their_evidence(process: Process) -> None:
    await process.serve()
    assert await process.serve(failed=True) is None
    assert await process.serve(failed=True) is None
    assert await process.mode() is None
    done = await process.serve(failed=True)
    assert done is not None
    assert done.line == (
        "encoding goes back to legacy until `drapto flags reset encoding` or a new "
        "candidate_revision. New failed 3 times in a row; 3 are the limit."
    )
    assert await process.mode() is Mode.ROLLED_BACK
    (entry,), damaged = process.overrides.history()
    assert damaged == 0
    assert entry.why == "New failed 3 times in a row; 3 are the limit."
    assert entry.evidence["revision"] == "3"
    assert entry.evidence["failures"] == 3 and entry.evidence["jobs"] == 4


async def test_failures_of_all_processes_and_of_earlier_ones_count(tmp_path: Path) -> None:
    """Every job in a process of its own, as `drapto encode` is."""
    for _ in range(2):
        assert await Process(tmp_path).serve(failed=True) is None
    long_running = Process(tmp_path)
    await long_running.serve(at=datetime.now(UTC) - timedelta(hours=1))  # began to wait before
    assert await Process(tmp_path).serve(failed=True) is not None
    assert await long_running.mode() is Mode.ROLLED_BACK


async def test_failure_rate_rolls_back_without_any_two_in_a_row(process: Process) -> None:
    done = None
    for job in range(1, 61):
        done = await process.serve(failed=job % 10 == 0)
        if done is not None:
            break
    assert done is not None and job <= 60
    assert "more than the 2.00% that are allowed can explain" in done.line


async def test_critical_comparison_rolls_back_at_once(process: Process) -> None:
    assert await process.compare(Outcome.MISMATCH) is None
    done = await process.compare(Outcome.CRITICAL)
    assert done is not None
    assert "a.mkv is critical: Track 2 is missing." in done.line
    assert await process.mode() is Mode.ROLLED_BACK


@pytest.mark.parametrize("mode", ["shadow", "retired", "legacy", "rolled_back", ""])
async def test_only_canary_and_new_are_rolled_back(process: Process, mode: str) -> None:
    for _ in range(4):
        assert await process.serve(failed=True, mode=mode) is None
    assert await process.compare(Outcome.CRITICAL, mode=mode) is None
    assert await process.serve() is None, "what happened in another mode is no reason later"
    assert await process.mode() is None


async def test_aa_run_that_is_critical_is_legacys_affair(process: Process) -> None:
    assert await process.compare(Outcome.CRITICAL, primary=Side.LEGACY) is None
    assert await process.mode() is None


async def test_slow_new_rolls_back(process: Process) -> None:
    for _ in range(10):
        assert await process.serve(side=Side.LEGACY, revision="2", mode="shadow") is None
    done = [await process.serve(wall_s=24.0 * 3.5) for _ in range(10)]
    assert done[:9] == [None] * 9
    assert done[9] is not None and "New takes 3.5 times as long" in done[9].line


async def test_small_canary_is_judged_by_its_own_newest_jobs(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many jobs legacy served since."""
    monkeypatch.setattr(rollback, "RECENT_JOBS", 20)
    for _ in range(2):
        await process.serve(failed=True)
    later = datetime.now(UTC)
    for _ in range(30):
        await process.store.record_served(
            Served(at=later, job="l", stage=ENCODING, side=Side.LEGACY, revision="3", mode="canary")
        )
    assert await process.serve(failed=True) is not None


async def test_another_revision_and_stage_begin_anew(process: Process) -> None:
    for _ in range(2):
        await process.serve(failed=True)
    assert await process.serve(failed=True, revision="4") is None
    assert await process.serve(failed=True, stage=RoutedStage.DETECTION) is None
    assert await process.mode("4") is None
    assert await process.serve(failed=True) is not None
    assert await process.mode("4") is None


async def test_after_a_reset_what_was_before_counts_no_more(process: Process) -> None:
    for _ in range(3):
        done = await process.serve(failed=True)
    assert done is not None
    process.overrides.reset(ENCODING, by="a person", why="The disk was full.")
    assert await process.serve(failed=True) is None
    assert await process.compare(Outcome.MATCH) is None
    assert await process.mode() is None
    assert await process.serve(failed=True) is None
    assert await process.serve(failed=True) is not None
    assert await process.mode() is Mode.ROLLED_BACK


async def test_rolling_back_twice_is_one_entry_in_the_log(process: Process) -> None:
    for _ in range(3):
        await process.serve(failed=True)
    assert await process.serve(failed=True) is not None  # it was routed before the rollback
    entries, _ = process.overrides.history()
    assert len(entries) == 1


async def test_history_that_cannot_be_kept_does_not_stop_the_watch(process: Process) -> None:
    await process.serve()
    process.store.path.unlink()
    process.store.path.mkdir()  # a database that nobody can open
    assert await process.serve(failed=True) is None
    assert await process.serve(failed=True) is None
    assert await process.serve(failed=True) is not None
    assert await process.mode() is Mode.ROLLED_BACK


async def test_latch_that_cannot_be_written_is_told_and_raises_nothing(tmp_path: Path) -> None:
    process = Process(tmp_path)
    (process.state_dir / "flags").parent.mkdir(exist_ok=True)
    (process.state_dir / "flags").write_text("a file where a directory has to be")
    done = [await process.serve(failed=True) for _ in range(3)][-1]
    assert done is not None
    assert done.problem
    assert done.line.startswith("encoding should go back to legacy, but that could not be saved (")
    assert await process.mode() is Mode.ROLLED_BACK, "this process obeys it all the same"
