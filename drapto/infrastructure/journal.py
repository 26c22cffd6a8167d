"""The journal as a file: one JSON object a line, on the disk before `append` returns.

    journal = FileJournal(work_dir.path)
    await journal.append({"entry": "probed", …})
    await journal.aclose()

Promised: entries lie in the order in which `append` was called; after a kill at any moment the
file holds a prefix of them, with every entry whose `append` had returned; a torn last line is
left out and cut off before the next entry. Entries that wait for the disk at the same time
share one fsync.

Contract test: tests/infrastructure/test_journal.py.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiofiles
import anyio
import anyio.to_thread
from aiofiles.threadpool.binary import AsyncFileIO

from drapto.core import json_text
from drapto.core.errors import DraptoError, StateError
from drapto.infrastructure.files import cleared, sync_directory, translate, write_atomically

JOURNAL_NAME = "journal.jsonl"
DISCARDED_NAME = "journal.discarded.jsonl"  # the last one that was not used, for finding out why
CHECKPOINT_NAME = "checkpoint.json"


@dataclass
class _Batch:
    """Lines that go to the disk together, and what came of it."""

    lines: list[bytes] = field(default_factory=list)
    is_written: bool = False
    error: DraptoError | None = None


class FileJournal:
    """`folder` must exist. For one process at a time: the job's lock sees to that."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        self._folder = folder
        self._lock = anyio.Lock()
        self._checkpoint_lock = anyio.Lock()
        self._batch = _Batch()
        self._file: AsyncFileIO | None = None
        self._size_bytes = 0  # of the whole lines in the file
        self._checkpoints = 0

    async def append(self, entry: dict[str, Any]) -> None:
        """Returns once the entry is on the disk. Errors: ResourceError, PublishError.

        An entry whose `append` was cancelled may still be written, in its place in the order.
        """
        line = json_text.dumps(entry).encode() + b"\n"
        batch = self._batch
        batch.lines.append(line)
        async with self._lock:
            if not batch.is_written:
                self._batch = _Batch()
                with anyio.CancelScope(shield=True):
                    await self._write(batch)
        if batch.error is not None:
            raise batch.error

    async def _write(self, batch: _Batch) -> None:
        """Write the batch, or leave the file as it was and keep the error for every appender."""
        batch.is_written = True
        data = b"".join(batch.lines)
        try:
            file = await self._open()
            try:
                written = 0
                while written < len(data):  # unbuffered: a write may be cut short
                    written += await file.write(data[written:])
                await anyio.to_thread.run_sync(os.fsync, file.fileno())
            except OSError:
                with suppress(OSError):
                    await file.truncate(self._size_bytes)
                await self._close()  # opening it again looks at what is really there
                raise
        except OSError as error:
            batch.error = translate(error, f"The journal {self.path} cannot be written")
            batch.error.__cause__ = error
        else:
            self._size_bytes += len(data)

    async def _open(self) -> AsyncFileIO:
        if self._file is None:
            self._size_bytes = len(b"".join(_whole_lines(await self._read_bytes())))
            self._file = await aiofiles.open(self.path, "ab", buffering=0, opener=_open_private)
            await self._file.truncate(self._size_bytes)
            await anyio.to_thread.run_sync(sync_directory, self._folder)
        return self._file

    async def read(self) -> list[dict[str, Any]]:
        """Every whole entry, in order. Errors: StateError if a line before the last is damaged."""
        lines = _whole_lines(await self._read_bytes())
        return [_parse(line, number, self.path) for number, line in enumerate(lines, start=1)]

    async def _read_bytes(self) -> bytes:
        try:
            async with aiofiles.open(self.path, "rb") as file:
                return await file.read()
        except FileNotFoundError:
            return b""

    async def discard(self) -> None:
        """Set the journal aside under another name; the next `append` begins an empty one."""
        async with self._lock:
            await self._close()
            await anyio.to_thread.run_sync(self._set_aside)

    def _set_aside(self) -> None:
        if self.path.exists():
            self.path.replace(self._folder / DISCARDED_NAME)
            sync_directory(self._folder)

    async def write_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace `checkpoint.json`. Of those that wait at the same time only the last is written.

        Errors: ResourceError, PublishError.
        """
        self._checkpoints += 1
        number = self._checkpoints
        async with self._checkpoint_lock:
            if number < self._checkpoints:
                return
            data = json_text.dumps(state, indent=1).encode() + b"\n"
            path = self._folder / CHECKPOINT_NAME
            try:
                if path.is_dir():
                    cleared(path)
                await anyio.to_thread.run_sync(write_atomically, path, data)
            except OSError as error:
                raise translate(error, f"The checkpoint {path} cannot be written") from error

    async def aclose(self) -> None:
        """Write what a cancelled `append` left waiting, and close the file."""
        with anyio.CancelScope(shield=True):
            async with self._lock:
                batch, self._batch = self._batch, _Batch()
                if batch.lines:
                    await self._write(batch)
                await self._close()

    async def _close(self) -> None:
        if self._file is not None:
            await self._file.close()
            self._file = None


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _whole_lines(data: bytes) -> list[bytes]:
    """Lines that were written to their end.

    The last one is torn if its newline is missing, or if it is no JSON: after a power cut a
    file may be longer than what reached the disk.
    """
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
    if lines and not _is_object(lines[-1]):
        lines.pop()
    return lines


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json_text.loads(line), dict)
    except ValueError:
        return False


def _parse(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        entry = json_text.loads(line)
    except ValueError as error:
        raise StateError(f"Line {number} of {path} is damaged.") from error
    if not isinstance(entry, dict):
        raise StateError(f"Line {number} of {path} is not a journal entry.")
    return entry
