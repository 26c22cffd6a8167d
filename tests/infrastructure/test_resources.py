"""Handing out cores, memory and disk; counting what leaks."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from drapto.core.errors import ResourceError
from drapto.core.resources import Leaks, estimate_device_memory, estimate_worker_memory
from drapto.infrastructure.resources import ResourceManager, find_leaks

GIB = 1024**3


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await checkpoint()


class Holder:
    """A task that holds a request until it is told to give it back."""

    def __init__(self, resources: ResourceManager, **request: int) -> None:
        self.resources = resources
        self.request = request
        self.is_holding = False
        self.done = anyio.Event()
        self.scope = anyio.CancelScope()

    async def run(self) -> None:
        with self.scope:
            async with self.resources.acquire(**self.request):
                self.is_holding = True
                await self.done.wait()
        self.is_holding = False


async def test_a_request_is_granted_whole_or_waits() -> None:
    resources = ResourceManager(cpu_slots=4, memory_bytes=10, disk_bytes=100)
    first = Holder(resources, cpu=1, memory_bytes=8)
    second = Holder(resources, cpu=1, memory_bytes=8, disk_bytes=5)
    async with anyio.create_task_group() as group:
        group.start_soon(first.run)
        await settle()
        group.start_soon(second.run)
        await settle()
        assert (first.is_holding, second.is_holding) == (True, False)
        now = resources.statistics()
        assert (now.cpu_in_use, now.memory_in_use_bytes, now.disk_in_use_bytes) == (1, 8, 0)
        assert (now.holders, now.waiting) == (1, 1)
        first.done.set()
        await settle()
        assert second.is_holding
        second.done.set()
    end = resources.statistics()
    assert (end.cpu_in_use, end.memory_in_use_bytes, end.disk_in_use_bytes) == (0, 0, 0)
    assert (end.cpu_peak, end.memory_peak_bytes, end.disk_peak_bytes) == (1, 8, 5)
    assert (end.holders, end.waiting, end.granted, end.leaks) == (0, 0, 2, 0)


async def test_a_large_request_is_not_starved_by_small_ones_behind_it() -> None:
    resources = ResourceManager(cpu_slots=4, memory_bytes=0)
    small = Holder(resources, cpu=1)
    large = Holder(resources, cpu=4)
    later = [Holder(resources, cpu=1) for _ in range(3)]
    async with anyio.create_task_group() as group:
        for holder in (small, large, *later):
            group.start_soon(holder.run)
            await settle()
        assert [h.is_holding for h in (small, large, *later)] == [True] + [False] * 4
        small.done.set()
        await settle()
        assert [h.is_holding for h in (large, *later)] == [True, False, False, False]
        large.done.set()
        await settle()
        assert all(holder.is_holding for holder in later)
        for holder in later:
            holder.done.set()


async def test_a_cancelled_request_frees_the_way_for_those_behind_it() -> None:
    resources = ResourceManager(cpu_slots=2, memory_bytes=0)
    small, large, behind = (Holder(resources, cpu=n) for n in (1, 2, 1))
    async with anyio.create_task_group() as group:
        for holder in (small, large, behind):
            group.start_soon(holder.run)
            await settle()
        assert not behind.is_holding
        large.scope.cancel()
        await settle()
        assert behind.is_holding
        small.done.set()
        behind.done.set()
    assert resources.statistics().holders == 0


async def test_a_request_cancelled_in_the_moment_of_its_grant_gives_back() -> None:
    resources = ResourceManager(cpu_slots=1, memory_bytes=0)
    first, second = Holder(resources, cpu=1), Holder(resources, cpu=1)
    async with anyio.create_task_group() as group:
        group.start_soon(first.run)
        await settle()
        group.start_soon(second.run)
        await settle()
        first.scope.cancel()  # grants to the second, which is cancelled before it runs again
        second.scope.cancel()
    now = resources.statistics()
    assert (now.holders, now.cpu_in_use, now.waiting) == (0, 0, 0)
    async with resources.acquire(cpu=1):
        assert resources.statistics().cpu_in_use == 1


async def test_an_error_inside_gives_everything_back() -> None:
    resources = ResourceManager(cpu_slots=1, memory_bytes=0)
    with pytest.raises(KeyError):
        async with resources.acquire(cpu=1):
            raise KeyError
    assert resources.statistics().cpu_in_use == 0


async def test_more_than_there_is_runs_alone_rather_than_never() -> None:
    resources = ResourceManager(cpu_slots=2, memory_bytes=10)
    async with resources.acquire(cpu=8, memory_bytes=1000):
        assert resources.statistics().cpu_in_use == 2
        assert resources.statistics().memory_in_use_bytes == 10


async def test_more_disk_than_there_is_is_refused_with_numbers() -> None:
    resources = ResourceManager(cpu_slots=1, memory_bytes=0, disk_bytes=100)
    with pytest.raises(ResourceError, match="200 bytes of disk are needed, 100 are there"):
        async with resources.acquire(disk_bytes=200):
            pass
    with pytest.raises(ValueError, match="negative"):
        async with resources.acquire(cpu=-1):
            pass


async def test_a_storm_of_requests_and_cancellations_never_exceeds_and_ends_at_nothing() -> None:
    chance = random.Random(7)
    resources = ResourceManager(cpu_slots=3, memory_bytes=50, disk_bytes=9)

    async def visitor() -> None:
        for _ in range(chance.randint(1, 10)):
            with anyio.CancelScope() as scope:
                if chance.random() < 0.3:
                    scope.cancel()
                async with resources.acquire(
                    cpu=chance.randint(0, 3),
                    memory_bytes=chance.randint(0, 60),
                    disk_bytes=chance.randint(0, 9),
                ):
                    for _ in range(chance.randint(0, 5)):
                        await checkpoint()

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(visitor)
    end = resources.statistics()
    assert (end.holders, end.waiting, end.cpu_in_use, end.memory_in_use_bytes) == (0, 0, 0, 0)
    assert (end.cpu_peak, end.memory_peak_bytes, end.disk_peak_bytes) == (3, 50, 9)
    assert end.granted > 100


def test_measured_use_replaces_the_estimate() -> None:
    resources = ResourceManager(cpu_slots=1, memory_bytes=0)
    estimate = estimate_worker_memory(1920, 1080, 2)
    assert resources.worker_memory(1920, 1080, 2) == estimate
    resources.observe_worker(1920 * 1080, 2, 100_000_000)
    resources.observe_worker(1920 * 1080, 2, 200_000_000)
    assert resources.worker_memory(1920, 1080, 2) == estimate  # two low peaks are no proof
    resources.observe_worker(1920 * 1080, 2, 150_000_000)
    assert resources.worker_memory(1920, 1080, 2) == 220_000_000
    resources.observe_worker(1920 * 1080, 2, 0)  # not measured on this machine
    assert resources.worker_memory(1920, 1080, 2) == 220_000_000
    assert resources.worker_memory(1920, 1080, 1) == estimate_worker_memory(1920, 1080, 1)


def test_a_peak_above_the_estimate_counts_at_once() -> None:
    resources = ResourceManager(cpu_slots=1, memory_bytes=0)
    resources.observe_worker(1920 * 1080, 2, 4 * GIB)
    assert resources.worker_memory(1920, 1080, 2) == int(4 * GIB * 1.1)


async def test_a_clean_job_leaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"{}\n")
    resources = ResourceManager(cpu_slots=1, memory_bytes=0)
    assert await resources.check_leaks(tmp_path) == Leaks()
    assert await resources.close(tmp_path) == Leaks()
    assert resources.statistics().leaks == 0


async def test_every_kind_of_leak_is_found_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resources = ResourceManager(cpu_slots=2, memory_bytes=0)
    (tmp_path / "segments").mkdir()
    half = tmp_path / "segments" / "00001.partial.ivf"
    half.write_bytes(b"x")
    (tmp_path / ".checkpoint.json.tmp").write_bytes(b"x")
    held = resources.acquire(cpu=1)
    await held.__aenter__()
    # A child that names the work directory on its command line, as every encoder does.
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()", str(half)], stdin=subprocess.PIPE
    )
    try:
        with half.open("rb"):
            found = await resources.check_leaks(tmp_path)
            assert found.open_files == (str(half),)
            assert [line.split()[0] for line in found.processes] == [str(child.pid)]
            assert sorted(Path(name).name for name in found.temporary_files) == [
                ".checkpoint.json.tmp",
                "00001.partial.ivf",
            ]
            assert (found.slots, found.total) == (0, 4)  # slots belong to all jobs together
            assert (await resources.check_leaks(tmp_path, held=half)).open_files == ()
            everything = await resources.close(tmp_path)
        assert everything.slots == 1
        assert everything.total == 5
        assert resources.statistics().leaks == 12
        assert "Resources leaked: 1 slots still held; 1 child processes alive" in caplog.text
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
        await held.__aexit__(None, None, None)
    assert find_leaks(tmp_path / "segments").processes == ()


async def test_children_of_the_program_around_us_are_not_our_leaks(tmp_path: Path) -> None:
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    try:
        resources = ResourceManager(cpu_slots=1, memory_bytes=0)
        assert await resources.close(tmp_path) == Leaks()
        assert await ResourceManager(cpu_slots=1, memory_bytes=0).check_leaks(tmp_path) == Leaks()
    finally:
        child.communicate()


async def test_a_device_is_shared_by_memory_and_by_sessions_of_its_engines() -> None:
    resources = ResourceManager(cpu_slots=4, memory_bytes=0, device_bytes=10)
    requests = [{"device_bytes": 6, "decoders": 1}, {"device_bytes": 6}, {"encoders": 9}]
    first, second, third = (Holder(resources, **request) for request in requests)
    async with anyio.create_task_group() as group:
        for holder in (first, second, third):
            group.start_soon(holder.run)
            await settle()
        # Nine sessions are cut to what there are; who waits for memory does not hold them back.
        assert [h.is_holding for h in (first, second, third)] == [True, False, True]
        now = resources.statistics()
        assert (now.device_in_use_bytes, now.decoders_in_use, now.encoders_in_use) == (6, 1, 8)
        first.done.set()
        await settle()
        assert second.is_holding
        second.done.set()
        third.done.set()
    ended = resources.statistics()
    assert (ended.device_in_use_bytes, ended.encoders_in_use) == (0, 0)
    assert (ended.device_peak_bytes, ended.decoders_peak) == (6, 1)


async def test_who_waits_holds_back_only_those_who_want_the_same() -> None:
    resources = ResourceManager(cpu_slots=4, memory_bytes=10, device_bytes=10)
    requests = [
        {"device_bytes": 8, "memory_bytes": 2},
        {"device_bytes": 8},  # waits
        {"device_bytes": 1},  # would fit, but came later and wants the same
        {"memory_bytes": 8},
        {"cpu": 1},
    ]
    holders = [Holder(resources, **request) for request in requests]
    async with anyio.create_task_group() as group:
        for holder in holders:
            group.start_soon(holder.run)
            await settle()
        assert [holder.is_holding for holder in holders] == [True, False, False, True, True]
        for holder in holders:
            holder.done.set()
    assert resources.statistics().holders == 0


async def test_without_a_device_its_memory_is_not_waited_for() -> None:
    resources = ResourceManager(cpu_slots=1, memory_bytes=0)
    async with resources.acquire(device_bytes=GIB, decoders=1):
        assert resources.statistics().device_in_use_bytes == 0
    resources.add_device(GIB)
    async with resources.acquire(device_bytes=2 * GIB, decoders=1):
        assert resources.statistics().device_in_use_bytes == GIB


def test_memory_of_a_device_is_what_was_measured_of_that_size_and_batch() -> None:
    resources = ResourceManager(cpu_slots=1, memory_bytes=0, device_bytes=GIB)
    pixels = 1920 * 1080
    before = resources.device_memory(pixels, 16)
    assert before > resources.device_memory(pixels, 1) > resources.device_memory(pixels // 2, 1)
    resources.observe_device(pixels, 16, 300 * 1024**2)
    resources.observe_device(pixels, 16, 200 * 1024**2)
    assert resources.device_memory(pixels, 16) == int(300 * 1024**2 * 1.1)
    assert resources.device_memory(pixels, 8) == estimate_device_memory(pixels, 8)
