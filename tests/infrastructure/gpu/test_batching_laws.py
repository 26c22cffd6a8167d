"""What holds for any lanes, sizes, pauses, cancellations and failing batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import anyio
import anyio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from drapto.infrastructure.gpu.batching import BatchLimits, DynamicBatcher

LONG_S = 60.0  # a batch that waits this long has hung


@dataclass(frozen=True)
class Item:
    lane: int
    place: int
    size_bytes: int
    fails: bool
    pause: int  # turns of the event loop before it comes


class BatchFailed(Exception):
    """Its argument is the number of the batch."""


@dataclass
class Model:
    batches: list[tuple[Item, ...]] = field(default_factory=list)

    def __call__(self, items: Sequence[Item]) -> list[tuple[int, int]]:
        self.batches.append(tuple(items))
        if any(item.fails for item in items):
            raise BatchFailed(len(self.batches) - 1)
        return [(item.lane, item.place) for item in items]


@dataclass
class Segment:
    """A producer, a reader and perhaps somebody who cancels them; and what they saw."""

    items: tuple[Item, ...]
    reader_pause: int
    streamed: bool  # through `results_of`, else by `put`
    leaves_after: int | None  # results
    cancelled_after: int | None  # turns of the event loop
    results: list[tuple[int, int]] = field(default_factory=list)
    error: BatchFailed | None = None
    finished: bool = False
    given: int = 0
    most_inside: int = 0

    async def run(self, shared: DynamicBatcher[Item, tuple[int, int]]) -> None:
        async with anyio.create_task_group() as group:
            if self.cancelled_after is not None:
                group.start_soon(self._cancel, group.cancel_scope)
            if self.streamed:
                async with shared.results_of(self._stream()) as results:
                    await self._read(results)
            else:
                async with shared.lane() as lane, anyio.create_task_group() as producing:

                    async def produce() -> None:
                        try:
                            async for item in self._stream():
                                await lane.put(item)
                                self._has_given()
                            lane.end()
                        except (BatchFailed, anyio.ClosedResourceError):
                            pass  # the reader says so

                    producing.start_soon(produce)
                    await self._read(lane)
                    producing.cancel_scope.cancel()
            group.cancel_scope.cancel()

    def _has_given(self) -> None:
        self.given += 1
        self.most_inside = max(self.most_inside, self.given - len(self.results))

    async def _stream(self) -> AsyncIterator[Item]:
        for item in self.items:
            await pause(item.pause)
            yield item
            if self.streamed:
                self._has_given()

    async def _read(self, results: AsyncIterator[tuple[int, int]]) -> None:
        try:
            while self.leaves_after is None or len(self.results) < self.leaves_after:
                self.results.append(await anext(results))
                await pause(self.reader_pause)
        except StopAsyncIteration:
            self.finished = True
        except BatchFailed as error:
            self.error = error

    async def _cancel(self, scope: anyio.CancelScope) -> None:
        await pause(self.cancelled_after or 0)
        scope.cancel()


async def pause(turns: int) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    made = []
    for lane in range(draw(st.integers(1, 4))):
        sizes = draw(st.lists(st.integers(0, 10), max_size=12))
        fails_at = draw(st.none() | st.none() | st.integers(0, 11))
        turns = draw(st.integers(0, 6))
        items = tuple(
            Item(lane, place, size, place == fails_at, place * turns % 7)
            for place, size in enumerate(sizes)
        )
        made.append(
            Segment(
                items,
                reader_pause=draw(st.integers(0, 4)),
                streamed=draw(st.booleans()),
                leaves_after=draw(st.none() | st.none() | st.integers(0, 8)),
                cancelled_after=draw(st.none() | st.none() | st.integers(0, 40)),
            )
        )
    return made


@settings(max_examples=120, deadline=None)
@given(
    lanes=segments(),
    most_items=st.integers(1, 6),
    most_bytes=st.integers(10, 30),
    longest_wait_s=st.sampled_from([0.0, 0.001, LONG_S]),
    most_queued=st.integers(1, 6),
)
def test_results_keep_their_order_and_failures_their_batch(
    lanes: list[Segment],
    most_items: int,
    most_bytes: int,
    longest_wait_s: float,
    most_queued: int,
) -> None:
    limits = BatchLimits(most_items, most_bytes, longest_wait_s, most_queued)
    model = Model()

    async def run() -> None:
        with anyio.fail_after(5):
            async with (
                DynamicBatcher(model, limits, bytes_of=lambda item: item.size_bytes) as shared,
                anyio.create_task_group() as group,
            ):
                for segment in lanes:
                    group.start_soon(segment.run, shared)
        assert shared.statistics().open_lanes == shared.statistics().waiting_items == 0

    anyio.run(run)

    for batch in model.batches:
        assert 0 < len(batch) <= most_items
        assert sum(item.size_bytes for item in batch) <= most_bytes
    for number, segment in enumerate(lanes):
        ran = [item for item in chain.from_iterable(model.batches) if item.lane == number]
        assert ran == list(segment.items[: len(ran)])  # in order, none left out, none twice
        failed = [
            place
            for place, batch in enumerate(model.batches)
            if any(item.lane == number for item in batch) and any(item.fails for item in batch)
        ]
        assert len(failed) <= 1, "a failed lane goes on"
        lost = {item for place in failed for item in model.batches[place]}
        expected = [(item.lane, item.place) for item in ran if item not in lost]
        assert segment.results == expected[: len(segment.results)]
        assert segment.most_inside <= most_queued
        if segment.error:
            assert [segment.error.args[0]] == failed
            assert segment.results == expected
        elif segment.finished:
            assert not failed
            assert len(segment.results) == len(segment.items)
        else:
            left = segment.leaves_after == len(segment.results)
            assert left or segment.cancelled_after is not None, "disturbed by another lane"
