"""Writing files so that a kill at any moment leaves the old or the new one, never half of it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from drapto.core.errors import DraptoError, PublishError, ResourceError

DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def sync_directory(path: Path) -> None:
    """Make a rename or a new name in this directory survive a power cut.

    Some network file systems refuse to sync a directory; they need no telling.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def cleared(path: Path) -> Path:
    """`path`, with nothing there: a link in its place goes, and not what it points at.

    For files of a work directory that are written by somebody who would follow it; a directory of
    that name goes with all that is in it. Errors: OSError.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def give_name(written: Path, path: Path) -> None:
    """Rename a finished file of a work directory, whatever stands in its place. Errors: OSError."""
    if path.is_dir():
        cleared(path)
    written.replace(path)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Temporary name, fsync, rename, fsync of the directory. Errors: OSError, nothing left."""
    temporary = cleared(path.with_name(f".{path.name}.tmp"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        descriptor = os.open(temporary, flags, mode)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; a write that a nearly full disk cut short is taken up again."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


FREE_SPACE_HINT = (
    "Free some space, or name another place with --work-dir, and run the same command again."
)
PERMISSIONS_HINT = "Check the permissions, or name another place with --work-dir."
BROKEN_DISK_HINT = (
    "The disk reports a fault: check it, or name another place with --work-dir, and run the same "
    "command again."
)
GONE_HINT = "Something removed it while the job was running; run the same command again."


def translate(error: OSError, what: str, *, hint: str | None = None) -> DraptoError:
    """The DraptoError for an OSError at the disk: ResourceError if it is full or broken."""
    message = f"{what}: {error.strerror}."
    if error.errno == errno.EIO:
        return ResourceError(message, hint=BROKEN_DISK_HINT)
    if error.errno in DISK_FULL_ERRNOS:
        return ResourceError(message, hint=FREE_SPACE_HINT if hint is None else hint)
    if error.errno == errno.ENOENT:
        return PublishError(message, hint=GONE_HINT)
    return PublishError(message, hint=PERMISSIONS_HINT if hint is None else hint)
