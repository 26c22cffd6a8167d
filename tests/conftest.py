"""What every test begins with."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from cli.runtime import ENDING


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command is the last thing that a program does, and leaves the signals that end one
    ignored. Where a test runs one in its own process, the programs that later tests start would
    be deaf to them."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
