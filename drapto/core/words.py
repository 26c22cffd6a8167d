"""Numbers as people say them, for every message that leaves the program."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def count(number: int, noun: str) -> str:
    """'1 segment', '3 segments'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(size_bytes: float) -> str:
    """'1.4 GiB': at most one decimal, binary units."""
    value = float(size_bytes)
    for unit in _UNITS:
        if abs(value) < 1024 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def shortened(text: str, most: int = 200) -> str:
    """One line of at most so many characters, for what strangers wrote: the beginning, and an
    ellipsis in place of the rest."""
    line = " ".join(text[: 8 * most].split())
    return line if len(line) <= most and len(text) <= 8 * most else line[: most - 1] + "…"


def sentence(note: str) -> str:
    """With a capital letter and a full stop."""
    return note[:1].upper() + note[1:] + ("" if note.endswith((".", "!", "?")) else ".")
