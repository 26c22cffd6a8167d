"""Which waiting items make up the next batch, and when: arithmetic without tasks or threads.

Promised: a batch holds at most `most_items` items of at most `most_bytes` together; the items of
one lane leave in the order they came; lanes take turns, so while an item is first of its lane, no
other lane gets more than one item in before it. A large item is not passed over for smaller ones:
a batch ends at the first item that does not fit, and the next one begins with it.

Tests: tests/infrastructure/gpu/test_batch_queue.py.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from drapto.core.errors import ResourceError

LaneT = TypeVar("LaneT", bound=Hashable)
ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class BatchLimits:
    """What bounds a batch, and what bounds those who feed it.

    `most_bytes` is what the items of one batch may take on the device together, by the sizes that
    the caller gives. A batch that is not full starts `longest_wait_s` after its first item came.
    `most_queued` items of one lane are inside at any moment: put in, result not yet taken out. Two
    batches' worth of items over all lanes keeps a device busy; fewer let it wait for the producers.
    """

    most_items: int
    most_bytes: int
    longest_wait_s: float
    most_queued: int

    def __post_init__(self) -> None:
        if min(self.most_items, self.most_bytes, self.most_queued) < 1:
            raise ValueError(f"a batch and a lane hold at least one item of one byte: {self}")
        if not self.longest_wait_s >= 0:
            raise ValueError(f"a wait cannot be negative: {self}")


@dataclass(frozen=True)
class _Waiting(Generic[ItemT]):
    item: ItemT
    size_bytes: int
    since_s: float


class BatchQueue(Generic[LaneT, ItemT]):
    """Items that wait for the device, lane by lane."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._lanes: dict[LaneT, deque[_Waiting[ItemT]]] = {}  # those that wait, next turn first
        self._items = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._items

    def waiting(self, lane: LaneT) -> int:
        return len(self._lanes.get(lane, ()))

    def put(self, lane: LaneT, item: ItemT, size_bytes: int, now_s: float) -> None:
        """Errors: ResourceError if no batch could ever hold the item, ValueError below zero."""
        if size_bytes < 0:
            raise ValueError("an item cannot have a negative size")
        if size_bytes > self._limits.most_bytes:
            raise ResourceError(
                f"One item takes {size_bytes} bytes on the device, and a whole batch may take "
                f"{self._limits.most_bytes}.",
                hint="Do this work on the CPU, or give the device more memory.",
            )
        self._lanes.setdefault(lane, deque()).append(_Waiting(item, size_bytes, now_s))
        self._count(1, size_bytes)

    def due_in_s(self, now_s: float, *, more_may_come: bool) -> float:
        """Seconds until a batch should start: 0 at once, infinite while nothing waits."""
        if not self._lanes:
            return math.inf
        full = self._items >= self._limits.most_items or self._bytes >= self._limits.most_bytes
        if full or not more_may_come:
            return 0.0
        oldest_s = min(waiting[0].since_s for waiting in self._lanes.values())
        return max(0.0, oldest_s + self._limits.longest_wait_s - now_s)

    def take(self) -> list[tuple[LaneT, ItemT]]:
        """The next batch, out of the queue; empty only if nothing waits."""
        batch: list[tuple[LaneT, ItemT]] = []
        room_bytes = self._limits.most_bytes
        while self._lanes and len(batch) < self._limits.most_items:
            lane, waiting = next(iter(self._lanes.items()))
            if waiting[0].size_bytes > room_bytes:
                break
            first = waiting.popleft()
            room_bytes -= first.size_bytes
            batch.append((lane, first.item))
            self._count(-1, -first.size_bytes)
            del self._lanes[lane]
            if waiting:
                self._lanes[lane] = waiting  # behind all others
        return batch

    def drop(self, lane: LaneT) -> None:
        """Forget what waits of this lane."""
        for dropped in self._lanes.pop(lane, ()):
            self._count(-1, -dropped.size_bytes)

    def _count(self, items: int, size_bytes: int) -> None:
        self._items += items
        self._bytes += size_bytes
