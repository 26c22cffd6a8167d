"""`flags.toml`: which file it is, and what it says now.

    file = FlagsFile(find_flags_file())   # UsageError if it is broken
    reading = file.current()              # looks again; a broken change leaves the last good flags

A file counts as changed when its inode, size or modification time differs. Which file it is, is
settled once: a file that is moved away keeps its last flags, so that an editor which writes a new
one in its place never lets the next file in the order decide for a moment.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from drapto.core.errors import UsageError
from drapto.core.flag_policy import FlagSet
from drapto.infrastructure.flags.reading import parse_flags
from drapto.infrastructure.settings_file import user_config_dir

FILE_NAME = "flags.toml"
FILE_VARIABLE = "DRAPTO_FLAGS_FILE"
_PACKAGE = Path(__file__).resolve().parents[2]
_Version = tuple[int, int, int]


@dataclass(frozen=True)
class FlagsPlace:
    """A flags file, and why it is this one: 'named by DRAPTO_FLAGS_FILE', …"""

    path: Path
    why: str
    is_packaged: bool = False  # Drapto's own, which an update replaces


def find_flags_file() -> FlagsPlace:
    """The first of: DRAPTO_FLAGS_FILE, ./flags.toml, the user's, the one Drapto comes with.

    A file that is named is used even if it is not there: that is an error when it is read.
    """
    if named := os.environ.get(FILE_VARIABLE, ""):
        return FlagsPlace(Path(named).expanduser().absolute(), f"named by {FILE_VARIABLE}")
    here = Path(FILE_NAME).absolute()
    if _is_there(here):
        return FlagsPlace(here, "in the current directory")
    if (folder := user_config_dir()) and _is_there(folder / FILE_NAME):
        return FlagsPlace((folder / FILE_NAME).absolute(), "in the user's configuration directory")
    return FlagsPlace(packaged_flags_file(), "the one Drapto comes with", is_packaged=True)


def packaged_flags_file() -> Path:
    """In a wheel it lies in the package, in a checkout at the top."""
    inside = _PACKAGE / FILE_NAME
    return inside if inside.exists() else _PACKAGE.parent / FILE_NAME


def _is_there(path: Path) -> bool:
    """False also in a directory that this user may not look into."""
    try:
        return path.exists()
    except OSError:
        return False


@dataclass(frozen=True)
class Reading:
    flags: FlagSet
    warnings: tuple[str, ...] = ()


class FlagsFile:
    """One flags file, read again whenever it has changed. May be asked from any thread.

    Errors, when made: UsageError for a file that cannot be read or used.
    """

    def __init__(self, place: FlagsPlace) -> None:
        self.place = place
        self._lock = threading.Lock()
        self._to_say: list[str] = []
        try:
            self._seen: _Version | None
            self._seen, data = _read(place.path)
        except OSError as error:
            raise UsageError(
                f"The flags file {place.path} ({place.why}) cannot be read: {error.strerror}."
            ) from error
        self._flags = parse_flags(data, place.path)

    @property
    def last_good(self) -> FlagSet:
        """Without looking at the file."""
        return self._flags

    def current(self) -> Reading:
        """The flags in force, and a warning the first time that a broken version was met."""
        with self._lock:
            self._refresh()
            warnings, self._to_say = tuple(self._to_say), []
            return Reading(self._flags, warnings)

    def refreshed(self) -> FlagSet:
        """As `current`, but leaves its warnings to be given by that."""
        with self._lock:
            self._refresh()
            return self._flags

    def _refresh(self) -> None:
        try:
            if _version(os.stat(self.place.path)) == self._seen:  # noqa: PTH116
                return
            self._seen, data = _read(self.place.path)
            self._flags = parse_flags(data, self.place.path)
        except OSError as error:
            if self._seen is not None:
                self._to_say.append(
                    _kept(f"{self.place.path} cannot be read any more: {error.strerror}.")
                )
            self._seen = None
        except UsageError as error:
            self._to_say.append(_kept(error.message))


def _kept(fault: str) -> str:
    return f"The flags stay as they were, for the flags file cannot be used. {fault}"


def _read(path: Path) -> tuple[_Version, bytes]:
    """One version and the bytes of it; what is written meanwhile counts as another version."""
    with path.open("rb") as file:
        return _version(os.fstat(file.fileno())), file.read()


def _version(status: os.stat_result) -> _Version:
    return status.st_ino, status.st_size, status.st_mtime_ns
