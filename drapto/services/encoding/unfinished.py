"""Tasks that can be gone through a second time: what is finished stays, the rest comes again.

For when somebody else has to go on with what the first could not do.
"""

from __future__ import annotations

from collections import deque

from drapto.core.interfaces import TaskSource
from drapto.core.segments import EncodedSegment, SegmentTask


class UnfinishedTasks:
    """A `TaskSource` over another. All of it on one event loop."""

    def __init__(self, tasks: TaskSource) -> None:
        self._tasks = tasks
        self._taken: dict[int, SegmentTask] = {}
        self._again: deque[SegmentTask] = deque()
        self._finished: set[int] = set()
        self.encoders: set[str] = set()  # of all tasks that were handed out
        self.frames = 0  # of the finished segments, each counted once

    def from_the_first_unfinished(self) -> UnfinishedTasks:
        self._again = deque(self._taken.values())
        return self

    def finished(self, done: EncodedSegment) -> None:
        index = done.segment.index
        self._taken.pop(index, None)
        if index not in self._finished:
            self._finished.add(index)
            self.frames += done.frames

    @property
    def left(self) -> int | None:
        waiting = self._tasks.left
        return None if waiting is None else waiting + len(self._again)

    async def next(self) -> SegmentTask | None:
        if self._again:
            return self._again.popleft()
        task = await self._tasks.next()
        if task is not None:
            self._taken[task.segment.index] = task
            self.encoders.add(task.settings.encoder)
        return task
