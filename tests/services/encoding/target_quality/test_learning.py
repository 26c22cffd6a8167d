from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drapto.services.encoding.target_quality import (
    ORDINARY,
    Controller,
    FinishedFilm,
    Goal,
    Prior,
    learnt,
    ordinary,
)
from tests.services.encoding.target_quality.synthetic import PIXELS, PaperScene, film, pieces


def hard(count: int, seed: int) -> tuple[PaperScene, ...]:
    return tuple(replace(scene, gap=1.8 * scene.gap) for scene in film(count, seed))


def finished(scenes: tuple[PaperScene, ...]) -> FinishedFilm:
    attempts = tuple(scene.encode(index, 32.0) for index, scene in enumerate(scenes))
    return FinishedFilm(tuple(pieces(scenes)), attempts, PIXELS)


def test_nothing_finished_leaves_the_prior_as_it_is():
    assert learnt(ORDINARY, []) is ORDINARY
    assert learnt(ORDINARY, [FinishedFilm(tuple(pieces(film(3))), (), PIXELS)]) is ORDINARY


def test_films_of_the_same_kind_let_the_next_begin_nearer_to_its_end():
    scenes, goal = hard(20, 99), Goal(target=88)
    priors = [learnt(ORDINARY, [finished(hard(20, seed)) for seed in range(n)]) for n in (0, 3, 20)]

    levels = []
    for prior in priors:
        known = Controller(goal, prior, PIXELS, 2000).known(*pieces(scenes)).all_known()
        levels.append(known.allocation.level)
    measured = Controller(goal, ORDINARY, PIXELS, 2000).known(*pieces(scenes)).all_known()
    for attempt in finished(scenes).attempts:
        measured = measured.finished(attempt)

    misses = [abs(level - measured.allocation.level) for level in levels]
    assert misses[2] < misses[1] < misses[0]


def test_a_learnt_prior_is_still_a_covariance():
    prior = learnt(ORDINARY, [finished(hard(20, seed)) for seed in range(5)])

    assert np.linalg.eigvalsh(np.array(prior.between)).min() > 0
    assert prior.within == ORDINARY.within


def test_features_that_the_prior_does_not_know_are_refused():
    with pytest.raises(ValueError, match="knows 2 features, not 3"):
        ORDINARY.expected(np.ones((4, 3)))


@pytest.mark.parametrize(("preset", "lower"), [(4, 0.0), (6, 0.0), (8, 0.5), (10, 0.9), (13, 2.2)])
def test_quick_presets_are_expected_to_be_worse(preset: int, lower: float) -> None:
    """Below what is expected of preset 6 at CRF 35, where the mean of the scenes is 94.6."""

    def vmaf(prior: Prior) -> float:
        gap, _ = prior.gap_rows(np.array([35.0]))
        return 103.0 - float(np.exp(gap[0]))

    assert vmaf(ORDINARY) - vmaf(ordinary(preset)) == pytest.approx(lower, abs=0.15)
