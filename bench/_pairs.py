"""Interleaved measuring: A B A B …, so that a machine that slows down slows both.

    runs = interleave({"drapto": run_drapto, "ffmpeg": run_ffmpeg}, runs=5)
    spread = ratios(runs["drapto"], runs["ffmpeg"], "wall_s")

Every figure is of the whole tree of processes that a command starts.
"""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

RSS_SAMPLE_INTERVAL_S = 0.25


@dataclass(frozen=True)
class Measurement:
    """What one command used.

    `cpu_s` is user plus system time of the child and of all its descendants that were waited
    for (wait4). `peak_rss_bytes` is the largest sum of resident memory over the tree that was
    seen, sampled four times a second; pages shared between processes count once for each.
    """

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    size_bytes: int = 0


@dataclass(frozen=True)
class Spread:
    """The smallest, middle and largest of some figures."""

    min: float
    median: float
    max: float

    def __str__(self) -> str:
        return f"{self.median:.3f}  ({self.min:.3f} to {self.max:.3f})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(min(values), statistics.median(values), max(values))


def measure(
    command: Sequence[str | Path], *, output: Path | None = None, stdout: Path | None = None
) -> Measurement:
    """Run a command to its end, silently. `output`: the file whose size is wanted.

    `stdout`: where to put what the command prints; by default nowhere.

    Errors: CalledProcessError with the command's stderr, if it did not exit with 0.
    """
    argv = [os.fspath(part) for part in command]
    started = time.monotonic()
    with (stdout or Path(os.devnull)).open("wb") as printed:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.PIPE
        )
    with _RssSampler(child.pid) as memory:
        assert child.stderr is not None
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode != 0:
        print(said.decode("utf-8", "replace"))
        raise subprocess.CalledProcessError(child.returncode, argv, stderr=said)
    return Measurement(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=max(memory.peak_bytes, usage.ru_maxrss * 1024),
        size_bytes=output.stat().st_size if output else 0,
    )


def interleave(
    arms: Mapping[str, Callable[[int], Measurement]],
    *,
    runs: int,
    on_done: Callable[[int, str, Measurement], None] = lambda run, arm, measurement: None,
) -> dict[str, list[Measurement]]:
    """Run every arm once, then every arm again, `runs` times."""
    done: dict[str, list[Measurement]] = {name: [] for name in arms}
    for run in range(runs):
        for name, arm in arms.items():
            measurement = arm(run)
            done[name].append(measurement)
            on_done(run, name, measurement)
    return done


def ratios(ours: Sequence[Measurement], theirs: Sequence[Measurement], figure: str) -> Spread:
    """Pair by pair `ours` divided by `theirs`: below 1 is less than theirs."""
    pairs = zip(ours, theirs, strict=True)
    return spread([getattr(a, figure) / getattr(b, figure) for a, b in pairs])


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was before."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


class _RssSampler:
    """Adds up the resident memory of a process and its descendants while a `with` block runs."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _RssSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self._pid)
            while not self._stop.wait(RSS_SAMPLE_INTERVAL_S):
                self.peak_bytes = max(self.peak_bytes, _tree_rss_bytes(parent))


def _tree_rss_bytes(parent: psutil.Process) -> int:
    total = 0
    for process in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total
