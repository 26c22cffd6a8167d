"""Plain examples of batches shared by several lanes, on real threads."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Sequence

import anyio
import anyio.from_thread
import anyio.to_thread
import numpy as np
import pytest

from drapto.core.errors import DraptoError, ResourceError
from drapto.infrastructure.gpu.batching import BatchLimits, DynamicBatcher

LONG_S = 60.0  # a wait that no test sits through

Batcher = DynamicBatcher[int, int]


class Doubling:
    """A model that doubles. Keeps what it was given; waits for `go` if that is closed."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()
        self.at_once = 0

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.at_once += 1
        assert self.at_once == 1, "two batches at once"
        self.batches.append(list(items))
        assert self.go.wait(5)
        self.at_once -= 1
        if 13 in items:
            raise ArithmeticError("thirteen")
        return [2 * item for item in items if item != 99]

    async def has_started(self, batches: int) -> None:
        with anyio.fail_after(5):
            while len(self.batches) < batches:
                await anyio.sleep(0.001)


def batcher(model: Doubling, items: int = 4, wait_s: float = LONG_S, queued: int = 8) -> Batcher:
    limits = BatchLimits(items, 100, longest_wait_s=wait_s, most_queued=queued)
    return DynamicBatcher(model, limits, bytes_of=lambda item: item)


async def stream(*items: int) -> AsyncIterator[int]:
    for item in items:
        yield item


