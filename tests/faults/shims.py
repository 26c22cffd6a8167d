"""A preloaded library that makes chosen system calls fail, or the time of day jump.

What a broken disk or a set clock does is done to every program of a run: to Drapto itself, with
all its libraries, and to the ffmpeg programs it starts. Whichever of them is hit first makes
the file $FAULT_HIT (`Place.run_shimmed`).
"""

from __future__ import annotations

import atexit
import errno
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("shim.c")
FOR_GOOD = 1_000_000


@cache
def _library() -> Path:
    """The compiled shim. Skips where there is no compiler, or no way to preload."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("it needs a C compiler and a system that preloads libraries")
    folder = Path(tempfile.mkdtemp(prefix="drapto-shim-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = folder / "shim.so"
    options = ["-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
    done = subprocess.run([compiler, *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the shim cannot be compiled here: {done.stderr.strip()[-200:]}")
    return library


def failing(
    call: str, path: str, *, after: int, times: int = FOR_GOOD, number: int = errno.EIO
) -> dict[str, str]:
    """Environment in which `call` (write, fsync, rename, read) fails on files whose path holds
    `path`, in every process from its call `after` on."""
    return {
        "LD_PRELOAD": str(_library()),
        "FAULT_CALL": call,
        "FAULT_PATH": path,
        "FAULT_AFTER": str(after),
        "FAULT_FOR": str(times),
        "FAULT_ERRNO": str(number),
    }


def clock_set(*, after_s: float, step_s: int) -> dict[str, str]:
    """Environment in which the time of day is changed by `step_s` once a process has run a while.
    What only ever goes forward (CLOCK_MONOTONIC) is untouched, as when somebody sets a clock."""
    return {
        "LD_PRELOAD": str(_library()),
        "FAULT_CLOCK_AFTER_MS": str(round(after_s * 1000)),
        "FAULT_CLOCK_STEP_S": str(step_s),
    }
