"""One-to-one matching of frame numbers."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.comparators.matching import match_positions

numbers = st.sets(st.integers(0, 14), max_size=6).map(sorted)


def most_pairs(left: list[int], right: list[int], tolerance: int) -> int:
    """By trying every choice: two ascending choices of equal length, paired in order."""
    for size in range(min(len(left), len(right)), 0, -1):
        for a in combinations(left, size):
            for b in combinations(right, size):
                if all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True)):
                    return size
    return 0


@given(numbers, numbers, st.integers(0, 3))
def test_no_more_pairs_are_possible_and_each_number_is_used_once(
    left: list[int], right: list[int], tolerance: int
) -> None:
    found = match_positions(left, right, tolerance)
    assert len(found.pairs) == most_pairs(left, right, tolerance)
    assert sorted([a for a, _ in found.pairs] + list(found.only_left)) == left
    assert sorted([b for _, b in found.pairs] + list(found.only_right)) == right
    assert all(abs(a - b) <= tolerance for a, b in found.pairs)


@pytest.mark.parametrize("odd", [9, 11])
def test_the_number_that_fits_worse_is_the_one_left_over(odd: int) -> None:
    both = sorted((10, odd))
    assert match_positions([10], both, 1).only_right == (odd,)
    assert match_positions(both, [10], 1).only_left == (odd,)


def test_f1_of_two_empty_lists_is_one_and_of_nothing_in_common_zero() -> None:
    assert match_positions([], [], 1).f1 == 1
    assert match_positions([5], [], 1).f1 == 0
    assert match_positions([10, 20, 30], [11, 20], 1).f1 == pytest.approx(0.8)
