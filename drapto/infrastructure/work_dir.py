"""The work directory of a job: everything needed to go on after a crash, in one place.

    work = WorkDir.for_output(output, run.work_dir)
    with work.locked():
        journal = FileJournal(work.path)
        …
        work.remove()

It lies beside the output, on the same file system, so that publishing is a rename. What it
holds, name by name: `docs/state.md`.

Promised: made with mode 0700; never reached through a symbolic link; never taken over unless a
job of this user left it and nobody else could write to it; removal touches nothing but what
is ours.

Contract test: tests/infrastructure/test_work_dir.py.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from drapto.core.errors import PublishError, UsageError
from drapto.infrastructure.files import cleared, sync_directory, translate
from drapto.infrastructure.journal import CHECKPOINT_NAME, DISCARDED_NAME, JOURNAL_NAME
from drapto.infrastructure.lock import JobLock

LOCK_NAME = "lock"
LOG_NAME = "log.jsonl"  # written by infrastructure/logging.py
MANIFEST_NAME = "manifest.json"
SUB_DIRECTORIES = ("source", "segments", "audio", "assembly", "temp")
NAME_LIMIT_BYTES = 255  # of one path component on every usual file system

_OUR_FILES = (
    JOURNAL_NAME,
    DISCARDED_NAME,
    CHECKPOINT_NAME,
    MANIFEST_NAME,
    *(f".{name}.tmp" for name in (CHECKPOINT_NAME, MANIFEST_NAME)),
)


class WorkDir:
    """`path` is absolute. Nothing is made before `locked` or `create`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @classmethod
    def for_output(cls, output: Path, base: Path | None = None) -> WorkDir:
        """`.<name>.drapto` beside the output; below `base` a name made from the whole path."""
        output = output.absolute()
        digest = blake2b(os.fsencode(os.path.normpath(output)), digest_size=8).hexdigest()
        if base is not None:
            return cls(base.absolute() / f"{_shortened(output.name, 64)}-{digest}")
        name = f".{output.name}.drapto"
        if len(os.fsencode(name)) > NAME_LIMIT_BYTES:
            name = f".{_shortened(output.name, 64)}-{digest}.drapto"
        return cls(output.parent / name)

    @property
    def source(self) -> Path:
        """A rewrapped copy of a source that cannot be addressed by time."""
        return self.path / "source"

    @property
    def segments(self) -> Path:
        return self.path / "segments"

    @property
    def audio(self) -> Path:
        return self.path / "audio"

    @property
    def assembly(self) -> Path:
        """The assembled file, until it is published."""
        return self.path / "assembly"

    @property
    def temp(self) -> Path:
        """For what no later run needs; emptied at every start."""
        return self.path / "temp"

    @property
    def log_file(self) -> Path:
        return self.path / LOG_NAME

    @property
    def manifest_file(self) -> Path:
        return self.path / MANIFEST_NAME

    @contextmanager
    def locked(self) -> Iterator[WorkDir]:
        """Make the directory, hold its lock, and start with an empty `temp`.

        Errors: JobLockedError if another process works here; UsageError (exit 2) if the parent
        directory is missing or the place is taken by something else: the command line names a
        wrong place and nothing has been tried; PublishError (exit 1) if the place may not be
        written to and ResourceError if the disk is full: the command line is right and another
        day it may work.
        """
        lock = JobLock(self.path / LOCK_NAME, prepare=self.create)
        try:
            lock.acquire()
            self._make_sub_directories()
        except OSError as error:
            lock.release()
            raise translate(error, f"The work directory {self.path} cannot be made") from error
        except BaseException:
            lock.release()
            raise
        try:
            yield self
        finally:
            lock.release()

    def create(self) -> None:
        """Make the directory itself, or make sure that the one there is a job's. See `locked`."""
        parent = self.path.parent
        if not parent.is_dir():
            raise UsageError(
                f"The directory {parent} does not exist.", hint="Make it, or name another output."
            )
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            self._check_ours()
        except OSError as error:
            raise translate(error, f"The work directory {self.path} cannot be made") from error

    def _check_ours(self) -> None:
        status = self.path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a directory"
            raise UsageError(
                f"{self.path} is {kind}, but the work directory would have to be there.",
                hint="Move it away, or name another place with --work-dir.",
            )
        if status.st_uid != os.geteuid():
            raise PublishError(
                f"The work directory {self.path} belongs to another user.",
                hint="Name another place with --work-dir.",
            )
        with suppress(PermissionError):  # a file system without permissions
            self.path.chmod(0o700)
        names = {path.name for path in self.path.iterdir()}
        if names and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PublishError(
                f"Others could write to the work directory {self.path}, so nobody knows what they "
                "put there.",
                hint="Remove it, or name another place with --work-dir.",
            )
        if names and LOCK_NAME not in names:
            raise UsageError(
                f"{self.path} is in the way of the work directory and was not made by Drapto.",
                hint="Move it away, or name another place with --work-dir.",
            )

    def _make_sub_directories(self) -> None:
        self._remove_tree(self.temp)
        for name in SUB_DIRECTORIES:
            folder = self.path / name
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise UsageError(
                    f"{folder} is a symbolic link or a file instead of a directory.",
                    hint=f"Remove {self.path} to start the job afresh.",
                )
        sync_directory(self.path)

    def reset(self) -> None:
        """Empty the sub-directories: no file of an earlier run is left. Journal and log stay."""
        for name in SUB_DIRECTORIES:
            self._remove_tree(self.path / name)
            (self.path / name).mkdir(mode=0o700)

    def remove(self) -> tuple[Path, ...]:
        """Remove all that is ours, the directory itself last. Call it with the lock held.

        Returns what somebody else put there; the directory then stays, with that and the lock.
        A directory that is gone already is removed. Errors: PublishError.
        """
        if not self.path.exists():
            return ()
        try:
            for name in SUB_DIRECTORIES:
                self._remove_tree(self.path / name)
            for path in (*(self.path / name for name in _OUR_FILES), *self._logs()):
                cleared(path)
            foreign = tuple(sorted(p for p in self.path.iterdir() if p.name != LOCK_NAME))
            if not foreign:
                self._remove_itself()
        except OSError as error:
            raise translate(error, f"The work directory {self.path} cannot be removed") from error
        return foreign

    def _remove_itself(self) -> None:
        """The lock file goes last: another process that opens it now looks again and starts anew.

        If it has done so already, the directory is its own and stays.
        """
        (self.path / LOCK_NAME).unlink(missing_ok=True)
        try:
            self.path.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        sync_directory(self.path.parent)

    def size_bytes(self) -> int:
        """What all files in it take, without following links. 0 if there is none."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with suppress(FileNotFoundError):
                    total += Path(folder, name).lstat().st_size
        return total

    def _logs(self) -> Iterator[Path]:
        """The log and its rotated predecessors."""
        return self.path.glob(f"{LOG_NAME}*")

    @staticmethod
    def _remove_tree(path: Path) -> None:
        """Remove a directory of ours; of a link only the link."""
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)


def _shortened(name: str, limit_bytes: int) -> str:
    return os.fsdecode(os.fsencode(name)[:limit_bytes]) if name else "output"
