"""What holds for every film, goal and order of results."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drapto.services.encoding.target_quality import Done, Encode, Goal, Pool, Wait
from tests.services.encoding.target_quality.synthetic import (
    PaperScene,
    drive,
    film,
    pieces,
    start,
)

some = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scenes = st.builds(
    PaperScene,
    frames=st.integers(1, 400),
    gap=st.floats(3.1, 60),
    gap_growth=st.floats(0.0, 0.09),
    bits=st.floats(1e-5, 3),
    shrinkage=st.floats(0.0, 0.12),
    best=st.floats(30, 100),
    spatial=st.floats(0, 100),
    temporal=st.floats(0, 60),
)
films = st.lists(scenes, min_size=1, max_size=12).map(tuple)
goals = st.builds(
    Goal,
    target=st.floats(50, 100),
    pool=st.sampled_from(Pool),
    floor=st.none() | st.floats(20, 100),
    strict=st.booleans(),
    max_extra=st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0]),
    max_encodes=st.integers(1, 5),
    lowest_crf=st.sampled_from([10.0, 18.25]),
    highest_crf=st.sampled_from([40.5, 55.0]),
)


def test_a_film_that_no_crf_makes_better_is_tried_at_each_only_once():
    """The kept encode is then the smallest; what lies below it was tried already."""
    scene = PaperScene(frames=1, gap=4.0, gap_growth=0.0, bits=1e-5, shrinkage=0.0, best=30.0)
    goal = Goal(target=80.0, max_extra=0.05, max_encodes=4, lowest_crf=10.0, highest_crf=40.5)
    crfs = [step.crf for step in drive((scene,), goal).steps]
    assert len(set(crfs)) == len(crfs)


@some
@given(films, goals, st.integers(1, 6), st.booleans(), st.randoms(use_true_random=False))
def test_it_ends_with_every_segment_encoded_and_within_its_limits(
    film, goal, workers, streaming, chance
):
    run = drive(
        film, goal, workers=workers, streaming=streaming, choose=lambda n: chance.randrange(n)
    )

    assert isinstance(run.last, Done)
    assert [attempt.index for attempt in run.last.outcome.chosen] == list(range(len(film)))
    encodes = Counter(step.index for step in run.steps)
    assert max(encodes.values()) <= goal.max_encodes
    extra = sum((encodes[i] - 1) * film[i].frames for i in encodes)
    assert run.last.outcome.extra_frames == extra
    if not goal.strict:
        assert extra <= goal.extra_frames([scene.frames for scene in film])
    for step in run.steps:
        assert goal.lowest_crf <= step.crf <= goal.highest_crf
        assert step.crf % 0.25 == 0
    for index in encodes:
        crfs = [step.crf for step in run.steps if step.index == index]
        assert len(set(crfs)) == len(crfs), "the same segment twice at the same CRF"


@some
@given(films, goals, st.integers(1, 6), st.integers(0, 2**32))
def test_the_same_calls_give_the_same_answers(film, goal, workers, seed):
    def once():
        chance = np.random.default_rng(seed)
        return drive(film, goal, workers=workers, choose=lambda n: int(chance.integers(n)))

    assert once() == once()


@some
@given(st.integers(8, 20), st.integers(0, 50), st.permutations(range(6)))
def test_the_order_of_results_changes_nothing(count, seed, order):
    film_ = film(count, seed)
    begun = start(film_, Goal(target=94)).known(*pieces(film_)).all_known()
    results = [film_[index].encode(index, 30.0 + index) for index in range(6)]
    in_order, shuffled = begun, begun
    for result in results:
        in_order = in_order.finished(result)
    for position in order:
        shuffled = shuffled.finished(results[position])

    assert in_order.next(4) == shuffled.next(4)
    assert np.array_equal(in_order.allocation.crfs, shuffled.allocation.crfs)


@some
@given(st.integers(1, 30), st.integers(0, 50), st.integers(1, 8))
def test_no_more_are_in_flight_than_there_are_workers(count, seed, workers):
    film_ = film(count, seed)
    control = start(film_, Goal(target=95)).known(*pieces(film_)).all_known()
    for _ in range(count):
        step = control.next(workers)
        if isinstance(step, Wait):
            break
        assert isinstance(step, Encode)
        control = control.begun(step)

    assert 1 <= len(control.in_flight) <= workers
