"""Tells a child that stands still from one that is only slow.

A program that works, however slowly and however low its priority, uses CPU time; one that was
stopped, waits for a lock for ever or for a device that is gone, uses none. That shows within
minutes, where progress would not: an encoder at its slowest brings no frame for as long.

Contract test: tests/infrastructure/test_stalling.py.
"""

from __future__ import annotations

import anyio
import anyio.to_thread
import psutil

# A choice: several times as long as a disk takes to spin up or a network share to fail over, and
# short beside what an encode takes. `stall_s` in the settings changes it.
STALL_S = 120.0
_LOOKS = 8  # looks, not the clock, are counted: while Drapto itself is stopped, nobody looks


async def stands_still(pid: int, stall_s: float) -> None:
    """Return once neither `pid` nor a process below it has used CPU time for `stall_s`."""
    before, alike = None, 0
    while alike < _LOOKS:
        await anyio.sleep(stall_s / _LOOKS)
        now = await anyio.to_thread.run_sync(_cpu_times, pid, abandon_on_cancel=True)
        alike = alike + 1 if now == before else 0
        before = now


def _cpu_times(pid: int) -> frozenset[tuple[int, float]]:
    """(process, seconds) of the process and all below it; one that has just ended is left out."""
    times = set()
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return frozenset()
    for process in processes:
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        times.add((process.pid, used.user + used.system))
    return frozenset(times)
