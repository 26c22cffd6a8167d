"""Tells whether a file is still the one it was.

A source's fingerprint reads three samples, so it takes milliseconds for any size; a work
file's digest reads all of it. Neither proves anything against a forger, only against edits,
truncation and damage.

Contract test: tests/infrastructure/test_fingerprint.py.
"""

from __future__ import annotations

import os
import stat
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.from_thread
import anyio.to_thread

from drapto.core.entries import SourceFingerprint
from drapto.core.errors import InputError

SAMPLE_BYTES = 1024 * 1024  # each of head, middle and tail: 3 seeks on a disk, 30 ms at 100 MB/s
CHUNK_BYTES = 1024 * 1024
DIGEST_BYTES = 16


async def fingerprint(path: Path) -> SourceFingerprint:
    """Size, modification time and a digest over three samples.

    Errors: InputError, also for what is no regular file: a pipe can be read only once.
    """
    return await anyio.to_thread.run_sync(_fingerprint, path)


async def file_digest(path: Path) -> str:
    """blake2b-128 of the whole file, hex. Cancellable within a chunk. Errors: OSError."""
    return await anyio.to_thread.run_sync(digest_of, path)


async def check_file(path: Path, size_bytes: int, digest: str) -> str | None:
    """None if the file is what it was; otherwise why not, in plain words.

    This is the verifier that `StateManager.open` wants: it never raises for a bad file.
    """
    return await anyio.to_thread.run_sync(_check_file, path, size_bytes, digest)


def _fingerprint(path: Path) -> SourceFingerprint:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is not a regular file.", hint="Name a video file.")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return SourceFingerprint(
                size_bytes=status.st_size,
                mtime_ns=status.st_mtime_ns,
                sample_digest=_sample_digest(file, status.st_size),
            )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _sample_digest(file: BinaryIO, size_bytes: int) -> str:
    state = blake2b(digest_size=DIGEST_BYTES)
    state.update(size_bytes.to_bytes(8, "little"))
    if size_bytes <= 3 * SAMPLE_BYTES:
        state.update(file.read())
    else:
        for offset in (0, (size_bytes - SAMPLE_BYTES) // 2, size_bytes - SAMPLE_BYTES):
            file.seek(offset)
            state.update(file.read(SAMPLE_BYTES))
    return state.hexdigest()


def digest_of(path: Path) -> str:
    """`file_digest` without the thread: only to be called in a worker thread of anyio."""
    state = blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(CHUNK_BYTES)
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            state.update(view[:count])
            anyio.from_thread.check_cancelled()
    return state.hexdigest()


def _check_file(path: Path, size_bytes: int, digest: str) -> str | None:
    try:
        size_now = path.stat().st_size
        if size_now != size_bytes:
            return f"{path.name} has {size_now} bytes instead of {size_bytes}"
        if digest_of(path) != digest:
            return f"{path.name} has other content than when it was finished"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    return None
