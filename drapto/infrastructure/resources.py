"""Hands out cores, memory, disk and a device's memory and engines, all of a request at once.

    resources = ResourceManager(cpu_slots=4, memory_bytes=available_memory_bytes())
    async with resources.acquire(cpu=1, memory_bytes=resources.worker_memory(1920, 1080, lp=2)):
        …

Promised: nobody holds one thing while waiting for another, so nobody deadlocks; requests are
granted in the order they came, so a large one is not starved by small ones that want the same; a
cancelled request leaves nothing behind. What workers were measured to take replaces the estimate.

Contract test: tests/infrastructure/test_resources.py.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path

import anyio
import anyio.to_thread
import psutil

from drapto.core.errors import ResourceError
from drapto.core.resources import (
    Leaks,
    ResourceStatistics,
    estimate_device_memory,
    estimate_worker_memory,
    looks_like_disk_full,
)
from drapto.infrastructure.leaks import describe, find_leaks

__all__ = ["ResourceManager", "find_leaks", "looks_like_disk_full"]

OBSERVED_MARGIN = 1.1  # scenes of one film differ in their peak by less than a tenth
OBSERVATIONS_TO_LOWER = 3  # a short segment does not fill the look-ahead: one low peak is no proof
UNLIMITED_BYTES = 1 << 62

# Engines of one device are shared, and a stream more slows the others; 4 is a choice. NVIDIA's
# driver itself refuses more than 8 encoding sessions on cards that are not for data centres
# (https://developer.nvidia.com/video-encode-decode-support-matrix, since driver 551).
DECODE_SESSIONS, ENCODE_SESSIONS = 4, 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Amount:
    cpu: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    device_bytes: int = 0
    decoders: int = 0
    encoders: int = 0

    @property
    def kinds(self) -> set[int]:
        """Which fields it asks something of."""
        return {place for place, amount in enumerate(astuple(self)) if amount}

    def plus(self, other: _Amount, sign: int = 1) -> _Amount:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return _Amount(*(mine + sign * theirs for mine, theirs in pairs))

    def fits(self, capacity: _Amount) -> bool:
        return all(a <= b for a, b in zip(astuple(self), astuple(capacity), strict=True))

    def highest(self, other: _Amount) -> _Amount:
        return _Amount(*map(max, astuple(self), astuple(other)))

    def lowest(self, other: _Amount) -> _Amount:
        return _Amount(*map(min, astuple(self), astuple(other)))


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
        device_bytes: int = 0,
    ) -> None:
        """`device_bytes`: memory of the one device that is used; 0 without one."""
        self._capacity = _Amount(
            cpu=max(1, cpu_slots),
            memory_bytes=max(0, memory_bytes),
            disk_bytes=max(0, disk_bytes),
            device_bytes=max(0, device_bytes),
            decoders=DECODE_SESSIONS,
            encoders=ENCODE_SESSIONS,
        )
        self._in_use = _Amount()
        self._peak = _Amount()
        self._queue: deque[_Waiter] = deque()
        self._holders = 0
        self._granted = 0
        self._leaks = 0
        self._peaks: dict[tuple[int, int], list[int]] = {}  # (pixels, lp) -> observed peaks
        self._device_peaks: dict[tuple[int, int], int] = {}  # (pixels, batch) -> highest observed
        self._children_before = {child.pid for child in psutil.Process().children(recursive=True)}

    def add_device(self, memory_bytes: int) -> None:
        """The one device whose memory is handed out from now on."""
        self._capacity = replace(self._capacity, device_bytes=max(0, memory_bytes))
        self._admit()

    @asynccontextmanager
    async def acquire(
        self,
        *,
        cpu: int = 0,
        memory_bytes: int = 0,
        disk_bytes: int = 0,
        device_bytes: int = 0,
        decoders: int = 0,
        encoders: int = 0,
    ) -> AsyncIterator[None]:
        """Wait until all of it is free, hold it, give it back. `decoders` and `encoders`: sessions
        of a device's engines.

        A request for more than there is, disk aside, is cut to what there is, so it runs alone
        rather than never. Errors: ResourceError if more disk is asked for than there is.
        """
        wanted = _Amount(cpu, memory_bytes, disk_bytes, device_bytes, decoders, encoders)
        if min(astuple(wanted)) < 0:
            raise ValueError("a request cannot be negative")
        if disk_bytes > self._capacity.disk_bytes:
            raise ResourceError(
                f"{disk_bytes} bytes of disk are needed, {self._capacity.disk_bytes} are there.",
                hint="Free some space, or name another place with --work-dir.",
            )
        amount = wanted.lowest(self._capacity)
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
        """Grant in order. Whoever does not fit holds back those behind that want what it wants, and
        no others: who waits for a device does not keep encoders from idle cores."""
        awaited: set[int] = set()
        for waiter in list(self._queue):
            wanted = self._in_use.plus(waiter.amount)
            if awaited.isdisjoint(waiter.amount.kinds) and wanted.fits(self._capacity):
                self._in_use = wanted
                self._peak = self._peak.highest(wanted)
                self._holders += 1
                self._granted += 1
                self._queue.remove(waiter)
                waiter.granted.set()
            else:
                awaited |= waiter.amount.kinds

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

    def device_memory(self, pixels: int, batch: int) -> int:
        """Bytes of the device to ask for: measured for this size and batch, else estimated."""
        measured = self._device_peaks.get((pixels, batch))
        if measured is None:
            return estimate_device_memory(pixels, batch)
        return int(measured * OBSERVED_MARGIN)

    def observe_device(self, pixels: int, batch: int, peak_bytes: int) -> None:
        """Work on frames of this size, so many at once, has ended and had taken this much."""
        highest = max(peak_bytes, self._device_peaks.get((pixels, batch), 0))
        if highest > 0:
            self._device_peaks[pixels, batch] = highest

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
            device_capacity_bytes=self._capacity.device_bytes,
            device_in_use_bytes=self._in_use.device_bytes,
            device_peak_bytes=self._peak.device_bytes,
            decoders_in_use=self._in_use.decoders,
            decoders_peak=self._peak.decoders,
            encoders_in_use=self._in_use.encoders,
            encoders_peak=self._peak.encoders,
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
            describe(child)
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
