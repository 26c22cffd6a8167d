"""Scenes keep their pictures when the decoded truth has other frame numbers."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.analysis import PictureShape, Scene, ShapeChange, VideoAnalysis
from drapto.core.media import FrameIndex
from drapto.services.detection.truth import realigned


def index_of(pts: list[int]) -> FrameIndex:
    count = len(pts)
    return FrameIndex(
        Fraction(1, 25),
        np.array(pts, dtype=np.int64),
        np.ones(count, dtype=np.int64),
        np.zeros(count, dtype=np.bool_),
    )


def analysis_of(pts: list[int] | None, *cuts: int, frames: int) -> VideoAnalysis:
    borders = [0, *cuts, frames]
    scenes = tuple(
        Scene(start=start, end=end, mean_luma=float(start))
        for start, end in itertools.pairwise(borders)
    )
    decoded = None if pts is None else tuple(pts)
    return VideoAnalysis(scenes=scenes, decoded_pts=decoded, decoded_frames=frames)


def test_a_cut_stays_at_its_time_when_frames_before_it_turn_up() -> None:
    seen = [0, 1, 4, 5, 6, 7]  # detection lost 2 and 3
    found = realigned(analysis_of(seen, 4, frames=6), index_of([0, 1, 2, 3, 4, 5, 6, 7]))
    assert [(s.start, s.end, s.mean_luma) for s in found.scenes] == [(0, 6, 0.0), (6, 8, 4.0)]
    assert found.decoded_frames == 8


def test_a_change_of_picture_stays_at_its_time_too() -> None:
    small, large = PictureShape(width=192, height=108), PictureShape(width=320, height=180)
    change = ShapeChange(frame=3, before=small, after=large)
    analysis = analysis_of([0, 1, 4, 5], frames=4).model_copy(update={"shape_changes": (change,)})
    (found,) = realigned(analysis, index_of([0, 1, 2, 3, 4, 5])).shape_changes
    assert found.frame == 5


def test_agreeing_analysis_is_left_alone() -> None:
    analysis = analysis_of(None, 3, frames=6)
    assert realigned(analysis, index_of(list(range(6)))) is analysis


@given(
    st.sets(st.integers(0, 60), min_size=1, max_size=40),
    st.sets(st.integers(0, 60), min_size=1, max_size=40),
    st.sets(st.integers(1, 39), max_size=6),
)
def test_scenes_cover_the_true_index_once(seen: set[int], true: set[int], cuts: set[int]) -> None:
    pts = sorted(seen)
    analysis = analysis_of(pts, *sorted(c for c in cuts if c < len(pts)), frames=len(pts))
    found = realigned(analysis, index_of(sorted(true)))
    borders = [0, *(scene.end for scene in found.scenes)]
    assert [scene.start for scene in found.scenes] == borders[:-1]
    assert borders[-1] == len(true)
    assert all(scene.frames > 0 for scene in found.scenes)