async def test_segments_share_batches_and_get_their_own_results_in_order() -> None:
    model, got = Doubling(), dict[int, list[int]]()

    async def segment(first: int) -> None:
        async with shared.results_of(stream(first, first + 1, first + 2)) as results:
            got[first] = [result async for result in results]

    async with batcher(model) as shared, anyio.create_task_group() as group:
        for first in (0, 10):
            group.start_soon(segment, first)
    assert got == {0: [0, 2, 4], 10: [20, 22, 24]}
    assert any({item // 10 for item in batch} == {0, 1} for batch in model.batches)
    assert max(map(len, model.batches)) <= 4
    assert shared.statistics().items == 6
    assert shared.statistics().batches == len(model.batches)
    assert shared.statistics().open_lanes == 0


async def test_pictures_from_decoder_threads_come_back_reduced() -> None:
    def reduce(pictures: Sequence[np.ndarray]) -> list[float]:
        return [float(mean) for mean in np.stack(pictures).mean(axis=(1, 2))]

    limits = BatchLimits(8, 8 * 64, longest_wait_s=0.001, most_queued=4)
    shared: DynamicBatcher[np.ndarray, float] = DynamicBatcher(
        reduce, limits, bytes_of=lambda picture: picture.nbytes
    )
    means: dict[int, list[float]] = {}

    async def segment(number: int) -> None:
        async with shared.lane() as lane, anyio.create_task_group() as group:

            def decode() -> None:
                for frame in range(20):
                    picture = np.full((8, 8), 20 * number + frame, np.uint8)
                    anyio.from_thread.run(lane.put, picture)
                anyio.from_thread.run_sync(lane.end)

            group.start_soon(anyio.to_thread.run_sync, decode)
            means[number] = [mean async for mean in lane]

    async with shared, anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(segment, number)
    assert means == {n: [float(20 * n + frame) for frame in range(20)] for n in range(4)}


async def test_the_next_batch_is_collected_while_one_runs() -> None:
    model = Doubling()
    async with batcher(model, items=2) as shared, shared.lane() as lane:
        model.go.clear()
        await lane.put(1)
        await lane.put(2)
        await model.has_started(1)
        for item in (3, 4, 5):
            await lane.put(item)
        assert shared.statistics().waiting_items == 3
        model.go.set()
        lane.end()
        assert [result async for result in lane] == [2, 4, 6, 8, 10]
    assert model.batches == [[1, 2], [3, 4], [5]]


async def test_a_batch_waits_no_longer_than_it_may_for_a_slow_lane() -> None:
    model = Doubling()
    async with batcher(model, wait_s=0.05) as shared, shared.lane() as lane, shared.lane():
        started_s = time.monotonic()
        await lane.put(1)
        assert await anext(lane) == 2
        assert 0.04 < time.monotonic() - started_s < 2


async def test_a_batch_does_not_wait_for_lanes_that_cannot_add_to_it() -> None:
    model = Doubling()
    async with batcher(model, queued=1) as shared, shared.lane() as ended, shared.lane() as full:
        await ended.put(1)
        ended.end()
        await full.put(2)
        with anyio.fail_after(5):
            assert [result async for result in ended] == [2]
            assert await anext(full) == 4
    assert model.batches == [[1, 2]]


async def test_a_producer_waits_until_results_are_taken() -> None:
    async with batcher(Doubling(), items=1, queued=2) as shared, shared.lane() as lane:
        await lane.put(1)
        await lane.put(2)
        with anyio.move_on_after(0.05) as waiting:
            await lane.put(3)
        assert waiting.cancelled_caught
        assert await anext(lane) == 2
        await lane.put(4)  # 3 was not queued
        lane.end()
        assert [result async for result in lane] == [4, 8]


async def test_an_error_reaches_the_lanes_of_its_batch_after_their_results() -> None:
    model = Doubling()
    async with (
        batcher(model, items=2) as shared,
        shared.lane() as one,
        shared.lane() as two,
        shared.lane() as other,
    ):
        model.go.clear()
        for lane, item in [(one, 1), (two, 2), (one, 13), (two, 3), (other, 4), (one, 5)]:
            await lane.put(item)
        other.end()
        model.go.set()
        for lane, first in [(one, 2), (two, 4)]:
            assert await anext(lane) == first
            for _ in range(2):
                with pytest.raises(ArithmeticError, match="thirteen"):
                    await anext(lane)
            with pytest.raises(ArithmeticError, match="thirteen"):
                await lane.put(6)
        assert [result async for result in other] == [8]
    assert model.batches == [[1, 2], [13, 3], [4]]
    assert shared.statistics().failed_batches == 1


async def test_a_wrong_number_of_results_is_an_error() -> None:
    async with batcher(Doubling()) as shared, shared.results_of(stream(1, 99)) as results:
        with pytest.raises(DraptoError, match="2 items gave 1 results"):
            await anext(results)


async def test_what_the_stream_raises_comes_after_its_results_and_it_is_closed() -> None:
    closed = list[str]()

    async def torn(last: int | None) -> AsyncIterator[int]:
        try:
            yield 1
            if last is None:
                raise OSError("torn")
            yield last
        finally:
            closed.append("closed")

    async with batcher(Doubling()) as shared:
        for last, error in [(None, OSError), (101, ResourceError)]:
            async with shared.results_of(torn(last)) as results:
                assert await anext(results) == 2
                with pytest.raises(error):
                    await anext(results)
        assert closed == ["closed"] * 2


async def test_leaving_a_lane_does_not_wait_for_the_running_batch_nor_disturb_it() -> None:
    model = Doubling()
    async with batcher(model, items=2) as shared, shared.lane() as other:
        model.go.clear()
        with anyio.fail_after(5):
            async with shared.lane() as left:
                await left.put(1)
                await other.put(2)
                await model.has_started(1)
                await left.put(3)
        with pytest.raises(anyio.ClosedResourceError):
            await left.put(4)
        model.go.set()
        other.end()
        assert [result async for result in other] == [4]
    assert model.batches == [[1, 2]]


async def test_leaving_the_batcher_waits_for_the_running_batch_and_starts_no_other() -> None:
    model = Doubling()
    async with batcher(model, items=1) as shared:
        held = shared.lane()
        lane = await held.__aenter__()
        model.go.clear()
        await lane.put(1)
        await lane.put(2)
        await model.has_started(1)
        threading.Timer(0.05, model.go.set).start()
    assert model.at_once == 0
    assert model.batches == [[1]]
    with pytest.raises(anyio.BrokenResourceError):
        await lane.put(3)
    await held.__aexit__(None, None, None)
    with pytest.raises(anyio.ClosedResourceError):
        async with shared.lane():
            pass


async def test_an_error_of_the_block_comes_out_as_itself() -> None:
    with pytest.raises(KeyError):
        async with batcher(Doubling()):
            raise KeyError("mine")
