"""The tasks that wait for a worker: the longest goes first, and more may come."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import anyio

from drapto.core.segments import EncodedSegment, SegmentTask


class LongestFirst:
    """A `TaskSource`. All of it on one event loop."""

    def __init__(self, tasks: Iterable[SegmentTask] = ()) -> None:
        self._heap: list[tuple[int, int, SegmentTask]] = []
        self._closed = False
        self._changed = anyio.Event()
        self.put(*tasks)

    def put(self, *tasks: SegmentTask) -> None:
        """Add tasks. ValueError after `close`."""
        if self._closed and tasks:
            raise ValueError("no task can be added to a closed queue")
        for task in tasks:
            heapq.heappush(self._heap, (-task.segment.frames, task.segment.index, task))
        self._wake()

    def close(self) -> None:
        """Nothing will be added any more."""
        self._closed = True
        self._wake()

    @property
    def left(self) -> int | None:
        """Tasks that wait for a worker; None while more may come."""
        return len(self._heap) if self._closed else None

    async def next(self) -> SegmentTask | None:
        """The longest task, the earliest of equals; None when there will be none any more."""
        while not self._heap:
            if self._closed:
                return None
            await self._changed.wait()
        return heapq.heappop(self._heap)[2]

    def finished(self, done: EncodedSegment) -> EncodedSegment:
        """The encode to keep of that segment: there is no other."""
        return done

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
