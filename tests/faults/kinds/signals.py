"""Signals: to the program, to its segment workers, to any ffmpeg it runs; at random moments."""

from __future__ import annotations

import signal
import subprocess
import time

import psutil

from tests.faults.harness import INTERRUPTED, KILLED, Kind
from tests.faults.place import Ended, Place, await_child, await_own_code

STALL_S = "2"  # after which the tests let Drapto give up a child that makes no progress


def to_drapto(number: signal.Signals) -> Kind:
    def inject(place: Place) -> Ended:
        process = place.start()
        await_own_code(process)
        place.sleep_up_to(1.0)
        return place.finish(process, hit=_sent(process, number))

    code = KILLED if number == signal.SIGKILL else INTERRUPTED
    # Before the command line is read, a signal still does what it does to any program.
    early = frozenset({-int(number)})
    return Kind(f"{number.name} of drapto", inject, frozenset({code}), early_codes=early)


def to_child(number: signal.Signals, what: str, mark: str) -> Kind:
    """To one child at random that holds `mark` in its command line."""

    def inject(place: Place) -> Ended:
        process = place.start(DRAPTO_STALL_S=STALL_S)
        if mark == _ANY:
            await_own_code(process)
            place.sleep_up_to(0.8)
        await_child(process, mark)
        time.sleep(place.rng.uniform(0, 0.3))
        chosen = await_child(process, mark)
        hit = bool(chosen) and _sent(place.rng.choice(chosen), number)
        return place.finish(process, hit=hit)

    return Kind(f"{number.name} of {what}", inject)


def _sent(process: subprocess.Popen[str] | psutil.Process, number: signal.Signals) -> bool:
    """Whether it was still there to be hit."""
    try:
        if isinstance(process, subprocess.Popen) and process.poll() is not None:
            return False
        process.send_signal(number)
        return True
    except psutil.NoSuchProcess:
        return False


_ANY = "-v error"  # but for questions that are answered at once, which have deadlines of their own

KINDS = (
    to_drapto(signal.SIGKILL),
    to_child(signal.SIGKILL, "a segment worker", "/segments/"),
    to_child(signal.SIGKILL, "any ffmpeg", _ANY),
    to_child(signal.SIGSTOP, "a segment worker", "/segments/"),
    to_child(signal.SIGSTOP, "any ffmpeg", _ANY),
    to_drapto(signal.SIGTERM),
    to_drapto(signal.SIGINT),
    to_drapto(signal.SIGHUP),
)
