"""A file that nobody may open and a port that nobody may call, and whether somebody did."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.media.clips import ffmpeg, pattern, x264

_IN_OPEN, _IN_NONBLOCK = 0x20, os.O_NONBLOCK  # sys/inotify.h


@dataclass(frozen=True)
class Canary:
    secret: Path
    port: int
    _watch: int
    _listener: socket.socket

    def was_opened(self) -> bool:
        """Since it was asked last."""
        try:
            return bool(os.read(self._watch, 65536))
        except BlockingIOError:
            return False

    def was_called(self) -> bool:
        """Since it was asked last."""
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def is_untouched(self) -> bool:
        opened, called = self.was_opened(), self.was_called()
        return not opened and not called


@contextmanager
def canary(directory: Path, name: str = "secret.ts") -> Iterator[Canary]:
    """A real clip under `name` in `directory`, and a port of this machine."""
    secret = directory / name
    ffmpeg(*pattern(24), *x264(), "-f", "mpegts", secret)
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(_IN_NONBLOCK)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(secret), _IN_OPEN) >= 0
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        try:
            yield Canary(secret, listener.getsockname()[1], watch, listener)
        finally:
            os.close(watch)
