from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drapto.services.detection.scenes import runs, scenes


@given(st.integers(1, 60), st.sets(st.integers(1, 59)))
def test_scenes_cover_every_frame_once(frames: int, cuts: set[int]) -> None:
    inside = sorted(cut for cut in cuts if cut < frames)
    ones = np.ones(frames, np.float32)
    made = scenes(inside, spatial=ones, temporal=ones, mean=ones)
    covered = [frame for scene in made for frame in range(scene.start, scene.end)]
    assert covered == list(range(frames))
    assert [scene.start for scene in made[1:]] == inside


def test_temporal_complexity_leaves_the_cut_out() -> None:
    temporal = np.array([0, 1, 1, 90, 3, 3], np.float32)
    first, second = scenes([3], spatial=temporal * 0 + 5, temporal=temporal, mean=temporal * 0)
    assert (first.temporal_complexity, second.temporal_complexity) == (1, 3)
    assert first.spatial_complexity == 5


@given(st.lists(st.booleans(), max_size=40))
def test_runs_cover_exactly_what_is_marked(marks: list[bool]) -> None:
    found = runs(np.array(marks, dtype=bool))
    covered = {frame for start, end in found for frame in range(start, end)}
    assert covered == {i for i, mark in enumerate(marks) if mark}
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))
