"""Reads what a child says: a tail of it, the beginning of it, or line by line.

Tests: tests/infrastructure/test_process.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import IO

STDERR_TAIL_BYTES = 8192
STDOUT_LIMIT_BYTES = 64 * 1024 * 1024
LINE_LIMIT_BYTES = 1024 * 1024


@contextlib.asynccontextmanager
async def _reader(pipe: IO[bytes]) -> AsyncIterator[asyncio.StreamReader]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES, loop=loop)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), pipe
    )
    try:
        yield reader
    finally:
        transport.close()


async def keep_tail(pipe: IO[bytes], tail: bytearray) -> None:
    async with _reader(pipe) as reader:
        while chunk := await reader.read(65536):
            tail += chunk
            del tail[:-STDERR_TAIL_BYTES]


async def keep(pipe: IO[bytes], kept: bytearray) -> None:
    async with _reader(pipe) as reader:
        while chunk := await reader.read(65536):
            kept += chunk[: max(0, STDOUT_LIMIT_BYTES - len(kept))]


async def each_line(pipe: IO[bytes], on_line: Callable[[str], None]) -> None:
    """Lines end at a newline or a carriage return; the last one may end at neither."""
    pending = b""
    async with _reader(pipe) as reader:
        while chunk := await reader.read(65536):
            *lines, pending = (pending + chunk).replace(b"\r", b"\n").split(b"\n")
            pending = pending[-LINE_LIMIT_BYTES:]
            for line in lines:
                if line:
                    on_line(line.decode("utf-8", "replace"))
    if pending:
        on_line(pending.decode("utf-8", "replace"))
