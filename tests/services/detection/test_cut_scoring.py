"""The contract of a `CutScorer`, and that the detector asks the one it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import isfinite

import numpy as np
import pytest

from bench.train_cuts import network
from drapto.services.detection.cut_scoring import ClassicalScorer, CutScorer
from drapto.services.detection.cut_window import CutFrame, CutWindow
from drapto.services.detection.cuts import CutDetector
from drapto.services.detection.features import NumpyBackend
from tests.media.film import Planes, blank, dissolve, fade, film, flash, shot, with_noise


def untrained() -> CutScorer:
    """The network of bench/train_cuts.py before it has learned anything: it keeps to the rules."""
    random = np.random.default_rng(0)
    sizes = pairwise((network.INPUTS, *network.HIDDEN, 1))
    layers = [(random.normal(0, 0.2, (b, a)), random.normal(0, 0.2, b)) for a, b in sizes]
    return network.LearnedScorer(network.Weights(tuple(layers)))


ANY: dict[str, Callable[[], CutScorer]] = {"classical": ClassicalScorer, "untrained": untrained}
GOOD = ["classical"]  # of which cuts are expected too


def frames_of(planes: Planes) -> list[CutFrame]:
    features = NumpyBackend().luma(np.ascontiguousarray(planes), None)
    numbers = (features.mean.tolist(), features.deviation.tolist(), features.dark_share(32) >= 0.98)
    return [
        CutFrame(thumb, mean, deviation, bool(black))
        for thumb, mean, deviation, black in zip(features.thumbs, *numbers, strict=True)
    ]


# Everything that a film may hold, one after the other; frame 12 is a cut.
FRAMES = frames_of(
    film(
        shot(1, 12),
        flash(shot(2, 12), 5, 2),
        dissolve(shot(3, 8), shot(4, 8)),
        fade(shot(4, 8), start=1, end=0),
        blank(4),
        blank(4, 235),
        with_noise(shot(5, 12, step=(40, 0)), 8),
        # Another picture for a moment, of any length up to one that the look-ahead does not reach.
        *(film(shot(6, 9, step=(0, 0)), shot(7, length, step=(0, 0))) for length in range(1, 9)),
        shot(6, 9, step=(0, 0)),
    )
)


@pytest.fixture(params=list(ANY))
def make(request: pytest.FixtureRequest) -> Callable[[], CutScorer]:
    return ANY[request.param]


@pytest.fixture
def scorer(make: Callable[[], CutScorer]) -> CutScorer:
    return make()


def window_of(frames: Sequence[CutFrame], look_ahead: int = 6) -> CutWindow:
    """A window with these frames, none of which another window has compared before."""
    window = CutWindow(look_ahead, gap=2)
    for frame in frames:
        window.append(replace(frame, change=0.0, distances={}))
    return window


def answers(scorer: CutScorer, window: CutWindow, numbers: range) -> list[tuple[float, bool]]:
    return [(scorer.score(window, n), scorer.is_cut(window, n)) for n in numbers]


def test_scores_are_finite_and_not_negative(scorer: CutScorer) -> None:
    found = answers(scorer, window_of(FRAMES), range(1, len(FRAMES)))
    assert all(isfinite(score) and score >= 0 for score, _ in found)


@pytest.mark.parametrize("make", [ANY[name] for name in GOOD], ids=GOOD)
@pytest.mark.parametrize("look_ahead", [3, 6, 15])
def test_a_cut_is_one_and_scores_highest_around(scorer: CutScorer, look_ahead: int) -> None:
    found = answers(scorer, window_of(FRAMES[:16], look_ahead), range(9, 16))
    assert [is_cut for _, is_cut in found] == [False, False, False, True, False, False, False]
    assert max(found) == found[3]


def test_same_frames_get_the_same_answers(make: Callable[[], CutScorer]) -> None:
    scorer = make()
    numbers = range(1, len(FRAMES))
    first = answers(scorer, window_of(FRAMES), numbers)
    backwards = window_of(FRAMES)  # asked in another order, and twice
    for n in reversed(numbers):
        scorer.score(backwards, n)
    assert answers(scorer, backwards, numbers) == first
    assert answers(make(), window_of(FRAMES), numbers) == first


@pytest.mark.parametrize("look_ahead", [3, 6])
def test_no_frame_later_than_the_look_ahead_is_asked(scorer: CutScorer, look_ahead: int) -> None:
    whole = window_of(FRAMES, look_ahead)
    for number in range(1, len(FRAMES) - look_ahead):
        short = window_of(FRAMES[: number + look_ahead + 1], look_ahead)
        numbers = range(number, number + 1)
        assert answers(scorer, short, numbers) == answers(scorer, whole, numbers), number


def test_no_frame_that_the_detector_has_let_go_is_asked(scorer: CutScorer) -> None:
    whole, short = window_of(FRAMES), window_of(FRAMES)
    for number in range(1, len(FRAMES)):
        short.forget(number - short.look_ahead - 1)
        numbers = range(number, number + 1)
        assert answers(scorer, short, numbers) == answers(scorer, whole, numbers), number


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (64, 36), (18, 40)])
def test_thumbnails_of_any_size_get_an_answer(scorer: CutScorer, size: tuple[int, int]) -> None:
    width, height = size
    window = CutWindow(6, gap=2)
    for value in (20, 20, 20, 200, 200):
        window.append(CutFrame(np.full((height, width), value, np.uint8), value, 0.0, False))
    found = [scorer.score(window, n) for n in range(1, 5)]
    assert all(map(isfinite, found))
    assert max(found) == found[2]


class EveryTenth:
    """Scores by number alone: what the detector does of its own."""

    def score(self, window: CutWindow, number: int) -> float:
        return 1.0 if number % 10 in (0, 1) else 0.0

    def is_cut(self, window: CutWindow, number: int) -> bool:
        return self.score(window, number) > 0


def test_detector_asks_the_scorer_it_was_given_and_keeps_cuts_apart() -> None:
    detector = CutDetector(Fraction(24), EveryTenth())
    found = []
    for frame in frames_of(shot(1, 35)):
        found += detector.push(
            frame.thumb, mean=frame.mean, deviation=frame.deviation, black=frame.black
        )
    assert found + detector.finish() == [1, 10, 20, 30]
