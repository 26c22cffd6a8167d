"""Runs a candidate in a process of its own, and lets nothing of it through but its result.

Promised: whatever the candidate does (crash, hang, flood its output, take memory, start processes
without end, write rubbish) the caller gets a `CandidateEnd` soon after the deadline at the latest;
by then every process that descends from the candidate is gone; stdout and stderr cost the caller
nothing; the result is read only if it is a plain file of a sensible size. The fences around the
process itself: `confine.py`.

    end = await ProcessCandidates(settings).run("run", task, place, deadline_s=60)

Contract test: tests/infrastructure/test_candidates.py.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO

import anyio
import psutil

from drapto.core.errors import MissingToolError, ProcessFailedError, ResourceError
from drapto.core.json_text import dumps
from drapto.core.routing import RoutedStage
from drapto.core.shadow_task import CandidateEnd, ShadowTask
from drapto.core.words import size
from drapto.infrastructure.files import write_atomically
from drapto.infrastructure.process import run_process

# Begins with an underscore, so that it is not taken for a setting.
MARK = "_DRAPTO_SHADOW_RUN"
RESULT_LIMIT_BYTES = 64 * 1024 * 1024  # the analysis of a day of film is about 10 MiB
TASK_FILE, SETTINGS_FILE = "task.json", "settings.json"
RESULT_FILE, STDERR_FILE = "result.json", "stderr.log"
PLACE_PREFIX = "run-"
MARGIN_BYTES = 512 * 1024 * 1024  # more than logs, index and audio of a long film need
_STDERR_TAIL_BYTES = 4096
_WORKER = (sys.executable, "-m", "drapto.shadow_worker")


class ProcessCandidates:
    """`settings` are what the worker builds its services from, `base` is where the places lie,
    `worker` is the program."""

    def __init__(
        self, settings: Mapping[str, object], base: Path, worker: Sequence[str] = _WORKER
    ) -> None:
        self._settings = dict(settings)
        self._base = base
        self._worker = tuple(worker)

    @asynccontextmanager
    async def place(self, task: ShadowTask) -> AsyncIterator[Path]:
        """A directory of its own, gone afterwards. Errors: ResourceError on a full disk."""
        base = self._base
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        needed = MARGIN_BYTES
        if task.stage is RoutedStage.ENCODING:  # its segments, and the file they are joined to
            needed += 3 * task.output_size_bytes
        free = shutil.disk_usage(base).free
        if free < needed:
            raise ResourceError(
                f"A shadow run needs {size(needed)} in {base}, where {size(free)} are free.",
                hint="Set DRAPTO_STATE_DIR to a place with more room, or free some.",
            )
        _clear_up(base)
        place = Path(tempfile.mkdtemp(prefix=f"{PLACE_PREFIX}{os.getpid()}-", dir=base))
        try:
            yield place
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(shutil.rmtree, place, True)

    async def changed(self, task: ShadowTask) -> str:
        """Why the source or the output is not what it was; empty if it is."""
        try:
            source, output = task.source.stat(), task.output.stat()
        except OSError as error:
            return f"{error.filename} is gone: {error.strerror}."
        if (source.st_size, source.st_mtime_ns) != (task.source_size_bytes, task.source_mtime_ns):
            return f"{task.source} has changed since."
        if output.st_size != task.output_size_bytes:
            return f"{task.output} has changed since."
        return ""

    async def run(
        self, verb: str, task: ShadowTask, place: Path, *, deadline_s: float
    ) -> CandidateEnd:
        """`place` is the one directory the candidate may write to. Never raises an Exception."""
        started_s = time.monotonic()
        write_atomically(place / TASK_FILE, dumps(task).encode())
        write_atomically(place / SETTINGS_FILE, dumps(self._settings).encode())
        (place / RESULT_FILE).unlink(missing_ok=True)
        environment = {**os.environ, MARK: f"{task.id}-{verb}", "TMPDIR": str(place)}
        fault, timed_out = "", False
        try:
            ran = await run_process(
                [*self._worker, verb, str(place)],
                what=f"The {task.candidate} {task.stage}",
                env=environment,
                cwd=place,
                deadline_s=deadline_s,
                check=False,
                nice=19,
            )
            fault = _how(ran.returncode) if ran.returncode else ""
        except ProcessFailedError:
            timed_out = True
        except MissingToolError as error:
            fault = str(error)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_kill_marked, environment[MARK])
        wall_s = time.monotonic() - started_s
        payload: bytes | None = None
        if not fault and not timed_out:
            payload, fault = _result(place / RESULT_FILE)
        if fault:
            fault = f"{fault}{_said(place / STDERR_FILE)}"
        return CandidateEnd(payload=payload, fault=fault, timed_out=timed_out, wall_s=wall_s)


def _clear_up(base: Path) -> None:
    """Remove the places of processes that were killed before they could do it themselves."""
    for place in base.glob(f"{PLACE_PREFIX}*-*"):
        owner = place.name.removeprefix(PLACE_PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(place, ignore_errors=True)


def _how(returncode: int) -> str:
    if returncode >= 0:
        return f"it exited with status {returncode}"
    with contextlib.suppress(ValueError):
        return f"it was killed by {signal.Signals(-returncode).name}"
    return f"it was killed by signal {-returncode}"


def _said(stderr: Path) -> str:
    """The last line it wrote, if that can be read."""
    try:
        with _opened(stderr) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _STDERR_TAIL_BYTES))
            text = file.read(_STDERR_TAIL_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f", saying: {lines[-1][-500:]}" if lines else ""


def _result(path: Path) -> tuple[bytes | None, str]:
    try:
        with _opened(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > RESULT_LIMIT_BYTES:
                return None, f"its result of {size(size_bytes)} is too long to be one"
            return file.read(RESULT_LIMIT_BYTES), ""
    except FileNotFoundError:
        return None, "it ended without a result"
    except ValueError as error:
        return None, f"its result is {error}"
    except OSError as error:
        return None, f"its result cannot be read ({error.strerror})"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A plain file of an untrusted process, without waiting. ValueError if it is none."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("not a file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(fd)


def _kill_marked(mark: str) -> None:
    """Kill every process that inherited the mark, wherever it has moved to.

    A process can be born while we look, so it takes as many looks as there is something to see.
    """
    wanted = f"{MARK}={mark}".encode()
    deadline_s = time.monotonic() + 10.0
    while time.monotonic() < deadline_s:
        found = list(_marked(wanted))
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _marked(wanted: bytes) -> Iterator[int]:
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # gone, a zombie, or somebody else's
            continue
        if wanted in environment.split(b"\0"):
            yield int(entry.name)
