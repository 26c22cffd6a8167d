"""Hands out cores, memory and disk, all of a request at once.

    resources = ResourceManager(cpu_slots=4, memory_bytes=available_memory_bytes())
    async with resources.acquire(cpu=1, memory_bytes=resources.worker_memory(1920, 1080, lp=2)):
        …

Promised: nobody holds one thing while waiting for another, so nobody deadlocks; requests are
granted in the order they came, so a large one is not starved by small ones; a cancelled request
leaves nothing behind. What workers were measured to take replaces the estimate.

Contract test: tests/infrastructure/test_resources.py.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.to_thread
import psutil

from drapto.core.errors import ResourceError
from drapto.core.resources import (
    Leaks,
    ResourceStatistics,
    estimate_worker_memory,
    looks_like_disk_full,
)

__all__ = ["ResourceManager", "find_leaks", "looks_like_disk_full"]

OBSERVED_MARGIN = 1.1  # scenes of one film differ in their peak by less than a tenth
OBSERVATIONS_TO_LOWER = 3  # a short segment does not fill the look-ahead: one low peak is no proof
UNLIMITED_BYTES = 1 << 62

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Amount:
    cpu: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0

    def plus(self, other: _Amount, sign: int = 1) -> _Amount:
        return _Amount(
            self.cpu + sign * other.cpu,
            self.memory_bytes + sign * other.memory_bytes,
            self.disk_bytes + sign * other.disk_bytes,
        )

    def fits(self, capacity: _Amount) -> bool:
        return (
            self.cpu <= capacity.cpu
            and self.memory_bytes <= capacity.memory_bytes
            and self.disk_bytes <= capacity.disk_bytes
        )

    def highest(self, other: _Amount) -> _Amount:
        return _Amount(
            max(self.cpu, other.cpu),
            max(self.memory_bytes, other.memory_bytes),
            max(self.disk_bytes, other.disk_bytes),
        )


@dataclass(eq=False)
class _Waiter:
    amount: _Amount
    granted: anyio.Event = field(default_factory=anyio.Event)


class ResourceManager:
    """All of it on one event loop; not for use from several threads."""

    def __init__(
        self,
        *,
        cpu_slots: int,
        memory_bytes: int,
        disk_bytes: int = UNLIMITED_BYTES,
    ) -> None:
        self._capacity = _Amount(max(1, cpu_slots), max(0, memory_bytes), max(0, disk_bytes))
        self._in_use = _Amount()
        self._peak = _Amount()
        self._queue: deque[_Waiter] = deque()
        self._holders = 0
        self._granted = 0
        self._leaks = 0
        self._peaks: dict[tuple[int, int], list[int]] = {}  # (pixels, lp) -> observed peaks
        self._children_before = {child.pid for child in psutil.Process().children(recursive=True)}

    @asynccontextmanager
    async def acquire(
        self, *, cpu: int = 0, memory_bytes: int = 0, disk_bytes: int = 0
    ) -> AsyncIterator[None]:
        """Wait until all of it is free, hold it, give it back.

        A request for more cores or memory than there are is cut to what there is, so it runs
        alone rather than never. Errors: ResourceError if more disk is asked for than there is.
        """
        amount = _Amount(
            min(cpu, self._capacity.cpu),
            min(memory_bytes, self._capacity.memory_bytes),
            disk_bytes,
        )
        if min(cpu, memory_bytes, disk_bytes) < 0:
            raise ValueError("a request cannot be negative")
        if disk_bytes > self._capacity.disk_bytes:
            raise ResourceError(
                f"{disk_bytes} bytes of disk are needed, {self._capacity.disk_bytes} are there.",
                hint="Free some space, or name another place with --work-dir.",
            )
        await self._wait(_Waiter(amount))
        try:
            yield
        finally:
            self._give_back(amount)

    async def _wait(self, waiter: _Waiter) -> None:
        self._queue.append(waiter)
        self._admit()
        try:
            await waiter.granted.wait()
        except BaseException:
            if waiter.granted.is_set():  # granted and cancelled in the same moment
                self._give_back(waiter.amount)
            else:
                self._queue.remove(waiter)
                self._admit()  # it may have been the large one at the head
            raise

    def _admit(self) -> None:
        """Grant from the head of the queue for as long as the head fits."""
        while self._queue:
            wanted = self._in_use.plus(self._queue[0].amount)
            if not wanted.fits(self._capacity):
                return
            self._in_use = wanted
            self._peak = self._peak.highest(wanted)
            self._holders += 1
            self._granted += 1
            self._queue.popleft().granted.set()

    def _give_back(self, amount: _Amount) -> None:
        self._in_use = self._in_use.plus(amount, -1)
        self._holders -= 1
        self._admit()

    def worker_memory(self, width: int, height: int, lp: int) -> int:
        """Bytes to ask for a worker of this size: measured where it was, else estimated.

        A measured peak above the estimate counts at once, one below it only after three.
        """
        estimate = estimate_worker_memory(width, height, lp)
        peaks = self._peaks.get((width * height, lp), [])
        if not peaks:
            return estimate
        measured = int(max(peaks) * OBSERVED_MARGIN)
        return measured if len(peaks) >= OBSERVATIONS_TO_LOWER else max(estimate, measured)

    def observe_worker(self, pixels: int, lp: int, peak_rss_bytes: int) -> None:
        """A worker of this picture size has ended and had taken this much."""
        if peak_rss_bytes > 0:
            self._peaks.setdefault((pixels, lp), []).append(peak_rss_bytes)

    def statistics(self) -> ResourceStatistics:
        return ResourceStatistics(
            cpu_capacity=self._capacity.cpu,
            cpu_in_use=self._in_use.cpu,
            cpu_peak=self._peak.cpu,
            memory_capacity_bytes=self._capacity.memory_bytes,
            memory_in_use_bytes=self._in_use.memory_bytes,
            memory_peak_bytes=self._peak.memory_bytes,
            disk_capacity_bytes=self._capacity.disk_bytes,
            disk_in_use_bytes=self._in_use.disk_bytes,
            disk_peak_bytes=self._peak.disk_bytes,
            holders=self._holders,
            waiting=len(self._queue),
            granted=self._granted,
            leaks=self._leaks,
        )

    async def check_leaks(self, work_dir: Path, held: Path | None = None) -> Leaks:
        """At the end of one job: what still belongs to it. Counted, never raised.

        `held` is a file that its holder closes later: the lock.
        """
        found = await anyio.to_thread.run_sync(find_leaks, work_dir)
        still_open = tuple(path for path in found.open_files if path != str(held))
        return self._count(replace(found, open_files=still_open))

    async def close(self, work_dir: Path | None = None) -> Leaks:
        """At the end of all jobs: slots still held, children still alive, and `check_leaks`.

        Goes to the program's own log, because no job's log is open any more.
        """
        leaks = await anyio.to_thread.run_sync(self._find_all, work_dir)
        if leaks.total:
            _log.warning("Resources leaked: %s.", leaks)
        return self._count(leaks)

    def _find_all(self, work_dir: Path | None) -> Leaks:
        of_job = find_leaks(work_dir) if work_dir is not None else Leaks()
        children = tuple(
            _describe(child)
            for child in psutil.Process().children(recursive=True)
            if child.pid not in self._children_before
        )
        return Leaks(
            slots=self._holders,
            processes=children,
            open_files=of_job.open_files,
            temporary_files=of_job.temporary_files,
        )

    def _count(self, leaks: Leaks) -> Leaks:
        self._leaks += leaks.total
        return leaks


TEMPORARY_MARKS = (".tmp", ".partial")
"""How names of half-written files end, or what they hold before their last suffix."""


def find_leaks(work_dir: Path) -> Leaks:
    """Processes whose command line names `work_dir`, open and half-written files below it."""
    inside = f"{work_dir}{os.sep}"
    processes = []
    for child in psutil.Process().children(recursive=True):
        try:
            command = child.cmdline()
        except psutil.Error:
            continue
        if any(inside in argument for argument in command):
            processes.append(_describe(child))
    temporary = []
    for folder, _, names in os.walk(work_dir):
        temporary += [
            str(Path(folder, name))
            for name in names
            if any(name.endswith(mark) or f"{mark}." in name for mark in TEMPORARY_MARKS)
        ]
    return Leaks(
        processes=tuple(processes),
        open_files=tuple(path for path in _open_paths() if path.startswith(inside)),
        temporary_files=tuple(sorted(temporary)),
    )


def _open_paths() -> list[str]:
    """What this process's file descriptors point at. Empty where there is no /proc."""
    paths = []
    folder = Path("/proc/self/fd")
    for descriptor in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # the one that lists the folder is gone by now
            paths.append(str(descriptor.readlink()))
    return paths


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.name()}"
    except psutil.Error:
        return str(process.pid)
