"""The only door to a child process.

Promised for every child: its own process group; no terminal and no standard input; a bounded
tail of its stderr; an optional deadline, and an optional limit to standing still; terminate →
wait → kill → reap when the caller is cancelled or one of them passes; the operating system's own
figures of what it used. A child does not outlive a killed parent (Linux: PR_SET_PDEATHSIG).

One promise is the kernel's: a child that waits in it for a disk or a network that does not answer
ends, killed or not, when the answer comes. It is not waited for longer than KILL_GRACE_S, and the
report of leaks names it.

    result = await run_process([ffmpeg, "-i", path, ...], what="Encoding segment 3")

Contract test: tests/infrastructure/test_process.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from drapto.core.errors import MissingToolError, ProcessFailedError, ResourceError
from drapto.core.interfaces import ProcessUse
from drapto.core.resources import OUT_OF_FILES_HINTS
from drapto.infrastructure.pipes import each_line, keep, keep_tail
from drapto.infrastructure.session import keep_lowering, lower_session
from drapto.infrastructure.stalling import stands_still

TERMINATE_GRACE_S = 3.0  # time between SIGTERM and SIGKILL
KILL_GRACE_S = 10.0  # between SIGKILL and going on without: a choice; most children take 10 ms
PIPE_GRACE_S = 5.0  # time to read what an ended child left in its pipes
PRIVATE = 0o077  # umask; a published output gets that of the user (publish.py)

_IN_KERNEL = "a disk or a network that it waits for does not answer"
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class ProcessResult:
    """How a child ended. `cpu_s` is user plus system time, with its own reaped children."""

    command: tuple[str, ...]
    returncode: int
    stdout: bytes  # empty if lines were taken by a callback
    stderr_tail: str
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int

    @property
    def use(self) -> ProcessUse:
        return ProcessUse(self.wall_s, self.cpu_s, self.peak_rss_bytes)


async def run_process(
    argv: Sequence[str | os.PathLike[str]],
    *,
    what: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    deadline_s: float | None = None,
    stall_s: float | None = None,
    on_stdout_line: Callable[[str], None] | None = None,
    check: bool = True,
    nice: int = 0,
    memory_bytes: int | None = None,
) -> ProcessResult:
    """Run a child to its end. `nice` lowers its priority, `memory_bytes` bounds what it may have
    for itself (RLIMIT_DATA); what it writes nobody else may read.

    `what` opens the error message. With `on_stdout_line` every line of stdout goes to the
    callback, on the event loop; otherwise stdout is kept, up to 64 MiB. `stall_s` is how long it
    may use no CPU time. Errors: ProcessFailedError (not with `check` off, but always after the
    deadline or a stall), MissingToolError if the program does not exist, ResourceError if no
    more files can be opened: the pipes to a child are such.
    """
    command = tuple(os.fspath(arg) for arg in argv)
    started = time.monotonic()
    child = _spawn(command, what=what, env=env, cwd=cwd, nice=nice, memory_bytes=memory_bytes)
    heard = _Heard(child)
    try:
        await heard.to_the_end(deadline_s, stall_s, on_stdout_line, nice)
    finally:
        ended = heard.exit_status or await _end(child.pid)
        if ended is not None:
            child.returncode = ended.returncode  # so that Popen knows there is nothing to reap
        _close(child)
    stderr_tail = heard.tail.decode("utf-8", "replace")
    cut_short = heard.cut_short if heard.exit_status is None else ""
    if ended is None:
        cut_short += f"; it was killed and has not ended within {KILL_GRACE_S:g} s: {_IN_KERNEL}"
    if ended is None or cut_short or (check and ended.returncode != 0):
        raise ProcessFailedError(
            what,
            command=command,
            returncode=None if cut_short or ended is None else ended.returncode,
            stderr_tail=stderr_tail,
            cut_short=cut_short,
        )
    return ProcessResult(
        command=command,
        returncode=ended.returncode,
        stdout=bytes(heard.kept),
        stderr_tail=stderr_tail,
        wall_s=time.monotonic() - started,
        cpu_s=ended.cpu_s,
        peak_rss_bytes=ended.peak_rss_bytes,
    )


class _Heard:
    """What a child says until it ends, or until a limit is passed: then `exit_status` is None."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self.tail = bytearray()
        self.kept = bytearray()
        self.exit_status: _ExitStatus | None = None
        self.cut_short = "ran past its deadline"

    async def to_the_end(
        self,
        deadline_s: float | None,
        stall_s: float | None,
        on_stdout_line: Callable[[str], None] | None,
        nice: int,
    ) -> None:
        child = self._child
        assert child.stderr is not None
        assert child.stdout is not None
        watch = anyio.CancelScope()
        with anyio.move_on_after(deadline_s):
            async with anyio.create_task_group() as group:
                group.start_soon(keep_tail, child.stderr, self.tail)
                if on_stdout_line is None:
                    group.start_soon(keep, child.stdout, self.kept)
                else:
                    group.start_soon(each_line, child.stdout, on_stdout_line)
                group.start_soon(self._look_after, stall_s, nice, watch, group.cancel_scope)
                self.exit_status = await _wait(child.pid)  # reaped: nothing may come between
                watch.cancel()
                # A grandchild in a group of its own may hold the pipes open for ever.
                group.cancel_scope.deadline = anyio.current_time() + PIPE_GRACE_S

    async def _look_after(
        self,
        stall_s: float | None,
        nice: int,
        watch: anyio.CancelScope,
        everything: anyio.CancelScope,
    ) -> None:
        """As long as it runs: afterwards its number may be that of another process."""
        with watch:
            if nice:
                await keep_lowering(self._child.pid, nice)
            if stall_s is not None:
                await stands_still(self._child.pid, stall_s)
                self.cut_short = f"stood still for {stall_s:g} s and was ended"
                everything.cancel()


