"""How numbers, names and commands are written for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from shlex import join

from drapto.core import json_text
from drapto.core.words import count, size

__all__ = ["command", "count", "duration", "path", "printable", "saving", "size"]


def duration(seconds: float) -> str:
    """'1:02:03', or '2:03' below an hour, or '4.5 s' below ten seconds."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def saving(source_bytes: int, output_bytes: int) -> str:
    """'62 % smaller', '3 % bigger', or 'same size'."""
    if not source_bytes:
        return "-"
    share = 1 - output_bytes / source_bytes
    percent = round(abs(share) * 100)
    if not percent:
        return "same size"
    return f"{percent} % {'smaller' if share > 0 else 'bigger'}"


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
