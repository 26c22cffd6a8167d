"""Admits segment workers by the cores and the memory that workers were measured to use."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.infrastructure.resources import ResourceManager


class MeasuredSlots:
    """`core/interfaces.py: WorkerSlots` over a ResourceManager.

    How many workers a job runs is planned beforehand; the slots hold back a worker whose memory
    is not there, because the film turned out to need more or because another job has it.
    """

    def __init__(self, resources: ResourceManager) -> None:
        self._resources = resources

    def admit(self, task: SegmentTask) -> AbstractAsyncContextManager[None]:
        settings = task.settings
        memory_bytes = self._resources.worker_memory(settings.width, settings.height, task.lp)
        return self._resources.acquire(memory_bytes=memory_bytes)

    def observe(self, task: SegmentTask, done: EncodedSegment) -> None:
        settings = task.settings
        pixels = settings.width * settings.height
        self._resources.observe_worker(pixels, task.lp, done.peak_rss_bytes)
