"""Cores and memory of a machine, and of a container on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from drapto.infrastructure.machine import available_memory_bytes, cpu_cores, cpu_quota

GIB = 1024**3


def tree(root: Path, files: dict[str, str]) -> Path:
    """A made-up /proc and /sys, as the kernel writes them."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
)


def test_this_machine_has_cores_and_memory() -> None:
    assert 1 <= cpu_cores() <= (os.cpu_count() or 1)
    assert 0 < available_memory_bytes() <= psutil.virtual_memory().total


def test_cores_follow_the_affinity() -> None:
    code = (
        "import os; from drapto.infrastructure.machine import cpu_cores;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(cpu_cores())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert said.stdout == b"1\n"


def test_a_version_2_limit_of_any_parent_counts(tmp_path: Path) -> None:
    base = "sys/fs/cgroup"
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/drapto.service\n",
            "proc/self/mountinfo": "22 1 0:20 / /proc rw - proc proc rw\n" + V2_MOUNT,
            f"{base}/system.slice/drapto.service/cpu.max": "max 100000\n",
            f"{base}/system.slice/drapto.service/memory.max": "max\n",
            f"{base}/system.slice/drapto.service/memory.current": "5\n",
            f"{base}/system.slice/cpu.max": "50000 100000\n",
            f"{base}/system.slice/memory.max": "2000000\n",
            f"{base}/system.slice/memory.current": "1500000\n",
            f"{base}/system.slice/memory.stat": "anon 900000\ninactive_file 400000\n",
        },
    )
    assert cpu_quota(root) == 0.5
    assert cpu_cores(root) == 1
    assert available_memory_bytes(root) == 900_000


def test_a_version_2_container_sees_its_limit_at_the_mount(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/memory.max": "1000\n",
            "sys/fs/cgroup/memory.current": "3000\n",
        },
    )
    assert cpu_quota(root) == 1.5
    assert cpu_cores(root) == min(2, cpu_cores())
    assert available_memory_bytes(root) == 0


def test_version_1_limits_count(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "9:name=systemd:/\n4:memory:/job\n2:cpu,cpuacct:/job\n0::/\n",
            "proc/self/mountinfo": V1_MOUNTS,
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "75000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "50000\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1000000\n",
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "600000\n",
            "sys/fs/cgroup/memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 50000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "7000000\n",
        },
    )
    assert cpu_quota(root) == 1.5
    assert available_memory_bytes(root) == 450_000


def test_a_version_1_container_that_sees_only_its_own_group(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n",
            "proc/self/mountinfo": (
                "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
            ),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "400000\n",
        },
    )
    assert available_memory_bytes(root) == 600_000


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/../outside\n", "proc/self/mountinfo": V2_MOUNT},
        {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "short - line\nnothing\n"},
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "odd\n",
            "sys/fs/cgroup/memory.max": "odd\n",
        },
    ],
)
def test_without_limits_the_machine_itself_counts(tmp_path: Path, files: dict[str, str]) -> None:
    root = tree(tmp_path, files)
    assert cpu_quota(root) is None
    assert cpu_cores(root) == cpu_cores()
    assert available_memory_bytes(root) > 0
