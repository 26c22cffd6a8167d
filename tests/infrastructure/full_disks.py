"""Small and read-only file systems for tests that need one. Skips where a mount is refused."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(parent: Path, size_kib: int) -> Iterator[Path]:
    """A tmpfs of `size_kib`. Needs the right to mount."""
    folder = parent / "small disk"
    folder.mkdir()
    mount(folder, f"size={size_kib}k,mode=0755")
    try:
        yield folder
    finally:
        unmount(folder)


@contextmanager
def read_only_directory(parent: Path) -> Iterator[Path]:
    """A directory that may not be written to; root needs a mount for that."""
    folder = parent / "read only"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    mount(folder, "ro,size=64k")
    try:
        yield folder
    finally:
        unmount(folder)


def mount(folder: Path, options: str) -> None:
    """A tmpfs with these options over `folder`."""
    command = ["mount", "-t", "tmpfs", "-o", options, "drapto-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def other_file_system(than: Path) -> Iterator[Path]:
    """A fresh directory on another file system than `than`: /dev/shm, or a tmpfs."""
    import tempfile

    shared_memory = Path("/dev/shm")
    if shared_memory.is_dir() and shared_memory.stat().st_dev != than.stat().st_dev:
        with tempfile.TemporaryDirectory(dir=shared_memory, prefix="drapto-test-") as name:
            yield Path(name)
    else:
        with small_disk(than, 8192) as folder:
            yield folder
