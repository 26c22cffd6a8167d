from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.services.estimating.windows import FEWEST, MOST, WINDOW_FRAMES, choose_windows

FRAMES = st.integers(min_value=1, max_value=300_000)


@given(FRAMES, st.none() | st.integers(min_value=1, max_value=60), st.text(max_size=8))
def test_windows_stand_for_every_frame_once_and_lie_in_what_they_stand_for(
    frames: int, count: int | None, seed: str
) -> None:
    windows = choose_windows(frames, count=count, seed=seed)
    assert windows[0].first == 0 and windows[-1].last == frames
    assert all(one.last == other.first for one, other in pairwise(windows))
    for window in windows:
        assert window.first <= window.start < window.end <= window.last
        assert window.frames == min(WINDOW_FRAMES, window.stands_for)


@given(FRAMES)
def test_longer_films_get_more_windows_within_bounds(frames: int) -> None:
    count = len(choose_windows(frames))
    assert count == FEWEST or frames < FEWEST * WINDOW_FRAMES or FEWEST <= count <= MOST
    assert count <= len(choose_windows(frames * 2))


def test_the_same_film_is_tried_at_the_same_places_and_another_at_others() -> None:
    one, same, other = (choose_windows(50_000, seed=seed) for seed in ("a", "a", "b"))
    assert one == same
    assert [w.start for w in one] != [w.start for w in other]


def test_a_film_no_longer_than_its_windows_is_tried_whole() -> None:
    windows = choose_windows(WINDOW_FRAMES * 3)
    assert sum(window.frames for window in windows) == WINDOW_FRAMES * 3


def test_nothing_can_be_said_of_no_film() -> None:
    with pytest.raises(ValueError, match="without frames"):
        choose_windows(0)
