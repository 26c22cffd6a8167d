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


def duration(seconds: float) -> str:
    """'1:02:03', or '2:03' below an hour, or '4.5 s' below ten seconds."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def clock(seconds: float) -> str:
    """'0:01:02.345': a place in a film."""
    thousandths = round(seconds * 1000)
    sign, thousandths = ("-", -thousandths) if thousandths < 0 else ("", thousandths)
    whole, rest = divmod(thousandths, 1000)
    return f"{sign}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:03d}"


def saving(source_bytes: int, output_bytes: int) -> str:
    """'62 % smaller', '3 % bigger', or 'same size'."""
    if not source_bytes:
        return "-"
    share = 1 - output_bytes / source_bytes
    percent = round(abs(share) * 100)
    if not percent:
        return "same size"
    return f"{percent} % {'smaller' if share > 0 else 'bigger'}"


def shortened(text: str, most: int = 200) -> str:
    """One line of at most so many characters, for what strangers wrote: the beginning, and an
    ellipsis in place of the rest."""
    line = " ".join(text[: 8 * most].split())
    return line if len(line) <= most and len(text) <= 8 * most else line[: most - 1] + "…"


def sentence(note: str) -> str:
    """With a capital letter and a full stop."""
    return note[:1].upper() + note[1:] + ("" if note.endswith((".", "!", "?")) else ".")
