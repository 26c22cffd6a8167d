"""What this machine lets us have: cores and memory, containers' limits included.

A container's limit is not visible in /proc/cpuinfo or /proc/meminfo; it is in the control
groups (version 1 or 2) that the process is in, or in one of their parents.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_UNLIMITED_BYTES = 1 << 60  # version 1 writes about 2**63 for 'no limit'


def cpu_cores(root: Path = Path("/")) -> int:
    """Cores this process may use: its affinity, and the quota of its control groups, rounded up.

    `root` is where /proc and /sys are found.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    quota = cpu_quota(root)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores' worth of time the control groups allow; None if they set no quota."""
    quotas = []
    for group in _groups(root, "cpu"):
        words = _read(group / "cpu.max").split()  # version 2: "max 100000" or "200000 100000"
        if not words:
            words = [_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")]
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def available_memory_bytes(root: Path = Path("/")) -> int:
    """Memory that can be taken now without swapping: the machine's, or the container's if less."""
    available = int(psutil.virtual_memory().available)
    for group in _groups(root, "memory"):
        room = _room(group, "memory.max", "memory.current", "inactive_file")
        if room is None:
            room = _room(
                group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            )
        if room is not None:
            available = min(available, room)
    return max(0, available)


def out_of_memory_kills() -> int:
    """Processes of this machine, its containers included, that the kernel has killed for want of
    memory since it started (Linux 4.13 and later; else 0)."""
    for line in _read(Path("/proc/vmstat")).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return 0


def _room(group: Path, limit_name: str, usage_name: str, reclaimable_name: str) -> int | None:
    """Limit less usage; file cache that nobody used lately counts as free, as in MemAvailable."""
    limit = _read(group / limit_name)
    usage = _read(group / usage_name)
    if not limit.isdigit() or not usage.isdigit() or int(limit) >= _UNLIMITED_BYTES:
        return None
    reclaimable = 0
    for line in _read(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == reclaimable_name and value.isdigit():
            reclaimable = int(value)
    return int(limit) - max(0, int(usage) - reclaimable)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Directories of the control groups this process is in, the parents included."""
    memberships: dict[str, str] = {}  # controller, or '' for version 2 -> path of the group
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        memberships.update(dict.fromkeys(controllers.split(","), path))
    for line in _read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, filesystem = before.split(), after.split()
        if len(fields) < 5 or len(filesystem) < 3:
            continue
        if filesystem[0] == "cgroup2":
            member = memberships.get("")
        elif filesystem[0] == "cgroup" and controller in filesystem[2].split(","):
            member = memberships.get(controller)
        else:
            continue
        if member is None:
            continue
        mount = root / fields[4].lstrip("/")
        below = Path(member).parts[len(Path(fields[3]).parts) :]
        if Path(member).parts[: len(Path(fields[3]).parts)] != Path(fields[3]).parts:
            below = ()  # seen from outside our namespace: the mount itself is our group
        for depth in range(len(below), -1, -1):
            yield mount.joinpath(*below[:depth])


def _read(path: Path) -> str:
    """The text of a file, stripped; empty if there is none."""
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
