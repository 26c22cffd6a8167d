"""The learned scorer of bench/train_cuts.py: what it sees, and that training it works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import train_cuts
from drapto.services.detection.cut_window import CutFrame, CutWindow
from tests.media.film import film, flash, shot

network = train_cuts.network
PAIRS = len(network.EARLIER)


def frames() -> list[CutFrame]:
    return train_cuts.seen(film(shot(1, 12), flash(shot(2, 12), 4), shot(3, 8, step=(9, 0))))


def window_of(given: list[CutFrame], look_ahead: int = 6) -> CutWindow:
    window = CutWindow(look_ahead, gap=2)
    for frame in given:
        window.append(CutFrame(frame.thumb, frame.mean, frame.deviation, frame.black))
    return window


@pytest.mark.parametrize("look_ahead", [3, 6, 15])
def test_network_sees_finite_numbers_of_about_one(look_ahead: int) -> None:
    window = window_of(frames(), look_ahead)
    for number in range(1, window.end):
        seen = network.describe(window, number)
        assert seen.shape == (network.INPUTS,)
        assert np.all((seen >= 0) & (seen <= 4))


def test_mirrored_is_what_is_seen_of_the_film_played_backwards() -> None:
    forwards, backwards = window_of(frames()), window_of(frames()[::-1])
    number = 12  # the step to it is the step to `end - number` backwards
    seen = network.describe(forwards, number)[None]
    other = network.describe(backwards, forwards.end - number)
    # A distance depends a little on which of the two pictures is looked for in the other.
    np.testing.assert_allclose(network.mirrored(seen)[0, :PAIRS], other[:PAIRS], atol=0.25)
    np.testing.assert_allclose(network.mirrored(seen)[0, PAIRS:], other[PAIRS:], atol=1e-6)
    np.testing.assert_array_equal(network.mirrored(network.mirrored(seen)), seen)


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    layer = (random.normal(size=(1, network.INPUTS)).astype(np.float32), np.ones(1, np.float32))
    weights = network.Weights((layer,))
    weights.save(tmp_path / "w.npz")
    back = network.Weights.load(tmp_path / "w.npz")
    window = window_of(frames())
    expected = network.LearnedScorer(weights).score(window, 12)
    assert network.LearnedScorer(back).score(window, 12) == expected


@pytest.fixture(scope="module")
def films() -> list[train_cuts.Film]:
    return [train_cuts.drawn(seed) for seed in (1, 2)]


def test_same_seed_draws_the_same_film(films: list[train_cuts.Film]) -> None:
    again = train_cuts.drawn(1)
    assert films[0].cuts == again.cuts != films[1].cuts
    pairs = zip(films[0].frames, again.frames, strict=True)
    assert all(np.array_equal(a.thumb, b.thumb) for a, b in pairs)


def test_cuts_of_drawn_films_are_cuts(films: list[train_cuts.Film]) -> None:
    for one in films:
        assert list(one.cuts) == sorted(set(one.cuts))
        assert one.cuts[0] > 0
        assert one.cuts[-1] < len(one.frames)
    score = train_cuts.judge(films, train_cuts.ClassicalScorer())
    assert score.right > 0.6 * sum(len(one.cuts) for one in films)


def test_training_learns_to_tell_cuts_and_is_the_same_each_time(
    films: list[train_cuts.Film],
) -> None:
    pytest.importorskip("torch", reason="training needs torch (drapto[gpu])")
    given = train_cuts.samples(films, seed=0)
    one, again = (train_cuts.fit(given, seed=0, epochs=3) for _ in range(2))
    pairs = zip(sum(one.layers, ()), sum(again.layers, ()), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    weights = train_cuts.fit(given, seed=0, epochs=200)  # of one step each: so few are the samples
    scorer = network.LearnedScorer(weights)
    said = np.array([scorer.probability(one) for one in given.inputs])
    assert said[given.labels == 1].mean() > 0.7
    assert said[(given.labels == 0) & (given.weights > 0)].mean() < 0.1
