"""Runs a candidate in a process of its own, and lets nothing of it through but its result.

Promised: whatever the candidate does (crash, hang, flood its output, take memory, start processes
without end, write rubbish) the caller gets a `CandidateEnd` soon after the deadline at the latest;
by then every process that descends from the candidate is gone, and when the caller is killed they
go with it (`keeper.py`); stdout and stderr cost the caller nothing; the result is read only if it
is a plain file of a sensible size. The fences around the process itself: `confine.py`.

    candidates = ProcessCandidates(settings, state_dir / "shadow")
    async with candidates.place(task) as place:
        end = await candidates.run("run", task, place, deadline_s=60)

Contract test: tests/infrastructure/test_candidates.py.
"""

from __future__ import annotations

import contextlib
import fcntl
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

from drapto.core.errors import MissingToolError, ProcessFailedError, ResourceError
from drapto.core.json_text import dumps
from drapto.core.routing import RoutedStage
from drapto.core.shadow_task import CandidateEnd, ShadowTask
from drapto.core.words import shortened, size
from drapto.infrastructure import keeper
from drapto.infrastructure.files import translate, write_atomically
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
_KEEPER = (sys.executable, "-I", "-S", keeper.__file__)
_ROOM_HINT = "Set DRAPTO_STATE_DIR to a place with more room, or free some."


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
        """A directory of its own, gone afterwards, for one `run` of each verb.

        Errors: ResourceError on a full disk, PublishError where nothing can be written.
        """
        place, held = await anyio.to_thread.run_sync(self._make_place, task)
        try:
            yield place
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove, place)
            os.close(held)

    def _make_place(self, task: ShadowTask) -> tuple[Path, int]:
        """The directory, and a descriptor that says for as long as it is open that it is in use."""
        try:
            self._base.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._check_room(task)
            with _locked(self._base):
                _clear_up(self._base)
                place = Path(tempfile.mkdtemp(prefix=PLACE_PREFIX, dir=self._base))
                held = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(held, fcntl.LOCK_EX)
                return place, held
        except OSError as error:
            raise translate(
                error, f"No shadow run can be made in {self._base}", hint=_ROOM_HINT
            ) from error

    def _check_room(self, task: ShadowTask) -> None:
        needed = MARGIN_BYTES
        if task.stage is RoutedStage.ENCODING:  # its segments, and the file they are joined to
            needed += 3 * task.output_size_bytes
        free = shutil.disk_usage(self._base).free
        if free < needed:
            raise ResourceError(
                f"A shadow run needs {size(needed)} in {self._base}, where {size(free)} are free.",
                hint=_ROOM_HINT,
            )

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
        """`place / verb` is made, and is the one directory that the candidate may write to: what
        one left there must not lead the next astray. Never raises an Exception."""
        started_s = time.monotonic()
        home = place / verb
        try:
            home.mkdir(mode=0o700)
            write_atomically(home / TASK_FILE, dumps(task).encode())
            write_atomically(home / SETTINGS_FILE, dumps(self._settings).encode())
        except OSError as error:
            return CandidateEnd(payload=None, fault=f"it could not be started ({error.strerror})")
        environment = {**os.environ, MARK: f"{task.id}-{verb}", "TMPDIR": str(home)}
        fault, timed_out, status, stderr_tail = "", False, None, ""
        try:
            ran = await run_process(
                [*_KEEPER, *self._worker, verb, str(home)],
                what=f"The {task.candidate} {task.stage}",
                env=environment,
                cwd=home,
                deadline_s=deadline_s,
                check=False,
                nice=19,
            )
            status, stderr_tail = ran.returncode, ran.stderr_tail
            fault = _how(status) if status else ""
        except ProcessFailedError:
            timed_out = True
        except (MissingToolError, ResourceError) as error:
            fault = str(error)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_kill_marked, environment[MARK])
        wall_s = time.monotonic() - started_s
        payload: bytes | None = None
        if not fault and not timed_out:
            payload, fault = _result(home / RESULT_FILE)
        if fault:
            fault += _last_line(_tail(home / STDERR_FILE) or stderr_tail)
        return CandidateEnd(
            payload=payload, fault=fault, timed_out=timed_out, wall_s=wall_s, status=status
        )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _clear_up(base: Path) -> None:
    """Remove the places of programs that were killed before they could do it themselves.

    The lock of a killed program is gone with it; its number says nothing, since containers give
    out the same ones again.
    """
    for place in base.glob(f"{PLACE_PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(place)
            finally:
                os.close(descriptor)


def _remove(place: Path) -> None:
    """Also what was closed to its owner."""
    with contextlib.suppress(OSError):
        place.chmod(0o700)
        for directory, names, _ in os.walk(place):
            for name in names:
                path = Path(directory, name)
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)


def _how(returncode: int) -> str:
    if returncode >= 0:
        return f"it exited with status {returncode}"
    with contextlib.suppress(ValueError):
        return f"it was killed by {signal.Signals(-returncode).name}"
    return f"it was killed by signal {-returncode}"


def _tail(stderr: Path) -> str:
    """The end of what it wrote to its own log, if that can be read."""
    try:
        with _opened(stderr) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _STDERR_TAIL_BYTES))
            return file.read(_STDERR_TAIL_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return f", saying: {shortened(lines[-1], 500)}" if lines else ""


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
