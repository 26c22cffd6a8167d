"""Films that are known to the last frame, and what is predicted of them from windows."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drapto.core.estimate import Range, Window
from drapto.core.quality import SegmentQuality
from drapto.services.encoding.target_quality import ORDINARY, Goal
from drapto.services.estimating.film import Film, Seen
from drapto.services.estimating.prediction import FAR_FROM_KEY, Trial, next_crfs, predict
from drapto.services.estimating.windows import WINDOW_FRAMES, choose_windows

FILM = Film(frames=40_000, pixels=640 * 360, shortest_segment=24, longest_segment=240)
GOAL = Goal(target=93.0)


def trial(window: Window, *, hardness: float = 1.0, crf: float = 30.0) -> Trial:
    """A window whose frames cost so many times 900 bytes at CRF 30, and five times that if key."""
    rate = 900 * hardness * math.exp(-0.07 * (crf - 30))
    gap = 8.0 * math.exp(0.045 * (crf - 30)) * hardness**0.2
    return Trial(
        seen=Seen(window, cuts=0, features=(math.log(30), math.log(2 + hardness))),
        crf=crf,
        size_bytes=round(rate * (window.frames + 4)),
        key_bytes=round(rate * 5),
        cpu_s=0.02 * window.frames * hardness,
        quality=SegmentQuality.of_scores([103.0 - gap] * 4),
    )


def trials(count: int, *, film: Film = FILM, spread: float = 0.5, seed: int = 1) -> list[Trial]:
    chance = Random(seed)
    windows = choose_windows(film.frames, count=count, seed=str(seed))
    return [trial(w, hardness=math.exp(chance.gauss(0, spread))) for w in windows]


def width(found: Range) -> float:
    return math.log(found.high / found.low)


goals = st.sampled_from([None, GOAL, replace(GOAL, strict=True)])


@settings(max_examples=25, deadline=None)
@given(goals, st.integers(1, 12), st.floats(0, 1.2), st.integers(0, 99))
def test_every_range_holds_what_is_likely(
    goal: Goal | None, count: int, spread: float, seed: int
) -> None:
    found = predict(FILM, trials(count, spread=spread, seed=seed), goal, ORDINARY)
    assert 0 < found.video_bytes.low < found.video_bytes.likely < found.video_bytes.high
    assert 0 < found.encode_cpu_s.low <= found.encode_cpu_s.likely <= found.encode_cpu_s.high
    assert found.vmaf is not None
    assert found.vmaf.low < found.vmaf.likely <= found.vmaf.high <= 100


@settings(max_examples=10, deadline=None)
@given(goals, st.integers(2, 6), st.floats(0.2, 1.0), st.integers(0, 99))
def test_more_windows_of_the_same_kind_narrow_the_range(
    goal: Goal | None, count: int, spread: float, seed: int
) -> None:
    few = trials(count, spread=spread, seed=seed)
    many = [again for one in few for again in (one, one, one)]
    narrow, wide = (predict(FILM, some, goal, ORDINARY) for some in (many, few))
    assert width(narrow.video_bytes) < width(wide.video_bytes)
    assert width(narrow.encode_cpu_s) < width(wide.encode_cpu_s)
    assert narrow.video_bytes.likely == pytest.approx(wide.video_bytes.likely, rel=0.05)


def test_windows_that_differ_widen_the_range() -> None:
    alike, unlike = (trials(8, spread=spread) for spread in (0.05, 0.8))
    narrow, wide = (predict(FILM, some, None, ORDINARY) for some in (alike, unlike))
    assert width(wide.video_bytes) > 2 * width(narrow.video_bytes)


@pytest.mark.parametrize("goal", [None, pytest.param(GOAL, marks=pytest.mark.slow)])
def test_four_of_five_films_come_out_within_the_range(goal: Goal | None) -> None:
    """Windows drawn from a population: how often the range holds what all of it would give."""
    chance = Random(5)
    population = [math.exp(chance.gauss(0, 0.6)) for _ in range(400)]
    everything = [trial(Window(i, i + 48, i * 100, i * 100 + 100), hardness=h)
                  for i, h in enumerate(population)]  # fmt: skip
    truth = predict(FILM, everything[::2], goal, ORDINARY).video_bytes.likely
    rounds = 60
    held = 0
    for _ in range(rounds):
        windows = choose_windows(FILM.frames, count=10)
        some = [trial(w, hardness=chance.choice(population)) for w in windows]
        found = predict(FILM, some, goal, ORDINARY).video_bytes
        held += found.low <= truth <= found.high
    assert 0.68 <= held / rounds <= 0.98


def test_a_film_tried_whole_leaves_no_doubt_of_sampling() -> None:
    film = replace(FILM, frames=6 * WINDOW_FRAMES)
    some = trials(6, film=film, spread=1.0)
    assert sum(one.frames for one in some) == film.frames
    assert width(predict(film, some, None, ORDINARY).encode_cpu_s) == 0


def test_bytes_of_key_frames_are_counted_as_often_as_the_film_has_them() -> None:
    """Ten seconds of 24 frames and no cut: one key frame in 240, and not one in 48; and four of
    five of the others are further from it than in any window."""
    found = predict(FILM, trials(8, spread=0), None, ORDINARY)
    a_frame = 900 * (239 * (1 + 0.8 * FAR_FROM_KEY) + 5) / 240
    assert found.video_bytes.likely == pytest.approx(FILM.frames * a_frame, rel=0.001)


def test_a_film_of_one_segment_has_one_key_frame() -> None:
    film = replace(FILM, frames=30)
    found = predict(film, [trial(Window(0, 30, 0, 30))], None, ORDINARY)
    assert found.video_bytes.likely == pytest.approx(900 * (29 + 5), rel=0.01)


def test_a_higher_target_takes_more_bytes_and_a_lower_crf() -> None:
    some = trials(8)
    low, high = (predict(FILM, some, Goal(target=t), ORDINARY) for t in (90.0, 96.0))
    assert high.video_bytes.likely > 1.3 * low.video_bytes.likely
    assert high.crf < low.crf


def test_a_target_out_of_reach_is_said_to_be() -> None:
    assert predict(FILM, trials(8), Goal(target=93), ORDINARY).reached
    assert not predict(FILM, trials(8), Goal(target=100), ORDINARY).reached


def test_the_second_half_of_the_windows_is_tried_nearer_to_the_target() -> None:
    some = trials(8, spread=0)
    waiting = [one.seen for one in some[1::2]]
    blind = next_crfs(FILM, waiting, [], GOAL, ORDINARY)
    told = next_crfs(FILM, waiting, some[::2], GOAL, ORDINARY)
    right = 30 + math.log((103 - 93) / 8) / 0.045  # of every window of this film
    assert abs(told[0] - right) < 3 < abs(blind[0] - right)


def test_a_target_needs_windows_that_were_measured() -> None:
    unmeasured = [replace(one, quality=None) for one in trials(4)]
    assert predict(FILM, unmeasured, None, ORDINARY).vmaf is None
    with pytest.raises(ValueError, match="measured"):
        predict(FILM, unmeasured, GOAL, ORDINARY)
    with pytest.raises(ValueError, match="no window"):
        predict(FILM, [], None, ORDINARY)


@given(st.integers(0, 40), st.integers(24, 400), st.integers(60, 500))
def test_segments_begin_at_cuts_and_where_long_scenes_are_split(
    cuts: int, shortest: int, longest: int
) -> None:
    film = replace(FILM, shortest_segment=min(shortest, longest // 2), longest_segment=longest)
    windows = [replace(one.seen, cuts=cuts // 8) for one in trials(8)]
    segments = film.segments_per_frame(windows)
    assert segments >= 1 / longest - 1e-12  # no segment is longer
    assert 0 < film.splits_per_frame(windows) <= segments


def test_more_cuts_leave_fewer_scenes_to_split() -> None:
    windows = [[replace(one.seen, cuts=cuts) for one in trials(8)] for cuts in range(4)]
    splits = [FILM.splits_per_frame(some) for some in windows]
    assert all(one > other for one, other in pairwise(splits))
    assert splits[0] == pytest.approx(1 / 240)
