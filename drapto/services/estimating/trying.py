"""Encodes windows as a job encodes segments, and says what came of each.

With a target half of the windows are tried at the CRF that an ordinary film would need, the other
half where the first half says that this film lies: a curve wants two points.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from drapto.core.estimate import PacketSizer
from drapto.core.interfaces import EncodingService
from drapto.core.quality import Metric
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.services.encoding.steered_tasks import TYPICAL_COMPLEXITY
from drapto.services.encoding.target_quality import Goal, complexity
from drapto.services.encoding.target_quality.curves import Prior
from drapto.services.estimating.film import Film, Seen
from drapto.services.estimating.prediction import Trial, next_crfs


class Trying:
    """`tasks` and `seen` belong together, in order."""

    def __init__(
        self, encoding: EncodingService, sizer: PacketSizer, workers: int, film: Film, prior: Prior
    ) -> None:
        self._encoding = encoding
        self._sizer = sizer
        self._workers = workers
        self._film = film
        self._prior = prior

    async def all(
        self, tasks: Sequence[SegmentTask], seen: Sequence[Seen], goal: Goal | None
    ) -> tuple[Trial, ...]:
        """`goal` None: at the CRF of the tasks. Errors: as an encoding stage's."""
        if goal is None:
            return await self._wave(tasks, seen)
        trials: tuple[Trial, ...] = ()
        for first in (0, 1):  # every other one: each half is spread over the film
            waiting = seen[first::2]
            if waiting:
                crfs = next_crfs(self._film, waiting, trials, goal, self._prior)
                steered = [_at(task, crf) for task, crf in zip(tasks[first::2], crfs, strict=True)]
                trials += await self._wave(steered, waiting)
        return trials

    async def _wave(self, tasks: Sequence[SegmentTask], seen: Sequence[Seen]) -> tuple[Trial, ...]:
        done: dict[int, EncodedSegment] = {}

        async def take(encoded: EncodedSegment) -> None:
            done[encoded.segment.index] = encoded

        await self._encoding.encode(
            _Tasks(tasks),
            workers=self._workers,
            on_progress=lambda _segment, _frames: None,
            on_retry=lambda _segment, _attempt, _reason: None,
            on_done=take,
        )
        return tuple(
            [
                await self._trial(task, window, done[task.segment.index])
                for task, window in zip(tasks, seen, strict=True)
            ]
        )

    async def _trial(self, task: SegmentTask, window: Seen, encoded: EncodedSegment) -> Trial:
        is_vmaf = task.measuring is not None and task.measuring.metric is Metric.VMAF
        return Trial(
            seen=window,
            crf=task.settings.crf,
            size_bytes=encoded.size_bytes,
            key_bytes=await self._sizer.first_packet(encoded.path),
            cpu_s=encoded.cpu_s,
            quality=encoded.quality if is_vmaf else None,
            peak_rss_bytes=encoded.peak_rss_bytes,
        )


def with_features(seen: Sequence[Seen], tasks: Sequence[SegmentTask]) -> tuple[Seen, ...]:
    """What a task knows of how hard it is, as target quality wants to know it."""
    return tuple(
        replace(window, features=complexity(*(task.complexity or TYPICAL_COMPLEXITY)))
        for window, task in zip(seen, tasks, strict=True)
    )


class _Tasks:
    """A `TaskSource` that never says how few are left: each window is encoded with the parallelism
    of the middle of a film, where most of the time goes, and not of its end."""

    left = None

    def __init__(self, tasks: Sequence[SegmentTask]) -> None:
        self._tasks = deque(tasks)

    async def next(self) -> SegmentTask | None:
        return self._tasks.popleft() if self._tasks else None


def _at(task: SegmentTask, crf: float) -> SegmentTask:
    return task.model_copy(update={"settings": task.settings.model_copy(update={"crf": crf})})
