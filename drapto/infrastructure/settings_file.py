"""`drapto.toml`: finding it, reading it, and saying where in it a key stands."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drapto.core.errors import UsageError

FILE_NAME = "drapto.toml"


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
        for key in self.data:
            if isinstance(self.data[key], dict):
                raise UsageError(
                    f"{self.where(key)}: '{key}' is a table; settings stand at the top level."
                )
            if key not in names:
                hint = did_you_mean(key, names) or "`drapto config show` lists all settings."
                raise UsageError(
                    f"{self.where(key)}: '{key}' is not a setting of Drapto.", hint=hint
                )
        return dict(self.data)

    def where(self, key: str) -> str:
        """'FILE, line N' of a top-level key; tomllib itself keeps no line numbers."""
        pattern = re.compile(rf"""\s*\[{{0,2}}\s*["']?{re.escape(key)}["']?\s*[\].=]""")
        for number, line in enumerate(self.text.splitlines(), start=1):
            if pattern.match(line):
                return f"{self.path}, line {number}"
        return str(self.path)


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
        return SettingsFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The settings file {path} is not valid TOML: {error}.") from error
