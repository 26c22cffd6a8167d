"""Which items make up a batch, and when it is due."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drapto.core.errors import ResourceError
from drapto.infrastructure.gpu.batch_queue import BatchLimits, BatchQueue

LIMITS = BatchLimits(most_items=4, most_bytes=100, longest_wait_s=0.5, most_queued=8)

PUT = st.tuples(st.just("put"), st.integers(0, 3), st.integers(0, 20))
TAKE = st.tuples(st.just("take"), st.none(), st.none())
DROP = st.tuples(st.just("drop"), st.integers(0, 3), st.none())


@given(
    steps=st.lists(PUT | PUT | PUT | TAKE | DROP, max_size=80),
    most_items=st.integers(1, 6),
    most_bytes=st.integers(20, 50),
)
def test_lanes_take_turns_and_batches_keep_their_limits(
    steps: list[tuple[str, int, int]], most_items: int, most_bytes: int
) -> None:
    limits = BatchLimits(most_items, most_bytes, longest_wait_s=1, most_queued=1)
    queue: BatchQueue[int, tuple[int, int]] = BatchQueue(limits)
    waiting: dict[int, list[tuple[int, int]]] = {lane: [] for lane in range(4)}
    before_me: dict[int, Counter[int]] = {lane: Counter() for lane in range(4)}
    for number, (step, lane, size_bytes) in enumerate(steps + [("take", 0, 0)] * len(steps)):
        if step == "put":
            queue.put(lane, (number, size_bytes), size_bytes, now_s=0)
            waiting[lane].append((number, size_bytes))
        elif step == "drop":
            queue.drop(lane)
            waiting[lane].clear()
            before_me[lane].clear()
        else:
            batch = queue.take()
            assert batch or not any(waiting.values())
            assert len(batch) <= most_items
            assert sum(size for _, (_, size) in batch) <= most_bytes
            for taken_from, item in batch:
                assert item == waiting[taken_from].pop(0)
                before_me[taken_from].clear()
                for other in waiting:
                    if other != taken_from and waiting[other]:
                        before_me[other][taken_from] += 1
                        assert before_me[other][taken_from] <= 1
        assert len(queue) == sum(map(len, waiting.values()))
        assert all(queue.waiting(lane) == len(items) for lane, items in waiting.items())
    assert len(queue) == 0


@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=6), now_s=st.floats(0, 1))
@example(sizes=[1, 1, 1, 1], now_s=0.0)
@example(sizes=[50, 50], now_s=0.0)
def test_a_batch_is_due_when_it_is_full_or_its_first_item_has_waited(
    sizes: list[int], now_s: float
) -> None:
    queue: BatchQueue[str, int] = BatchQueue(LIMITS)
    for place, size_bytes in enumerate(sizes):
        queue.put("a" if place % 2 else "b", place, size_bytes, now_s=place / 100)
    due_in_s = queue.due_in_s(now_s, more_may_come=True)
    if len(sizes) >= 4 or sum(sizes) >= 100:
        assert due_in_s == 0
    else:
        assert due_in_s == max(0.0, 0.5 - now_s)
    assert queue.due_in_s(now_s, more_may_come=False) == 0


def test_an_empty_queue_is_never_due() -> None:
    queue: BatchQueue[str, int] = BatchQueue(LIMITS)
    assert queue.due_in_s(1e9, more_may_come=False) == math.inf
    assert queue.take() == []


def test_a_large_item_is_not_passed_over_for_smaller_ones() -> None:
    queue: BatchQueue[str, str] = BatchQueue(LIMITS)
    for lane, item, size_bytes in [("a", "a1", 60), ("b", "big", 90), ("a", "a2", 10)]:
        queue.put(lane, item, size_bytes, now_s=0)
    assert [[item for _, item in queue.take()] for _ in range(2)] == [["a1"], ["big", "a2"]]


def test_an_item_that_no_batch_can_hold_is_refused_by_its_size() -> None:
    queue: BatchQueue[str, int] = BatchQueue(LIMITS)
    with pytest.raises(ResourceError, match=r"takes 101 bytes .* may take 100"):
        queue.put("a", 1, 101, now_s=0)
    assert len(queue) == 0


@pytest.mark.parametrize("wrong", [(0, 1, 0, 1), (1, 0, 0, 1), (1, 1, 0, 0), (1, 1, -1, 1)])
def test_limits_that_let_nothing_through_are_refused(wrong: tuple[int, int, float, int]) -> None:
    with pytest.raises(ValueError):
        BatchLimits(*wrong)
