"""Where in a TOML text a key stands. tomllib keeps no line numbers.

    line_of(text, ("stage", "detection", "rules", 1, "mode"))  # 12

The text is cut after each line in turn; the first cut that still parses, if need be with the
brackets closed that it left open, and holds the key ends with the line of the key. That knows
every way to write a key. It parses the text once per line: for messages about small files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

_CLOSINGS = ("", "]", "]]", "]}", "]}]")  # only arrays go over lines, also within others


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line, from 1, of this key or item, else of the innermost thing around it that is there.

    None if not even the first key of `path` is there. `text` is valid TOML.
    """
    lines = text.splitlines(keepends=True)
    for depth in range(len(path), 0, -1):
        for number in range(1, len(lines) + 1):
            start = "".join(lines[:number])
            if any(_holds(start + closing, path[:depth]) for closing in _CLOSINGS):
                return number
    return None


def _holds(text: str, path: Sequence[str | int]) -> bool:
    try:
        value: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
