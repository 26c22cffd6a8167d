"""Segmentation: every frame once, and where the boundaries are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drapto.core.comparators.positions import compare_positions
from drapto.core.comparators.verdict import Sheet, Terms
from drapto.core.comparison import FieldResult
from drapto.core.routing import Side
from drapto.core.segments import Segment
from drapto.core.words import count

_RUNS_NAMED = 3  # ranges of frames that a detail names


@dataclass(frozen=True)
class _Coverage:
    """What a list of segments does with the frames of an index."""

    missing: int
    repeated: int
    outside: int  # frames of segments that the index does not have
    total: int
    detail: str


def compare_segmentation(
    legacy: Sequence[Segment], new: Sequence[Segment], terms: Terms, *, frames: int
) -> tuple[FieldResult, ...]:
    """Both lists in order against a frame index of `frames` frames.

    Gap, overlap and total are measured against the index, not against the other side: new may
    not have any, even where legacy has the same.
    """
    sheet = Sheet(terms)
    left, right = _coverage(legacy, frames), _coverage(new, frames)
    for name, of_legacy, of_new in (
        ("gap", left.missing, right.missing),
        ("overlap", left.repeated, right.repeated),
        ("total", abs(left.total - frames), abs(right.total - frames)),
        ("outside", left.outside, right.outside),
    ):
        shown = (left.total, right.total) if name == "total" else (of_legacy, of_new)
        sheet.measured(
            f"frames.{name}",
            count(shown[0], "frame"),
            count(shown[1], "frame"),
            max(of_legacy, of_new),
            0,
            lost_by=Side.NEW if of_new else Side.LEGACY,
            detail=right.detail if of_new else left.detail,
        )
    compare_positions(
        sheet,
        "boundaries",
        _boundaries(legacy),
        _boundaries(new),
        tolerance_frames=terms.tolerances.boundary_frames,
        f1_at_least=terms.tolerances.boundary_f1,
    )
    return sheet.fields


def _boundaries(segments: Sequence[Segment]) -> tuple[int, ...]:
    """First frame of every segment but the first, ascending, each once."""
    return tuple(sorted({segment.start for segment in segments} - {0}))


def _coverage(segments: Sequence[Segment], frames: int) -> _Coverage:
    used = np.zeros(frames, np.int64)
    total = outside = 0
    for segment in segments:
        length = max(0, segment.end - segment.start)
        start, end = max(0, segment.start), min(frames, segment.end)
        used[start : max(start, end)] += 1
        total += length
        outside += length - max(0, end - start)
    missing, repeated = used == 0, used > 1
    told = [
        *(f"frames {run} are in no segment" for run in _runs(missing)),
        *(f"frames {run} are in more than one" for run in _runs(repeated)),
    ]
    return _Coverage(
        missing=int(missing.sum()),
        repeated=int((used[repeated] - 1).sum()),
        outside=outside,
        total=total,
        detail=f"Of {frames} frames: {', '.join(told)}." if told else f"There are {frames} frames.",
    )


def _runs(marked: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[str]:
    """'[10, 20)' for the first runs of True, and how many more there are."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    runs = [f"[{a}, {b})" for a, b in edges.reshape(-1, 2)]
    more = len(runs) - _RUNS_NAMED
    return [*runs[:_RUNS_NAMED], *([f"of {more} more ranges"] if more > 0 else [])]
