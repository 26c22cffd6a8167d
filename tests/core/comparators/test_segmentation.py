"""Two plans of one film, side by side."""

from __future__ import annotations

import pytest

from drapto.core.comparators.segmentation import compare_segmentation
from drapto.core.comparators.verdict import verdict
from drapto.core.comparison import Outcome, Severity
from drapto.core.segments import Segment
from tests.core.comparators.examples import outside, segments, terms

PLAN = segments(0, 60, 120, 180, 240)


def outcome(legacy: tuple[Segment, ...], new: tuple[Segment, ...]) -> Outcome:
    return verdict(compare_segmentation(legacy, new, terms(), frames=240))[0]


def moved(number: int, *, start: int = 0, end: int = 0) -> tuple[Segment, ...]:
    """The plan with one segment's borders moved, its neighbours left alone."""
    changed = [
        s.model_copy(update={"start": s.start + start, "end": s.end + end}) if i == number else s
        for i, s in enumerate(PLAN)
    ]
    return tuple(changed)


def test_boundaries_two_frames_off_match_and_three_do_not() -> None:
    assert outcome(PLAN, segments(0, 62, 118, 181, 240)) is Outcome.MATCH
    fields = compare_segmentation(PLAN, segments(0, 63, 120, 180, 240), terms(), frames=240)
    assert outside(fields) == {
        "boundaries.f1": Severity.MISMATCH,
        "boundaries[0]": Severity.MISMATCH,
        "boundaries[1]": Severity.MISMATCH,
    }


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (moved(1, start=1), "frames.gap"),
        (moved(1, end=1), "frames.overlap"),
        (PLAN[:-1], "frames.total"),
        (moved(3, end=5), "frames.outside"),
        ((), "frames.gap"),
        ((*PLAN, PLAN[0]), "frames.overlap"),
    ],
    ids=["gap", "overlap", "too short", "too long", "nothing", "twice"],
)
def test_frames_that_are_not_covered_once_are_critical(
    new: tuple[Segment, ...], field: str
) -> None:
    fields = compare_segmentation(PLAN, new, terms(), frames=240)
    assert outside(fields)[field] is Severity.CRITICAL
    assert verdict(fields)[0] is Outcome.CRITICAL


def test_a_gap_of_legacy_is_legacys_error_and_one_of_both_is_critical() -> None:
    assert outcome(moved(1, start=1), PLAN) is Outcome.LEGACY_ERROR
    assert outcome(moved(1, start=1), moved(1, start=1)) is Outcome.CRITICAL


def test_the_missing_frames_are_named() -> None:
    fields = compare_segmentation(PLAN, moved(1, start=2), terms(), frames=240)
    (gap,) = [f for f in fields if f.field == "frames.gap"]
    assert (gap.legacy, gap.new, gap.distance) == ("0 frames", "2 frames", 2)
    assert "[60, 62)" in gap.detail
