"""Gives a finished file its final name: whole or not at all, and never over somebody's file.

    check_output(source, output, overwrite=False)      # before the work starts
    await publish(work.assembly / "out.mkv", output, source=source, overwrite=False)

Promised: what appears under the output's name is complete and on the disk; without `overwrite`
a file that appeared meanwhile is not replaced; a failure or a cancellation leaves the work
file where it was and nothing half-written beside the output.

Contract test: tests/infrastructure/test_publish.py.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path

import anyio.from_thread
import anyio.to_thread

from drapto.core.errors import PublishError, UsageError
from drapto.infrastructure.files import DISK_FULL_ERRNOS, sync_directory, translate
from drapto.infrastructure.fingerprint import DIGEST_BYTES, digest_of

COPY_CHUNK_BYTES = 16 * 1024 * 1024  # a cancelled copy stops within one of these
_AT_FDCWD = -100  # fcntl.h
_RENAME_NOREPLACE = 1  # linux/fs.h
_NOT_SUPPORTED = frozenset(
    {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.EMLINK, errno.EACCES}
)


def check_output(source: Path, output: Path, *, overwrite: bool) -> None:
    """Refuse an output that could not or must not be written, before any work is done.

    Errors: UsageError (exit 2) where the command line is wrong: the output is the source under
    whatever name, exists already, is a directory or a device, or lies in a missing directory;
    PublishError (exit 1) where it is right but the directory may not be written to;
    ResourceError if the disk is full.
    """
    _check_place(output)
    _check_target(source, output, overwrite=overwrite)
    try:
        with tempfile.TemporaryFile(dir=output.resolve().parent):
            pass
    except OSError as error:
        what = f"The directory of {output} cannot be written to"
        raise translate(error, what, hint="Name another output.") from error


async def publish(partial: Path, output: Path, *, source: Path, overwrite: bool) -> None:
    """Move the finished `partial` to `output`, which has the permissions of any new file.

    An output that is a symbolic link to a file keeps being one: the file behind it is replaced.
    Errors: as `check_output`, but PublishError if the output appeared meanwhile; ResourceError
    if the other disk is full.
    """
    await anyio.to_thread.run_sync(_publish, partial, output, source, overwrite)


def _publish(partial: Path, output: Path, source: Path, overwrite: bool) -> None:
    """Blocking. Looks for a cancellation while copying and comparing, never around the rename."""
    try:
        _check_place(output)
        _check_target(source, output, overwrite=overwrite)
    except UsageError as error:
        raise PublishError(
            f"{error.message} The finished file is {partial}.", hint=error.hint
        ) from error
    if output.is_symlink():
        output = output.resolve()
    try:
        _finish(partial)
        try:
            _rename(partial, output, overwrite)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _publish_copy(partial, output, overwrite)
    except FileExistsError as error:
        raise PublishError(
            f"{output} appeared while the job ran and is not overwritten. The finished file is "
            f"{partial}.",
            hint="Move it away or use --overwrite, and run the same command again.",
        ) from error
    except OSError as error:
        raise translate(
            error,
            f"{partial} cannot be published as {output}",
            hint="Make room for it there, and run the same command again."
            if error.errno in DISK_FULL_ERRNOS
            else f"Check who may write to {output.parent}, and run the same command again.",
        ) from error


def _check_place(output: Path) -> None:
    folder = output.absolute().parent
    if not folder.is_dir():
        raise UsageError(
            f"The directory {folder} does not exist.", hint="Make it, or name another output."
        )
    if output.is_symlink() and not output.exists():
        raise UsageError(
            f"{output} is a symbolic link to nothing.", hint="Remove it, or name another output."
        )
    if output.is_dir():
        raise UsageError(f"{output} is a directory.", hint="Name a file in it.")
    if output.exists() and not stat.S_ISREG(output.stat().st_mode):
        raise UsageError(f"{output} is not a regular file.", hint="Name another output.")


def _check_target(source: Path, output: Path, *, overwrite: bool) -> None:
    if not output.exists():
        return
    if source.exists() and source.samefile(output):
        raise UsageError(f"{output} is the source {source} itself.", hint="Name another output.")
    if not overwrite:
        raise UsageError(f"{output} exists already.", hint="Use --overwrite to replace it.")


def _finish(path: Path) -> None:
    """Everything on the disk, and readable as any new file is: work files are private."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            os.fchmod(descriptor, 0o666 & ~current_umask())
        except OSError as error:  # file systems without permissions
            if error.errno not in _NOT_SUPPORTED:
                raise
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def current_umask() -> int:
    """The process's umask, read without setting it where the kernel tells (Linux 4.7)."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _rename(partial: Path, output: Path, overwrite: bool) -> None:
    """Errors: FileExistsError without `overwrite`; OSError with EXDEV for another file system."""
    if overwrite:
        partial.replace(output)
    else:
        rename_no_replace(partial, output)
    sync_directory(output.parent)
    sync_directory(partial.parent)


def rename_no_replace(old: Path, new: Path) -> None:
    """Rename, or FileExistsError if `new` is there, with no moment in between.

    Three ways, because file systems differ: the kernel's own; a hard link, then removing the
    old name; claiming the name with an empty file, then renaming over it.
    """
    try:
        _kernel_rename_no_replace(old, new)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        _link_no_replace(old, new)


def _kernel_rename_no_replace(old: Path, new: Path) -> None:
    """renameat2(2), Linux 3.15 and glibc 2.28."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = (os.fsencode(old), os.fsencode(new))
    if function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(old), None, str(new))


def _link_no_replace(old: Path, new: Path) -> None:
    try:
        new.hardlink_to(old)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        _claim_no_replace(old, new)
    else:
        old.unlink()


def _claim_no_replace(old: Path, new: Path) -> None:
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        old.replace(new)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _publish_copy(partial: Path, output: Path, overwrite: bool) -> None:
    """Across file systems: copy beside the output, compare, rename, remove the work file.

    The temporary name belongs to this work file alone, so what a killed run left is found and
    written anew.
    """
    mark = blake2b(os.fsencode(partial.absolute()), digest_size=8).hexdigest()
    temporary = output.with_name(f".{mark}.drapto.tmp")
    temporary.unlink(missing_ok=True)
    size_bytes = partial.stat().st_size
    free = os.statvfs(output.parent)
    if size_bytes > free.f_bavail * free.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output))
    try:
        digest = _copy(partial, temporary)
        if temporary.stat().st_size != size_bytes or digest_of(temporary) != digest:
            raise PublishError(
                f"{output} would differ from the finished file {partial} after copying.",
                hint="Check the disk.",
            )
        _rename(temporary, output, overwrite)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    partial.unlink()


def _copy(old: Path, new: Path) -> str:
    """Copy into a new file and sync it. Returns the digest of what was read."""
    state = blake2b(digest_size=DIGEST_BYTES)
    with old.open("rb") as reader, new.open("xb") as writer:
        while chunk := reader.read(COPY_CHUNK_BYTES):
            state.update(chunk)
            writer.write(chunk)
            anyio.from_thread.check_cancelled()
        writer.flush()
        _finish(new)
    return state.hexdigest()
