"""Admits segment workers by the cores and the memory that workers were measured to use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.infrastructure.resources import ResourceManager


class MeasuredSlots:
    """`core/interfaces.py: WorkerSlots` over a ResourceManager.

    How many workers a job runs is planned beforehand; the slots hold back a worker whose memory
    is not there, because the film turned out to need more or because another job has it. One of
    which `on_card` is true encodes on a graphics card: it also holds one of the card's sessions,
    and what memory it takes says nothing of others.
    """

    def __init__(
        self, resources: ResourceManager, *, on_card: Callable[[SegmentTask], bool] | None = None
    ) -> None:
        self._resources = resources
        self._on_card = on_card or (lambda _task: False)

    def admit(self, task: SegmentTask) -> AbstractAsyncContextManager[None]:
        settings = task.settings
        memory_bytes = self._resources.worker_memory(settings.width, settings.height, task.lp)
        sessions = 1 if self._on_card(task) else 0
        return self._resources.acquire(memory_bytes=memory_bytes, encoders=sessions)

    def observe(self, task: SegmentTask, done: EncodedSegment) -> None:
        if self._on_card(task):
            return
        settings = task.settings
        pixels = settings.width * settings.height
        self._resources.observe_worker(pixels, task.lp, done.peak_rss_bytes)
