"""Compares two lists of frame numbers, such as cuts: their F1, and each that one side lacks."""

from __future__ import annotations

from collections.abc import Sequence

from drapto.core.comparators.matching import Matched, f1, match_positions
from drapto.core.comparators.verdict import Sheet
from drapto.core.comparison import FieldResult, Severity
from drapto.core.words import count

LISTED = 20  # frame numbers that are named; the rest is counted


def compare_positions(
    sheet: Sheet,
    name: str,
    legacy: Sequence[int],
    new: Sequence[int],
    *,
    tolerance_frames: int,
    f1_at_least: float,
) -> None:
    """Adds `NAME.f1`, and `NAME[i]` for each number without a partner.

    `i` counts all of both sides in order, a matched pair once, so that `cuts[0]` is the first
    cut that anybody found. F1 decides: while it is high enough, single ones are listed but are
    no discrepancies, and all carry its distance, so that what excuses F1 excuses them. One that
    a person said to ignore counts as if it were matched.
    """
    if sheet.is_skipped(name):
        return
    matched = match_positions(legacy, new, tolerance_frames)
    odd = _unmatched(matched)
    spared = sum(sheet.terms.ignored(f"{name}[{row}]") is not None for row, _, _ in odd)
    enough = matched.f1 >= f1_at_least - 1e-9
    forgiven = f1(len(matched.pairs) + spared, len(odd) - spared)
    is_forgiven = spared > 0 and forgiven >= f1_at_least - 1e-9
    distance = 1 - (forgiven if is_forgiven and not enough else matched.f1)
    tolerance = 1 - f1_at_least
    severity = sheet.measured(
        f"{name}.f1",
        count(len(legacy), "frame"),
        count(len(new), "frame"),
        distance,
        tolerance,
        detail=f"F1 {matched.f1:.3f}: {len(matched.pairs)} found by both, "
        f"{len(matched.only_left)} by legacy alone, {len(matched.only_right)} by new alone.",
    )
    is_fine = enough or is_forgiven or severity is not Severity.MISMATCH
    for row, frame, is_legacy in odd[:LISTED]:
        field = f"{name}[{row}]"
        if sheet.terms.ignored(field) is not None and not enough:
            severity = Severity.IGNORED
        else:
            severity = Severity.WITHIN if is_fine else Severity.MISMATCH
        sheet.put(
            FieldResult(
                field=field,
                severity=severity,
                legacy=f"frame {frame}" if is_legacy else "none",
                new="none" if is_legacy else f"frame {frame}",
                distance=distance,
                tolerance=tolerance,
                detail=f"Found by {'legacy' if is_legacy else 'new'} alone.",
            )
        )


def _unmatched(matched: Matched) -> list[tuple[int, int, bool]]:
    """(row in the merged list, frame, whether it is legacy's), in order."""
    rows = [(min(pair), 0, pair[0], None) for pair in matched.pairs]
    merged: list[tuple[int, int, int, bool | None]] = [
        *rows,
        *((frame, 1, frame, True) for frame in matched.only_left),
        *((frame, 2, frame, False) for frame in matched.only_right),
    ]
    return [
        (row, frame, side)
        for row, (_, _, frame, side) in enumerate(sorted(merged, key=lambda m: m[:2]))
        if side is not None
    ]
