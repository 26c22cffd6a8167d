"""What the controller does with films of which everything is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drapto.services.encoding.target_quality import (
    Done,
    Encode,
    Goal,
    Piece,
    Pool,
    Stop,
    Wait,
    Why,
)
from tests.services.encoding.target_quality.synthetic import (
    PaperScene,
    drive,
    film,
    finish,
    pieces,
    start,
)


def single_crf_bytes(scenes, vmaf: float) -> float:
    """Bytes of the one CRF at which the film has this mean VMAF."""
    frames = sum(scene.frames for scene in scenes)
    low, high = 1.0, 63.0
    for _ in range(30):
        middle = (low + high) / 2
        attempts = [scene.encode(i, middle) for i, scene in enumerate(scenes)]
        mean = sum(a.quality.mean * s.frames for a, s in zip(attempts, scenes, strict=True))
        low, high = (middle, high) if mean / frames >= vmaf else (low, middle)
    return sum(scene.encode(i, low).size_bytes for i, scene in enumerate(scenes))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("workers", [1, 4])
def test_a_film_comes_out_at_its_target(seed, workers):
    outcome = finish(film(40, seed), Goal(target=94), workers).outcome

    assert outcome.reached
    assert outcome.mean == pytest.approx(94, abs=0.3)
    assert not outcome.below_floor
    assert not outcome.notes


@pytest.mark.parametrize("pool", [Pool.HARMONIC, Pool.P5])
def test_other_poolings_are_steered_to_the_target_as_well(pool):
    outcome = finish(film(40, 1), Goal(target=92, pool=pool), 4).outcome

    assert getattr(outcome, pool.value) == pytest.approx(92, abs=0.3)


def test_a_film_that_is_much_harder_than_usual_is_learnt_from_its_own_segments():
    scenes = tuple(replace(scene, gap=1.6 * scene.gap) for scene in film(40, 3))

    outcome = finish(scenes, Goal(target=90), 4).outcome

    assert outcome.mean == pytest.approx(90, abs=0.3)


def test_bytes_go_where_they_buy_the_most():
    costly = film(30, 5, bits=0.2, gap=8.0, spatial=30.0)
    cheap = film(30, 6, bits=0.02, gap=8.0, spatial=3.0)

    outcome = finish(costly + cheap, Goal(target=94, max_extra=0.0), 2).outcome

    assert outcome.size_bytes < 0.99 * single_crf_bytes(costly + cheap, outcome.mean)


def test_later_segments_do_not_repay_what_earlier_ones_missed():
    scenes = film(30, 2)
    honest = start(scenes, Goal(target=94)).known(*pieces(scenes)).all_known()
    missed = honest
    for index in range(15):
        honest = honest.finished(scenes[index].encode(index, 34.0))
        missed = missed.finished(scenes[index].encode(index, 50.0))

    step, repaying = honest.next(1), missed.next(1)

    assert isinstance(step, Encode)
    assert isinstance(repaying, Encode)
    assert repaying.index == step.index
    assert repaying.crf == pytest.approx(step.crf, abs=1.5)


def test_a_segment_below_the_floor_is_encoded_again():
    scenes = (*film(39, 4), PaperScene(frames=60, gap=19.0))

    run = drive(scenes, Goal(target=94), workers=2)

    assert Why.FLOOR in {step.why for step in run.steps if step.index == 39}
    assert isinstance(run.last, Done)
    assert not run.last.outcome.below_floor


def test_a_segment_that_cannot_reach_the_floor_is_named():
    scenes = (*film(39, 4), PaperScene(frames=60, best=70.0))

    outcome = finish(scenes, Goal(target=94)).outcome

    assert outcome.below_floor == (39,)
    assert "1 segment stayed below the floor of VMAF 88 (39: 70.0)" in outcome.notes[0]


def test_a_target_above_what_the_source_can_give_stops_at_the_plateau():
    scenes = film(20, 1, best=96.0, gap=9.0)

    outcome = finish(scenes, Goal(target=99)).outcome

    assert not outcome.reached
    assert "instead of 99" in outcome.notes[0]
    assert outcome.mean > 94


def test_strict_brings_every_segment_to_the_target():
    run = drive(film(30, 7), Goal(target=94, strict=True), workers=3)

    assert isinstance(run.last, Done)
    assert run.last.outcome.reached
    for attempt in run.last.outcome.chosen:
        assert attempt.quality.mean == pytest.approx(94, abs=0.5)
    assert len(run.steps) < 2.2 * 30


def test_strict_says_which_segments_cannot_be_brought_there():
    scenes = (*film(10, 7), PaperScene(frames=60, best=80.0))

    outcome = finish(scenes, Goal(target=94, strict=True)).outcome

    assert not outcome.reached
    assert outcome.off_target == (10,)
    assert "10: 80.0" in outcome.notes[0]


def test_an_encode_that_would_be_too_large_stops_early():
    scenes = film(40, 8)
    usual = finish(scenes, Goal(target=94)).outcome.size_bytes

    run = drive(scenes, Goal(target=94, max_bytes=usual // 3))

    assert isinstance(run.last, Stop)
    assert run.last.projected_bytes > run.last.max_bytes
    assert len(run.steps) < 15


def test_an_encode_that_fits_is_not_stopped():
    scenes = film(40, 8)
    usual = finish(scenes, Goal(target=94)).outcome.size_bytes

    assert isinstance(drive(scenes, Goal(target=94, max_bytes=int(1.1 * usual))).last, Done)


def test_the_first_segment_waits_until_some_of_the_film_is_known():
    scenes = film(30, 1)
    control = start(scenes, Goal(target=94)).known(*pieces(scenes)[:3])

    assert control.next(4) == Wait()
    assert isinstance(control.all_known().next(4), Encode)


def test_a_short_film_begins_with_one_segment_at_a_time():
    scenes = film(6, 1)
    control = start(scenes, Goal(target=94)).known(*pieces(scenes)).all_known()
    step = control.next(4)
    assert isinstance(step, Encode)

    assert control.begun(step).next(4) == Wait()


def test_a_resumed_film_goes_on_from_what_is_finished():
    scenes = film(20, 3)
    control = start(scenes, Goal(target=94)).known(*pieces(scenes)).all_known()
    for index in range(19):
        control = control.finished(scenes[index].encode(index, 32.0))

    step = control.next(4)

    assert isinstance(step, Encode)
    assert step.index == 19


def test_slips_of_the_caller_are_refused():
    control = start(film(2), Goal(target=94)).known(Piece(0, 10, (1.0, 1.0)))
    with pytest.raises(ValueError, match="known already"):
        control.known(Piece(0, 10, (1.0, 1.0)))
    with pytest.raises(ValueError, match="7 is not known"):
        control.begun(Encode(7, 30.0, Why.FIRST))
    with pytest.raises(ValueError, match="all segments"):
        control.all_known().known(Piece(1, 10, (1.0, 1.0)))
    with pytest.raises(ValueError, match="being encoded already"):
        control.begun(Encode(0, 30.0, Why.FIRST)).begun(Encode(0, 31.0, Why.FIRST))
    with pytest.raises(ValueError, match="at least one"):
        start(film(2), Goal(target=94)).all_known()


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": 0.0},
        {"target": 101.0},
        {"max_extra": -0.1},
        {"max_encodes": 0},
        {"lowest_crf": 30.1},
        {"lowest_crf": 60.0},
    ],
)
def test_goals_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        Goal(**{"target": 95.0, **wrong})
