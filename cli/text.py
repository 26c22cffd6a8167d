"""How numbers, names and commands are written for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from shlex import join

from drapto.core import json_text
from drapto.core.words import clock, count, duration, saving, size

__all__ = ["clock", "command", "count", "duration", "path", "printable", "saving", "size"]


def printable(text: object, *, newlines: bool = False) -> str:
    r"""Text that cannot move the cursor, change colours or fail to encode.

    File names and tags come from strangers: control, format and surrogate characters are shown
    as escapes, a byte that is no text as `\xe9`. Line feeds stay where `newlines` says so.
    """
    return "".join(
        char
        if (char == "\n" and newlines) or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
        else _escaped(char)
        for char in str(text)
    )


def _escaped(char: str) -> str:
    if unicodedata.category(char) == "Cs":
        return json_text.escape(char)
    return char.encode("unicode_escape").decode("ascii")


def path(value: Path) -> str:
    return printable(value)


def command(arguments: Sequence[str]) -> str:
    """One line that can be pasted into a shell."""
    return join(arguments)
