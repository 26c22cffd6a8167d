"""What every test begins with."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from cli.runtime import ENDING

# How long an example takes is for the machine to say: it is shared, and no test is timed.
# scripts/fuzz says how many examples it wants; 100 is what hypothesis takes by itself.
settings.register_profile(
    "drapto",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
)
settings.load_profile("drapto")


FIRST = (
    "tests/shadow/",
    "tests/end_to_end/test_shadow_commands.py",
    "tests/end_to_end/test_migrating.py",
    "tests/end_to_end/test_rollback.py",
    "tests/end_to_end/",
    "tests/faults/",
)
"""The long ones, so that none is left to one worker at the end. Before all others those with
candidates, which run when nobody else wants to: while they wait, so does the machine."""


LAST = (
    "tests/infrastructure/gpu/",
    "tests/infrastructure/ffmpeg/test_quality_on_device.py",
    "tests/services/detection/test_features.py",
    "tests/services/detection/test_learned_cuts.py",
)
"""Those that load torch: every program that a worker starts afterwards costs 17 ms of CPU time more
(its page tables are copied), and most tests start several."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        if item.nodeid.startswith(LAST):
            return len(FIRST) + 1
        starts = (item.nodeid.startswith(name) for name in FIRST)
        return next((number for number, found in enumerate(starts) if found), len(FIRST))

    items.sort(key=place)
    missing = _no_gpu() if any(item.get_closest_marker("gpu") for item in items) else ""
    for item in items if missing else ():
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=missing))


def _no_gpu() -> str:
    """Why tests that are marked `gpu` cannot run here; empty where they can."""
    if not Path("/dev/nvidiactl").exists():  # asked first: torch takes a second to say the same
        return "needs a GPU: this machine has no NVIDIA driver"
    try:
        import torch
    except ImportError:
        return "needs a GPU: torch is not installed (drapto[gpu])"
    return "" if torch.cuda.is_available() else "needs a GPU: torch finds no CUDA device"


@pytest.fixture(autouse=True, scope="module")
def given_back() -> Iterator[None]:
    """What the tests of a file have freed goes back to the system (glibc keeps it otherwise).

    A program is started by way of a fork, which copies the page tables: of a worker that holds 1 GB
    that takes 80 ms of CPU time, of one that holds 200 MB 30 (measured on 2 cores).
    """
    yield
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Signals as a terminal gives them, to each test.

    Whoever starts the tests in the background may have had some ignored, which the programs that
    tests start would inherit; and a command that ran in this process leaves the signals that end
    one ignored.
    """
    for number in ENDING:
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )
    yield
