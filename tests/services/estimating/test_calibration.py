from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.services.estimating.calibration import ordinary_rate, weights

RATES = st.lists(st.floats(min_value=10, max_value=1e5), min_size=1, max_size=24)


@given(RATES, st.floats(min_value=10, max_value=1e5))
def test_weights_sum_to_one_and_none_is_negative_or_counts_for_all(
    hints: list[float], film: float
) -> None:
    parts = weights([1.0] * len(hints), hints, film)
    assert parts.sum() == pytest.approx(1.0)
    assert (parts > 0).all()
    assert parts.max() / parts.min() <= 9.001  # three times as much, and a third


@given(RATES.filter(lambda rates: len(rates) > 2), st.floats(min_value=0.45, max_value=0.55))
def test_weighted_windows_have_the_mean_of_the_film(hints: list[float], place: float) -> None:
    low, high = min(hints), max(hints)
    film = float(np.mean(hints)) + 0.2 * (place - 0.5) * (high - low)
    parts = weights([1.0] * len(hints), hints, film)
    reached = float(parts @ hints)
    plain = float(np.mean(hints))
    assert abs(reached - film) <= abs(plain - film) + 1e-6 * high


def test_windows_as_hard_as_the_film_stand_for_what_they_were_drawn_from() -> None:
    parts = weights([100, 300], [50.0, 50.0], 50.0)
    assert parts.tolist() == pytest.approx([0.25, 0.75])
    assert weights([100, 300], None, 0.0).tolist() == pytest.approx([0.25, 0.75])


def test_hard_windows_count_less_where_the_film_is_easier_than_they_are() -> None:
    easy, hard = weights([1, 1], [100.0, 900.0], 400.0).tolist()
    assert easy > 0.5 > hard
    assert easy * 100 + hard * 900 == pytest.approx(400.0, rel=1e-3)


def test_key_frames_do_not_make_a_stretch_look_hard() -> None:
    sizes = np.array([9000, 100, 100, 100])
    key = np.array([True, False, False, False])
    assert ordinary_rate(sizes, key) == 100
    assert ordinary_rate(sizes, np.ones(4, dtype=bool)) == sizes.mean()
