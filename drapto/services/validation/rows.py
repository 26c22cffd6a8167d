"""Small helpers that turn a comparison into a row of the manifest."""

from __future__ import annotations

from collections.abc import Iterable

from drapto.core.manifest import ManifestRow, RowOutcome
from drapto.core.media import Track

_LIST_LIMIT = 6


def row(
    check: str,
    subject: str,
    expected: object,
    actual: object,
    passed: bool,
    *,
    tolerance: str = "",
    note: str = "",
) -> ManifestRow:
    """A row that passed or failed."""
    outcome = RowOutcome.PASS if passed else RowOutcome.FAIL
    return _make(check, subject, expected, actual, outcome, tolerance, note)


def equal(
    check: str, subject: str, expected: object, actual: object, *, note: str = ""
) -> ManifestRow:
    """A row that passes only if both sides are the same."""
    return row(check, subject, expected, actual, expected == actual, note=note)


def named(
    check: str, subject: str, expected: object, actual: object, note: str, *, tolerance: str = ""
) -> ManifestRow:
    """A difference that is allowed, with the reason why."""
    return _make(check, subject, expected, actual, RowOutcome.NAMED, tolerance, note)


def near(
    check: str,
    subject: str,
    expected_s: float,
    actual_s: float,
    tolerance_s: float,
    *,
    note: str = "",
) -> ManifestRow:
    """Two moments or durations in seconds, equal within `tolerance_s`."""
    passed = abs(actual_s - expected_s) <= tolerance_s
    tolerance = f"± {milliseconds(tolerance_s)}"
    shown = seconds(expected_s), seconds(actual_s)
    return row(check, subject, *shown, passed, tolerance=tolerance, note=note)


def subject_of(track: Track) -> str:
    """How the rows call a track of the source: 'audio 2 (eng, Commentary)'."""
    about = ", ".join(part for part in (track.language, track.title) if part)
    kind = "cover" if track.is_cover_art else track.kind.value
    return f"{kind} {track.index} ({about})" if about else f"{kind} {track.index}"


def seconds(value_s: float) -> str:
    return f"{value_s + 0.0:.6f} s"


def milliseconds(value_s: float) -> str:
    return f"{value_s * 1000:.3f}".rstrip("0").rstrip(".") + " ms"


def listing(items: Iterable[object]) -> str:
    """The first few, and how many more: 'a, b, c and 4 more'; 'none' if there are none."""
    texts = [str(item) for item in items]
    shown = ", ".join(texts[:_LIST_LIMIT])
    more = len(texts) - _LIST_LIMIT
    return (f"{shown} and {more} more" if more > 0 else shown) or "none"


def or_none(value: object) -> str:
    """`value` as text, 'none' for None and for the empty."""
    return "none" if value is None or value == "" else str(value)


def _make(
    check: str,
    subject: str,
    expected: object,
    actual: object,
    outcome: RowOutcome,
    tolerance: str,
    note: str,
) -> ManifestRow:
    return ManifestRow(
        check=check,
        subject=subject,
        expected=str(expected),
        actual=str(actual),
        tolerance=tolerance,
        outcome=outcome,
        note=note,
    )
