from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.analysis import FieldOrder, Interlacing, Scene, VideoAnalysis
from drapto.core.deinterlacing import (
    DeinterlaceChoice,
    Deinterlacing,
    Method,
    chosen,
    shown_analysis,
    shown_index,
)
from drapto.core.field_filters import FieldStretch, field_filters
from drapto.core.frame_index import FrameIndex

TICKS = 3003  # of a frame at 30000/1001 in MPEG's 1/90000 s


def coded_index(frames: int, *, step: int = TICKS, base: int = 90000) -> FrameIndex:
    pts = np.arange(frames, dtype=np.int64) * step + 1000
    return FrameIndex(Fraction(1, base), pts, np.full(frames, step), np.arange(frames) % 10 == 0)


def pulldown(frames: int, first: int = 2) -> Deinterlacing:
    dropped = tuple(range(first, frames, 5))
    woven = tuple(n + 1 for n in dropped if n + 1 < frames)
    return Deinterlacing(method=Method.IVTC, dropped=dropped, woven=woven)


@pytest.mark.parametrize(
    ("found", "method"),
    [
        (Interlacing.PROGRESSIVE, Method.OFF),
        (Interlacing.TOP_FIELD_FIRST, Method.BWDIF),
        (Interlacing.BOTTOM_FIELD_FIRST, Method.BWDIF),
        (Interlacing.TELECINED, Method.IVTC),
        (Interlacing.MIXED, Method.MATCH),
    ],
)
def test_auto_does_what_suits_the_film(found: Interlacing, method: Method) -> None:
    analysis = VideoAnalysis(scenes=(), interlacing=found, field_order=FieldOrder.BOTTOM_FIRST)
    work = chosen("auto", analysis)
    assert work.method is method
    assert work == Deinterlacing() or work.field_order is FieldOrder.BOTTOM_FIRST


@pytest.mark.parametrize("asked", ["off", "bwdif", "bob", "ivtc"])
@pytest.mark.parametrize("found", list(Interlacing))
def test_a_method_that_is_named_is_used_whatever_was_found(
    asked: DeinterlaceChoice, found: Interlacing
) -> None:
    assert chosen(asked, VideoAnalysis(scenes=(), interlacing=found)).method == asked


def test_index_is_the_same_where_every_frame_becomes_one() -> None:
    index = coded_index(20)
    for method in (Method.OFF, Method.BWDIF, Method.MATCH, Method.IVTC):
        assert shown_index(index, Deinterlacing(method=method)) is index


def test_two_pictures_of_a_frame_are_half_a_frame_apart() -> None:
    shown = shown_index(coded_index(20), Deinterlacing(method=Method.BOB))
    assert len(shown) == 40
    assert shown.frame_rate == Fraction(60000, 1001)
    assert shown.pts[0] * shown.time_base == Fraction(1000, 90000)
    assert set(np.diff(shown.pts) * shown.time_base) == {Fraction(1001, 60000)}
    assert shown.end_pts * shown.time_base == coded_index(20).end_pts * Fraction(1, 90000)


@pytest.mark.parametrize("first", range(1, 6))
def test_film_behind_pulldown_runs_evenly_at_its_own_rate(first: int) -> None:
    coded = coded_index(100)
    shown = shown_index(coded, pulldown(100, first))
    assert len(shown) == 100 - len(pulldown(100, first).dropped)
    # The first picture is there from the beginning, which may be a part of a frame before its time.
    assert abs(shown.frame_rate / Fraction(24000, 1001) - 1) < Fraction(1, 200)
    assert set(np.diff(shown.pts)[1:] * shown.time_base) == {Fraction(1001, 24000)}
    assert shown.pts[0] * shown.time_base == coded.pts[0] * coded.time_base
    assert shown.end_pts * shown.time_base == coded.end_pts * coded.time_base


def test_video_between_film_keeps_its_own_times() -> None:
    coded = coded_index(60)
    film = (2, 7, 12, 17, 42, 47, 52, 57)
    shown = shown_index(coded, Deinterlacing(method=Method.IVTC, dropped=film))
    times = shown.pts * shown.time_base
    for frame in range(22, 38):
        assert coded.pts[frame] * coded.time_base in times
    assert (np.diff(shown.pts) > 0).all()


def test_loose_frames_keep_their_own_times_right_beside_film() -> None:
    coded, film = coded_index(60), (2, 7, 12, 17, 42, 47, 52, 57)
    loose = ((18, 41), (47, 49))
    shown = shown_index(coded, Deinterlacing(method=Method.IVTC, dropped=film, loose=loose))
    times = shown.pts * shown.time_base
    for frame in range(18, 41):
        assert coded.pts[frame] * coded.time_base in times
    assert coded.pts[48] * coded.time_base not in times  # a field short, but in the rhythm


