"""Films by an encoder whose curves nobody has measured: a graphics card's."""

from __future__ import annotations

import numpy as np
import pytest

from drapto.services.encoding.target_quality import (
    ORDINARY,
    SOURCES,
    Controller,
    FinishedFilm,
    Goal,
    Prior,
    learnt,
    unfamiliar,
)
from tests.services.encoding.target_quality.synthetic import (
    PIXELS,
    PaperScene,
    by_a_stranger,
    film,
    finish,
    pieces,
)

GOAL = Goal(target=93)
FAR = (-12.0, -6.0, 6.0, 12.0)  # CRF


@pytest.mark.parametrize("shift", FAR)
def test_a_film_reaches_its_target_though_the_scale_means_something_else(shift: float) -> None:
    outcome = finish(by_a_stranger(film(30, 3), shift), GOAL, 4, unfamiliar(ORDINARY)).outcome
    assert outcome.mean == pytest.approx(GOAL.target, abs=0.5)
    assert outcome.extra_frames <= GOAL.extra_frames([scene.frames for scene in film(30, 3)])


def miss_after(scenes: tuple[PaperScene, ...], prior: Prior, results: int) -> float:
    """How far the film's level is from where it ends, in CRF, once so many pieces are encoded."""
    control = Controller(GOAL, prior, PIXELS, 3000).known(*pieces(scenes)).all_known()
    for index in range(len(scenes)):
        if index == results:
            believed = float(np.mean(control.allocation.crfs))
        control = control.finished(scenes[index].encode(index, 30.0))
    return abs(believed - float(np.mean(control.allocation.crfs)))


def test_the_first_results_count_for_more_than_with_an_encoder_that_is_known() -> None:
    doubted, trusted = (
        sum(miss_after(by_a_stranger(film(20, seed), shift), prior, 1)
            for seed in range(5) for shift in FAR)
        for prior in (unfamiliar(ORDINARY), ORDINARY)
    )  # fmt: skip
    assert doubted < trusted


def test_one_finished_film_says_where_the_next_one_begins() -> None:
    def finished(seed: int) -> FinishedFilm:
        scenes = by_a_stranger(film(20, seed), 10.0)
        attempts = tuple(scene.encode(index, 30.0) for index, scene in enumerate(scenes))
        return FinishedFilm(tuple(pieces(scenes)), attempts, PIXELS)

    following = by_a_stranger(film(20, 99), 10.0)
    prior = unfamiliar(ORDINARY)
    taught = learnt(prior, [finished(1)], sources=SOURCES)
    assert miss_after(following, taught, 0) < 0.6 * miss_after(following, prior, 0)
    assert np.linalg.eigvalsh(np.array(taught.between)).min() > 0
