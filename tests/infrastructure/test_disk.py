"""Free disk space, before a job and during one."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from drapto.core.errors import ResourceError, one_error
from drapto.core.resources import looks_like_disk_full
from drapto.infrastructure.disk import DiskGuard
from drapto.infrastructure.process import run_process
from tests.infrastructure.full_disks import small_disk

KIB = 1024
MIB = 1024 * KIB


def test_a_job_that_needs_more_than_is_free_is_refused_with_both_numbers(tmp_path: Path) -> None:
    guard = DiskGuard([tmp_path])
    guard.require(1)
    with pytest.raises(ResourceError, match=r"has \d+ MiB free; this job may need 1073741824 MiB"):
        guard.require(2**50)


def test_the_fullest_of_several_disks_decides(tmp_path: Path) -> None:
    with small_disk(tmp_path, 256) as folder:
        guard = DiskGuard([tmp_path, folder], floor_bytes=0)
        assert guard.free_bytes() <= 256 * KIB
        with pytest.raises(ResourceError, match="small disk has 0 MiB free"):
            guard.require(MIB)


async def test_a_disk_that_fills_up_ends_the_work_beside_the_guard(tmp_path: Path) -> None:
    with small_disk(tmp_path, 1024) as folder:
        guard = DiskGuard([folder], floor_bytes=256 * KIB, interval_s=0.001)
        written = 0
        said = r"is full: 0\.\d MiB are left of the 0\.2 MiB"
        with pytest.raises(ResourceError, match=said), one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(guard.watch)
                with (folder / "film").open("wb", buffering=0) as film:
                    while written < 1000 * KIB:
                        written += film.write(b"x" * 4 * KIB)
                        await anyio.sleep(0.001)
                await anyio.sleep_forever()
        assert written > 500 * KIB


async def test_the_guard_itself_ends_with_the_work(tmp_path: Path) -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(DiskGuard([tmp_path], floor_bytes=0).watch)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert group.cancel_scope.cancelled_caught, "the guard ended before the work did"


async def test_a_child_on_a_full_disk_is_known_by_its_words(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64) as folder:
        ended = await run_process(
            ["dd", "if=/dev/zero", f"of={folder / 'film'}", "bs=1k", "count=100"],
            what="Filling the disk",
            check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )
    assert ended.returncode != 0
    assert looks_like_disk_full(ended.stderr_tail)
