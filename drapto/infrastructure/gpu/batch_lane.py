"""One segment's way through the batches it shares with others: its promise is in `batching.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

from drapto.infrastructure.gpu.batch_queue import BatchQueue

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Lane(Generic[ItemT, ResultT]):
    """Put items in, iterate over their results. Made by `DynamicBatcher.lane`."""

    def __init__(
        self,
        queue: BatchQueue[Lane[ItemT, ResultT], ItemT],
        most_queued: int,
        bytes_of: Callable[[ItemT], int],
        wake_batcher: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._most_queued = most_queued
        self._bytes_of = bytes_of
        self._wake_batcher = wake_batcher
        self._results: deque[ResultT] = deque()
        self._inside = 0  # put in, result not yet taken out
        self._ended = False
        self._failed = False
        self._last_word: Exception | None = None  # raised where the results end
        self._traceback: TracebackType | None = None
        self._changed = anyio.Event()

    @property
    def may_add(self) -> bool:
        """Whether another item may come while nothing but the device makes room."""
        return not self._ended and self._queue.waiting(self) < self._most_queued

    async def put(self, item: ItemT) -> None:
        """Queue an item, as soon as there is room; cancelled, it is not queued.

        Errors: what failed the lane; ResourceError if no batch can hold the item;
        `anyio.ClosedResourceError` after `end` and on a lane that was left.
        """
        await anyio.lowlevel.checkpoint()
        while not self._ended and self._inside >= self._most_queued:
            await self._changed.wait()
        if self._ended:
            raise self._failure() or anyio.ClosedResourceError("This lane has ended.")
        self._queue.put(self, item, self._bytes_of(item), anyio.current_time())
        self._inside += 1
        self._wake_batcher()

    def end(self, error: Exception | None = None) -> None:
        """No item follows. After the result of the last one the results end, or raise `error`."""
        if not self._ended:
            self._close(error)

    def __aiter__(self) -> Lane[ItemT, ResultT]:
        return self

    async def __anext__(self) -> ResultT:
        """Errors: what failed the lane, after the results that came before."""
        await anyio.lowlevel.checkpoint()
        while not self._results:
            if self._ended and not self._inside:
                raise self._failure() or StopAsyncIteration
            await self._changed.wait()
        self._inside -= 1
        result = self._results.popleft()
        self._announce()
        return result

    def receive(self, result: ResultT) -> None:
        """For the batcher: the result of the oldest item that has none."""
        if not self._failed:
            self._results.append(result)
            self._announce()

    def fail(self, error: Exception) -> None:
        """For the batcher: the items without a result get none, and `error` says why."""
        if not self._failed:
            self._failed = True
            self._queue.drop(self)
            self._inside = len(self._results)
            self._close(error)

    def _close(self, error: Exception | None) -> None:
        self._ended = True
        self._last_word = error
        self._traceback = error.__traceback__ if error else None
        self._announce()
        self._wake_batcher()  # a batch may have waited for this lane

    def _failure(self) -> Exception | None:
        """What to raise, without the traces of those who raised it before."""
        return self._last_word and self._last_word.with_traceback(self._traceback)

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