def _spawn(
    command: tuple[str, ...],
    *,
    what: str,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    nice: int,
    memory_bytes: int | None,
) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def in_child() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # the parent died before the line above
                os._exit(1)
        if memory_bytes is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        if nice:
            os.nice(nice)
            lower_session("self", nice)

    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            umask=PRIVATE,
            preexec_fn=in_child,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise MissingToolError(
            f"{what}: the program {command[0]} cannot be started ({error.strerror}).",
            hint="Run 'drapto doctor' to see what is missing.",
        ) from error
    except OSError as error:
        _raise_if_out_of_files(what, error)
        raise ProcessFailedError(  # no memory, no more processes, an argument that is too long
            what,
            command=command[:1],
            returncode=None,
            stderr_tail="",
            cut_short=f"could not be started ({error.strerror})",
        ) from error


def start_detached(argv: Sequence[str | os.PathLike[str]]) -> None:
    """Start a process that nobody waits for and that outlives this one, at the lowest priority.

    It has no terminal, no standard streams and a session of its own. Errors: MissingToolError,
    ResourceError if no more files can be opened.
    """
    try:
        subprocess.Popen(
            [os.fspath(arg) for arg in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            preexec_fn=lambda: os.nice(19),
        )
    except OSError as error:
        _raise_if_out_of_files("Starting another process", error)
        raise MissingToolError(
            f"The program {os.fspath(argv[0])} cannot be started ({error.strerror})."
        ) from error


def _raise_if_out_of_files(what: str, error: OSError) -> None:
    """No other attempt helps, so this is no failure of the program that was to be started."""
    hint = OUT_OF_FILES_HINTS.get(error.errno or 0)
    if hint is not None:
        raise ResourceError(
            f"{what}: no program can be started ({error.strerror}).", hint=hint
        ) from error


@dataclass(frozen=True)
class _ExitStatus:
    returncode: int
    cpu_s: float
    peak_rss_bytes: int


async def _wait(pid: int) -> _ExitStatus:
    """Wait for the child, kill what it left in its group, reap it.

    Needs no thread where the kernel has pidfd (Linux 5.3 and later). The group is killed while
    the child is still a zombie, so its number cannot belong to anyone else yet.
    """
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        await anyio.to_thread.run_sync(
            os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT, abandon_on_cancel=True
        )
    else:
        try:
            await anyio.wait_readable(fd)
        finally:
            os.close(fd)
    _signal_group(pid, signal.SIGKILL)
    return _reap(pid)


def _reap(pid: int) -> _ExitStatus:
    """Collect a child that has already ended: does not block."""
    _, status, usage = os.wait4(pid, 0)
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, KiB on Linux
    return _ExitStatus(
        returncode=os.waitstatus_to_exitcode(status),
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=usage.ru_maxrss * scale,
    )


async def _end(pid: int) -> _ExitStatus | None:
    """Terminate, wait, kill, reap. Not cancellable: it ends within both grace periods.

    None: killed, and yet it has not ended. It is reaped by nobody before this process ends, or by
    Popen when another child is started.
    """
    with anyio.CancelScope(shield=True):
        for number, grace_s in (signal.SIGTERM, TERMINATE_GRACE_S), (signal.SIGKILL, KILL_GRACE_S):
            _signal_group(pid, number)
            with anyio.move_on_after(grace_s):
                return await _wait(pid)
    return None


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _close(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
