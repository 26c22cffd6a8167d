"""Runs a command's coroutine: signals, cancellation, and the exit code.

The first SIGINT, SIGTERM or SIGHUP cancels the command, which then stops its children and
writes its journal; further ones only say that this is under way. The exit code is then 130.
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
from anyio.abc import TaskStatus

from cli.errors import INTERRUPTED, describe, say, show


class Stop:
    """Ends the running command from anywhere, any thread included. `reason` says why."""

    def __init__(self) -> None:
        self.reason = ""
        self._cancel: Callable[[], None] | None = None

    def arm(self, scope: anyio.CancelScope) -> None:
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing runs any more
                loop.call_soon_threadsafe(scope.cancel)

        self._cancel = cancel

    def request(self, reason: str) -> None:
        if not self.reason:
            self.reason = reason
            if self._cancel:
                self._cancel()


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
    """Run `body` to its end and return the exit code. Failures are shown here, once."""
    stop = Stop()
    try:
        return anyio.run(_supervise, body, stop, backend="asyncio")
    except KeyboardInterrupt:
        return INTERRUPTED
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
        if stop.reason:  # too late for anything but the exit code
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def show_traceback(error: BaseException) -> None:
    import traceback

    say("".join(traceback.format_exception(error)).rstrip())


async def _supervise(body: Callable[[Stop], Awaitable[int]], stop: Stop) -> int:
    code = INTERRUPTED
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        await group.start(_watch_signals, stop)
        with anyio.CancelScope() as scope:
            stop.arm(scope)
            try:
                code = await body(stop)
            except Exception as error:
                failure = error
        group.cancel_scope.cancel()
    if stop.reason and (failure is not None or scope.cancelled_caught):
        return INTERRUPTED
    if failure is not None:
        raise failure
    return code


async def _watch_signals(stop: Stop, *, task_status: TaskStatus[None]) -> None:
    """Takes the signals that end a program, but for those the parent chose to have ignored."""
    wanted = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    if not wanted:
        task_status.started()
        return
    with anyio.open_signal_receiver(*wanted) as signals:
        task_status.started()
        async for number in signals:
            if stop.reason:
                say("Still stopping: the running encoders are being ended.")
            stop.request(signal.Signals(number).name)
