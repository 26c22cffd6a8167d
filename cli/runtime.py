"""Runs a command's coroutine: signals, cancellation, and the exit code.

The first SIGINT, SIGTERM or SIGHUP cancels the command, which then stops its children and
writes its journal; further ones only say that this is under way. The exit code is then 130.
Once the command has ended, none of them changes the exit code any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from cli.errors import INTERRUPTED, describe, say, show

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a program to end."""


class Stop:
    """Ends the running command from anywhere, any thread included. `reason` says why."""

    def __init__(self) -> None:
        self.reason = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scope: anyio.CancelScope | None = None

    def arm(self, scope: anyio.CancelScope) -> None:
        self._loop = asyncio.get_running_loop()
        self._scope = scope
        if self.reason:
            scope.cancel()

    def request(self, reason: str) -> None:
        if not self.reason:
            self.reason = reason
            if self._scope:
                self._soon(self._scope.cancel)

    def signalled(self, number: int, _frame: object) -> None:
        """The handler of a signal; whatever it interrupts, the event loop does the work."""
        if self.reason:
            self._soon(say, "Still stopping: the running encoders are being ended.")
        self.request(signal.Signals(number).name)

    def _soon(self, call: Callable[..., object], *arguments: object) -> None:
        if self._loop:
            with contextlib.suppress(RuntimeError):  # it is closed: nothing runs any more
                self._loop.call_soon_threadsafe(call, *arguments)


class StdoutLines:
    """Writes whole lines to stdout; once its reader is gone it asks for the end, quietly."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._broken = False

    def __call__(self, line: str) -> None:
        if self._broken:
            return
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._broken = True
            drop_stdout()
            self._stop.request("the reader of stdout is gone")


def drop_stdout() -> None:
    """After its reader has gone: let what is still buffered go nowhere, without a complaint."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def run_command(body: Callable[[Stop], Awaitable[int]], *, verbose: bool = False) -> int:
    """Run `body` to its end and return the exit code. Failures are shown here, once.

    The last thing that a program does: the signals that end one are ignored from then on.
    """
    stop = Stop()
    taken = _take_signals(stop)
    try:
        return anyio.run(_supervise, body, stop, backend="asyncio")
    except BrokenPipeError:
        drop_stdout()
        return INTERRUPTED
    except Exception as error:
        failure = describe(error)
        show(failure)
        if verbose and failure.unexpected:
            show_traceback(error)
        return failure.exit_code
    finally:
        for number in taken:  # not given back: the default would end a process that is done
            signal.signal(number, signal.SIG_IGN)


def show_traceback(error: BaseException) -> None:
    import traceback

    say("".join(traceback.format_exception(error)).rstrip())


async def _supervise(body: Callable[[Stop], Awaitable[int]], stop: Stop) -> int:
    code = INTERRUPTED
    failure: Exception | None = None
    with anyio.CancelScope() as scope:
        stop.arm(scope)
        try:
            code = await body(stop)
        except Exception as error:
            failure = error
    if stop.reason and (failure is not None or scope.cancelled_caught):
        return INTERRUPTED
    if failure is not None:
        raise failure
    return code


def _take_signals(stop: Stop) -> list[signal.Signals]:
    """All but those that the parent chose to have ignored.

    Not through the event loop: that gives them back when it closes, before the process is gone.
    """
    taken = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, stop.signalled)
    return taken