@given(st.sets(st.integers(1, 59)), st.integers(1, 59), st.sets(st.integers(0, 60)))
def test_any_frames_can_be_left_out(dropped: set[int], step: int, borders: set[int]) -> None:
    ends = iter(sorted(borders))
    loose = tuple(zip(ends, ends, strict=False))
    work = Deinterlacing(method=Method.IVTC, dropped=tuple(sorted(dropped)), loose=loose)
    coded = coded_index(60, step=step, base=1000)
    shown = shown_index(coded, work)  # refuses times that do not increase
    kept = [n for n in range(60) if n not in dropped]
    assert [work.coded_frame(n) for n in range(len(shown))] == kept
    assert [work.shown_frame(n) for n in kept] == list(range(len(shown)))
    assert work.shown_frame(60) == len(shown)
    moved = np.abs(shown.pts - coded.pts[kept] * (len(coded) and 4 if dropped else 1))
    assert moved.max() <= (3 * step if dropped else 0)  # less than a frame: 3 quarters


def test_findings_are_renumbered_and_scenes_still_cover_every_frame() -> None:
    found = VideoAnalysis(
        scenes=(Scene(start=0, end=2), Scene(start=2, end=3), Scene(start=3, end=20)),
        black_frames=((0, 3), (2, 3)),
        flash_frames=(7, 8),
    )
    shown = shown_analysis(found, pulldown(20))
    assert [(s.start, s.end) for s in shown.scenes] == [(0, 2), (2, 16)]
    assert shown.black_frames == ((0, 2),)
    assert shown.flash_frames == (6,)
    bob = shown_analysis(found, Deinterlacing(method=Method.BOB))
    assert [(s.start, s.end) for s in bob.scenes] == [(0, 4), (4, 6), (6, 40)]


def test_findings_without_anything_to_renumber_are_the_same_object() -> None:
    found = VideoAnalysis(scenes=(Scene(start=0, end=2),))
    assert shown_analysis(found, Deinterlacing(method=Method.BWDIF)) is found


def test_stretch_has_a_margin_on_either_side_and_names_frames_from_there() -> None:
    coded, work = coded_index(100), pulldown(100)
    stretch = FieldStretch.of(coded, shown_index(coded, work), work, 16, 24)
    assert stretch.begins_at == 16
    assert stretch.first_pts == coded.pts[16]
    assert stretch.end_pts == coded.pts[29 + 1 + 4]
    assert (stretch.shown_first_pts, stretch.shown_end_pts) == (coded.pts[20], coded.pts[30])
    assert stretch.work.dropped == (1, 6, 11, 16)
    assert stretch.work.woven == (2, 7, 12, 17)


@given(
    st.sets(st.integers(0, 60)),
    st.sets(st.integers(0, 60)),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted),
)
def test_part_of_a_film_names_what_lies_in_it(
    dropped: set[int], borders: set[int], part: list[int]
) -> None:
    start, end = part
    ends = iter(sorted(borders))
    loose = tuple(zip(ends, ends, strict=False))
    frames = tuple(sorted(dropped))
    work = Deinterlacing(method=Method.IVTC, dropped=frames, woven=frames, loose=loose)
    found = work.between(start, end)
    inside = range(start, end)
    assert found.dropped == found.woven == tuple(n - start for n in inside if n in dropped)
    in_loose = {frame for first, last in loose for frame in range(first, last)}
    assert [frame for first, last in found.loose for frame in range(first, last)] == [
        frame - start for frame in inside if frame in in_loose
    ]


def test_all_segments_of_a_long_film_are_described_at_once() -> None:
    """Each of them looked through all dropped frames of the film: minutes for a long one."""
    frames = 500_000
    coded, work = coded_index(frames), pulldown(frames)
    shown = shown_index(coded, work)
    began = time.process_time()
    for start in range(0, 200 * 100, 100):
        FieldStretch.of(coded, shown, work, start, start + 100)
    assert time.process_time() - began < 1


def test_thousand_repeats_of_one_rhythm_are_one_term() -> None:
    coded, work = coded_index(5000), pulldown(5000)
    stretch = FieldStretch.of(coded, shown_index(coded, work), work, 0, 4000)
    filters = field_filters(stretch, 720, 480, 8)
    assert "select='not(between(n,2,4997)*not(mod(n-2,5)))'" in filters
