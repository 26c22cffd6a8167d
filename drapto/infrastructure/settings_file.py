"""`drapto.toml`: finding it, reading it, and saying where in it a key stands."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drapto.core.errors import UsageError
from drapto.infrastructure.toml_text import parse_toml

FILE_NAME = "drapto.toml"
_HEADER = re.compile(r"""\s*\[{1,2}\s*["']?([\w.-]+)""")
_ENTRY = re.compile(r"""\s*["']?([\w.-]+)["']?\s*=""")
TABLES = ("legacy",)  # settings whose names begin so, and '_', stand in a table of that name


def user_config_dir() -> Path | None:
    """$XDG_CONFIG_HOME/drapto, by default ~/.config/drapto (XDG Base Directory 0.8).

    None for a user without a home directory.
    """
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        return (Path(base) if base else Path.home() / ".config") / "drapto"
    except RuntimeError:
        return None


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """'Did you mean X?', or '' when nothing known is near."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else ""


@dataclass(frozen=True)
class SettingsFile:
    path: Path
    text: str
    data: dict[str, Any]

    def values(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The settings in the file. Raises UsageError for the first key that is none."""
        keys = {key_in_file(name): name for name in names}
        found: dict[str, Any] = {}
        for key, value in self._entries():
            if key not in keys:
                hint = did_you_mean(key, keys) or "`drapto config show` lists all settings."
                raise UsageError(
                    f"{self.where(key)}: '{key}' is not a setting of Drapto.", hint=hint
                )
            found[keys[key]] = value
        return found

    def _entries(self) -> Iterator[tuple[str, Any]]:
        """Every key with its value, 'TABLE.KEY' for one in a table."""
        for key, value in self.data.items():
            if not isinstance(value, dict):
                yield key, value
            elif key in TABLES:
                yield from ((f"{key}.{inner}", inside) for inner, inside in value.items())
            else:
                raise UsageError(
                    f"{self.where(key)}: '{key}' is a table; settings stand at the top level, or "
                    f"in the table [{'], ['.join(TABLES)}]."
                )

    def where(self, key: str) -> str:
        """'FILE, line N' of a key or table; the parser itself keeps no line numbers."""
        table = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := _HEADER.match(line):
                table = found = header.group(1)
            elif entry := _ENTRY.match(line):
                found = f"{table}.{entry.group(1)}".lstrip(".")
            else:
                continue
            if found == key or found.startswith(f"{key}."):
                return f"{self.path}, line {number}"
        return str(self.path)


def key_in_file(name: str) -> str:
    """How a setting is called in the file: 'crf', 'legacy.scripts_dir'."""
    table, _, rest = name.partition("_")
    return f"{table}.{rest}" if table in TABLES else name


def find_settings_file(named: Path | None) -> SettingsFile | None:
    """The file in force; None if there is none. Raises UsageError if it cannot be read."""
    if named is not None:
        return read_settings_file(named)
    of_user = user_config_dir()
    for candidate in (Path(FILE_NAME), *([of_user / FILE_NAME] if of_user else [])):
        if _exists(candidate):
            return read_settings_file(candidate)
    return None


def _exists(path: Path) -> bool:
    """False also in a directory that this user may not look into."""
    try:
        return path.exists()
    except OSError:
        return False


def read_settings_file(path: Path) -> SettingsFile:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"The settings file {path} cannot be read: {error.strerror or error}."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The settings file {path} is not UTF-8 text.") from error
    try:
        return SettingsFile(path, text, parse_toml(text))
    except ValueError as error:
        raise UsageError(f"The settings file {path} is not valid TOML: {error}.") from error
