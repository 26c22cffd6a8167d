"""Stands over a candidate, and leaves nothing of it behind. A program of its own:

    python -I -S keeper.py PROGRAM ARGUMENT...

Promised, on Linux: when PROGRAM has ended, when this process is told to end (SIGTERM), and when
the process that started it is gone, however it went, every process that descends from PROGRAM is
killed; leaving its group, its session and its environment does not help one. Ends as PROGRAM did.

A child whose parent ends belongs to the nearest 'child subreaper' above it (prctl(2)), which is
this process. So as long as one descendant lives, this process has a child, and the other way
round: with no child left, none lives. Only the standard library, for it has to start at once.

Contract test: tests/infrastructure/test_candidates.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_HEARD = frozenset({signal.SIGTERM, signal.SIGCHLD})
_PROC = Path("/proc")
_LOOK_AGAIN_S = 0.005
_NO_SUCH_PROGRAM = 127  # as a shell says it


def main(command: list[str]) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        # Until here it was SIGKILL (process.py), so there is no moment without one.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    program = _start(command)
    try:
        status = _wait(program)
    finally:
        _kill_all(program)
    if status is None:
        return -signal.SIGTERM
    return os.waitstatus_to_exitcode(status)


def _start(command: list[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        os.execvp(command[0], command)
    finally:
        os._exit(_NO_SUCH_PROGRAM)


def _wait(program: int) -> int | None:
    """The wait status of the program; None if this process was told to end before it."""
    while True:
        if signal.sigwait(_HEARD) == signal.SIGTERM:
            return None
        for pid, status in _reaped():
            if pid == program:
                return status


def _reaped() -> Iterator[tuple[int, int]]:
    """(process, wait status) of the children that have ended. Errors: none."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found


def _kill_all(program: int) -> None:
    """Until there is no child. A process may be born while we look, so we look again."""
    while _has_children():
        # Without /proc there are no subreapers either: the one child is the program.
        for pid in _descendants() if _PROC.exists() else [program]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        list(_reaped())
        time.sleep(_LOOK_AGAIN_S)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _descendants() -> list[int]:
    """Of this process, by what /proc says now."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # 'PID (NAME) STATE PARENT …', proc(5); a name may hold anything, ')' included
                after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2]
                children.setdefault(int(after_name.split()[1]), []).append(int(entry.name))
    found = list(children.get(os.getpid(), ()))
    for pid in found:  # grows while it is gone through
        found += children.get(pid, ())
    return found


def _end_as(code: int) -> None:
    """Exit with a status, or by the signal that a negative code names, without a core file."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL cannot be set, and need not be
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    _end_as(main(sys.argv[1:]))
