"""What every test begins with."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

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
