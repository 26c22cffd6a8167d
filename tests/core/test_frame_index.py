"""The frame index: rates, key frames, order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from drapto.core.media import FrameIndex


def index_of(pts: list[int], time_base: Fraction, keys: tuple[int, ...] = (0,)) -> FrameIndex:
    steps = np.diff(np.array(pts, dtype=np.int64), append=pts[-1] + 1)
    key = np.zeros(len(pts), dtype=np.bool_)
    key[list(keys)] = True
    return FrameIndex(time_base, np.array(pts, dtype=np.int64), steps, key)


MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    "rate", [Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)]
)
def test_rate_is_found_through_the_rounding_of_a_coarse_time_base(rate: Fraction) -> None:
    pts = [round(n * 1000 / rate) for n in range(500)]
    assert index_of(pts, MS).frame_rate == rate
    with_hole = pts[:200] + pts[260:]
    assert index_of(with_hole, MS).frame_rate == rate


def test_a_still_in_the_middle_does_not_change_the_nominal_rate() -> None:
    pts = [n * 40 for n in range(100)] + [100 * 40 + 5000 + n * 40 for n in range(100)]
    index = index_of(pts, MS)
    assert index.frame_rate == 25
    assert not index.is_constant_rate


def test_one_frame_has_the_rate_of_its_duration() -> None:
    index = FrameIndex(MS, np.array([0]), np.array([40]), np.array([True]))
    assert index.frame_rate == 25
    assert index.duration_s == pytest.approx(0.04)


def test_key_frame_before_is_the_last_one_not_behind() -> None:
    index = index_of(list(range(10)), MS, keys=(0, 4, 8))
    assert [index.key_before(n) for n in (0, 3, 4, 7, 9)] == [0, 0, 4, 4, 8]


def test_timestamps_must_strictly_increase() -> None:
    with pytest.raises(ValueError, match="strictly increase"):
        index_of([0, 1, 1], MS)


def test_digest_tells_different_indices_apart() -> None:
    one, same, other = index_of([0, 1, 2], MS), index_of([0, 1, 2], MS), index_of([0, 1, 3], MS)
    assert one.digest() == same.digest() != other.digest()
    assert index_of([0, 1, 2], Fraction(1, 25)).digest() != one.digest()
