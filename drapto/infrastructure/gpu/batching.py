"""Lets several segments share the batches of one device.

    limits = BatchLimits(most_items=32, most_bytes=2 << 30, longest_wait_s=0.02, most_queued=64)
    async with DynamicBatcher(model, limits, bytes_of=lambda frame: frame.nbytes) as batcher:
        async with batcher.results_of(frames_of_this_segment) as results:  # in a task per segment
            async for result in results:
                …

`model` takes a sequence of items and returns as many results in the same order. It is called in a
worker thread, never twice at once (and not always in the same thread); what comes in meanwhile
makes up the next batch, so the later a batch starts, the fuller it is. Who produces in a thread of
its own calls `anyio.from_thread.run(lane.put, item)` on a `lane()`.

Promised:
- A lane's results come in the order of its items, each once. No batch exceeds the limits, lanes
  take turns (`batch_queue.py`), and a batch that is not full starts at the latest
  `longest_wait_s` after its first item came, or when the device is free again; at once if no open
  lane could add to it, because each has ended or has all it may have waiting.
- Back-pressure: `put` waits while `most_queued` items of the lane are inside, counted until their
  results are taken. So whoever puts and takes in one task takes in time, or uses `results_of`.
- Leaving a lane, by an error or by cancellation too, takes its waiting items out and throws its
  results away. The batch that runs goes on for the others, nobody waits for it.
- An exception of `model` (or a wrong number of results) reaches the lanes that had an item in that
  batch: after the results that came before, reading raises it, and so does `put`. Their other
  items are dropped. Lanes without an item in it notice nothing.
- Leaving the batcher waits for the batch that runs, since a thread cannot be stopped, and starts no
  other; a lane that another task still holds open then raises `anyio.BrokenResourceError`.

All of it on one event loop. One lane has one producer and one reader. Items of a batch have to fit
each other: one batcher for each model and picture size.

It is here, not in core (which does without anyio) nor in services (nothing is decided about
video): a batch is a share of a device's memory, and what runs it is torch. bootstrap hands the
batcher on. Contract test: tests/infrastructure/gpu/test_batching.py.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from drapto.core.errors import DraptoError, one_error
from drapto.infrastructure.gpu.batch_lane import Lane
from drapto.infrastructure.gpu.batch_queue import BatchLimits, BatchQueue

__all__ = ["BatchLimits", "BatchStatistics", "DynamicBatcher", "Lane"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class BatchStatistics:
    """So far: batches started, those of them that failed, items in them; now: lanes and waiting."""

    batches: int
    failed_batches: int
    items: int
    open_lanes: int
    waiting_items: int


class DynamicBatcher(Generic[ItemT, ResultT]):
    """See the module. `bytes_of` says what an item takes on the device."""

    def __init__(
        self,
        work: Callable[[Sequence[ItemT]], Sequence[ResultT]],
        limits: BatchLimits,
        *,
        bytes_of: Callable[[ItemT], int],
    ) -> None:
        self._work = work
        self._limits = limits
        self._bytes_of = bytes_of
        self._queue: BatchQueue[Lane[ItemT, ResultT], ItemT] = BatchQueue(limits)
        self._lanes: set[Lane[ItemT, ResultT]] = set()
        self._changed = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._exit = AsyncExitStack()
        self._batches = self._failed_batches = self._items = 0

    async def __aenter__(self) -> DynamicBatcher[ItemT, ResultT]:
        if self._tasks is not None:
            raise RuntimeError("a batcher is entered once")
        self._exit.enter_context(one_error())
        self._tasks = await self._exit.enter_async_context(anyio.create_task_group())
        self._tasks.start_soon(self._run_batches)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        try:
            return bool(await self._exit.__aexit__(kind, error, traceback))
        finally:
            for lane in list(self._lanes):
                lane.fail(anyio.BrokenResourceError("The batcher was closed before this lane."))

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Lane[ItemT, ResultT]]:
        """A new lane: `put` items, `end`, and iterate over the results."""
        lane = Lane(self._queue, self._limits.most_queued, self._bytes_of, self._wake)
        self._running_tasks()
        self._lanes.add(lane)
        try:
            yield lane
        finally:
            self._lanes.remove(lane)
            lane.fail(anyio.ClosedResourceError("This lane was left."))

    @asynccontextmanager
    async def results_of(
        self, items: AsyncIterable[ItemT]
    ) -> AsyncIterator[AsyncIterator[ResultT]]:
        """The results of a stream of items. What the stream raises comes after its results.

        The stream is read, and a generator closed, by a task that has ended when the block is left.
        """
        async with self.lane() as lane:
            scope, stopped = anyio.CancelScope(), anyio.Event()
            await self._running_tasks().start(self._feed, lane, items, scope, stopped)
            try:
                yield lane
            finally:
                scope.cancel()
                with anyio.CancelScope(shield=True):
                    await stopped.wait()

    def statistics(self) -> BatchStatistics:
        return BatchStatistics(
            batches=self._batches,
            failed_batches=self._failed_batches,
            items=self._items,
            open_lanes=len(self._lanes),
            waiting_items=len(self._queue),
        )

    def _running_tasks(self) -> TaskGroup:
        if self._tasks is None or self._tasks.cancel_scope.cancel_called:
            raise anyio.ClosedResourceError("The batcher is not open.")
        return self._tasks

    async def _feed(
        self,
        lane: Lane[ItemT, ResultT],
        items: AsyncIterable[ItemT],
        scope: anyio.CancelScope,
        stopped: anyio.Event,
        *,
        task_status: TaskStatus[None],
    ) -> None:
        task_status.started()
        closing = aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext()
        try:
            with scope:
                async with closing:  # by the task that reads it
                    async for item in items:
                        await lane.put(item)
                lane.end()
        except Exception as error:
            lane.end(error)
        finally:
            stopped.set()

    def _wake(self) -> None:
        self._changed.set()

    async def _run_batches(self) -> None:
        one_at_a_time = anyio.CapacityLimiter(1)  # not the pool that all other threads share
        while True:
            await self._batch_is_due()
            batch = self._queue.take()
            outcome = await anyio.to_thread.run_sync(
                self._outcome, [item for _, item in batch], limiter=one_at_a_time
            )
            self._hand_out([lane for lane, _ in batch], outcome)

    async def _batch_is_due(self) -> None:
        while wait_s := self._due_in_s():
            with anyio.move_on_after(None if math.isinf(wait_s) else wait_s):
                await self._changed.wait()
            self._changed = anyio.Event()

    def _due_in_s(self) -> float:
        more_may_come = any(lane.may_add for lane in self._lanes)
        return self._queue.due_in_s(anyio.current_time(), more_may_come=more_may_come)

    def _outcome(self, items: list[ItemT]) -> Sequence[ResultT] | Exception:
        """In the worker thread."""
        try:
            results = self._work(items)
        except Exception as error:
            return error
        if len(results) != len(items):
            return DraptoError(f"A batch of {len(items)} items gave {len(results)} results.")
        return results

    def _hand_out(
        self, lanes: list[Lane[ItemT, ResultT]], outcome: Sequence[ResultT] | Exception
    ) -> None:
        self._batches += 1
        self._items += len(lanes)
        if isinstance(outcome, Exception):
            self._failed_batches += 1
            for lane in set(lanes):
                lane.fail(outcome)
        else:
            for lane, result in zip(lanes, outcome, strict=True):
                lane.receive(result)
