"""One process per job: an advisory lock that the kernel releases when its holder dies.

Promised: of two holders of the same path at most one at a time, also when the file is removed
and made again in between; never left behind by a kill. Works between processes and within one.

Contract test: tests/infrastructure/test_lock.py.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from drapto.core.errors import JobLockedError, ResourceError
from drapto.infrastructure.files import write_all

_NOTE_BYTES = 256
_ATTEMPTS = 100  # each is lost only to a holder that removed the file at that very moment


class JobLock:
    """`path` is the lock file. `prepare` makes its directory; it is called before every attempt.

    It may raise FileNotFoundError where the directory goes away under its hands.
    """

    def __init__(self, path: Path, prepare: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._prepare = prepare
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock at once or not at all.

        Errors: JobLockedError with the holder's process number; ResourceError where the file
        system knows no locks; OSError from `prepare` or from making the file.
        """
        for _ in range(_ATTEMPTS):
            try:
                self._prepare()
                descriptor = os.open(
                    self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
                )
            except FileNotFoundError:  # another holder removed the directory in between
                continue
            try:
                if self._lock(descriptor):
                    self._descriptor = descriptor
                    return
            finally:
                if self._descriptor is None:
                    os.close(descriptor)
        raise JobLockedError(f"{self._path} cannot be taken: it is removed again and again.")

    def release(self) -> None:
        """Give the lock back. The file stays: removing it is the work directory's business."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> JobLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _lock(self, descriptor: int) -> bool:
        """False if the file was removed between opening and locking: the lock is worth nothing."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise self._refusal(descriptor) from error
            raise ResourceError(
                f"{self._path} cannot be locked: {error.strerror}.",
                hint="Name a directory on a local disk with --work-dir.",
            ) from error
        try:
            there = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116
        except FileNotFoundError:
            return False
        if not os.path.samestat(there, os.fstat(descriptor)):
            return False
        os.ftruncate(descriptor, 0)
        write_all(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
        return True

    def _refusal(self, descriptor: int) -> JobLockedError:
        words = os.pread(descriptor, _NOTE_BYTES, 0).decode(errors="replace").split()
        holder = "another process"
        if words and words[0].isdigit():
            where = f" on {words[1]}" if words[1:] and words[1] != socket.gethostname() else ""
            holder = f"process {words[0]}{where}"
        return JobLockedError(
            f"{holder.capitalize()} already works on this job ({self._path.parent}).",
            hint="Wait for it to end, or stop it.",
        )


@asynccontextmanager
async def only_one(path: Path, *, poll_s: float = 0.5) -> AsyncIterator[None]:
    """Wait until no other process is in here with the same `path`. Errors: OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await anyio.sleep(poll_s)
        yield
    finally:
        os.close(descriptor)
