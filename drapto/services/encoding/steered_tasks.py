"""The tasks of a job that aims at a quality: the controller says which comes next, at which CRF.

A `TaskSource`: whoever encodes asks it for work and need not know why a segment comes again, at
another CRF. Every encode of a segment has a file of its own, so that the better one can be kept.

    queue = SteeredTasks(Controller(goal, …), workers=4, earlier=checkpoint.attempts)
    queue.put(*tasks); queue.close()
    task = await queue.next()               # None: the film is as good as it can be made
    kept = queue.finished(encoded)          # the encode to keep of that segment
    queue.outcome

Tests: tests/services/encoding/test_steered_tasks.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio

from drapto.core.resources import BUSY_CORES
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.services.encoding.saving import no_saving
from drapto.services.encoding.target_quality import (
    Attempt,
    Controller,
    Done,
    Encode,
    Outcome,
    Piece,
    Stop,
    Wait,
    complexity,
)
from drapto.services.encoding.target_quality.pilots import most_in_flight

# Of a segment whose complexity nobody measured, as core.analysis.Scene counts it: the geometric
# mean of the scenes behind the shipped prior.
TYPICAL_COMPLEXITY = (7.7, 2.9)


class SteeredTasks:
    """All of it on one event loop."""

    def __init__(
        self, control: Controller, workers: int, earlier: Sequence[EncodedSegment] = ()
    ) -> None:
        self._control = control
        self._workers = workers
        self._earlier = earlier
        self._tasks: dict[int, SegmentTask] = {}
        self._closed = False
        self._changed = anyio.Event()
        self.outcome: Outcome | None = None

    def put(self, *tasks: SegmentTask) -> None:
        """Segments that are known now; one that is known already is passed over."""
        new = {t.segment.index: t for t in tasks if t.segment.index not in self._tasks}
        self._tasks |= new
        pieces = (_piece(task) for task in new.values())
        self._control = self._control.known(*pieces)
        for done in self._earlier:
            if done.segment.index in new and (attempt := _attempt(done)) is not None:
                self._control = self._control.finished(attempt)
        self._wake()

    def close(self) -> None:
        """No segment will be added any more."""
        if not self._closed:
            self._closed = True
            self._control = self._control.all_known()
        self._wake()

    @property
    def control(self) -> Controller:
        return self._control

    @property
    def left(self) -> int | None:
        """None: how many encodes there will be is known only at the end."""
        return None

    async def next(self) -> SegmentTask | None:
        """Errors: NoSavingError as soon as the output would certainly be too large."""
        while True:
            step = self._control.next(self._workers)
            match step:
                case Encode():
                    self._control = self._control.begun(step)
                    return self._task(step)
                case Wait():
                    await self._changed.wait()
                case Done():
                    self.outcome = step.outcome
                    return None
                case Stop():
                    raise no_saving(step.projected_bytes, step.max_bytes)

    def finished(self, done: EncodedSegment) -> EncodedSegment:
        """Tell what came of a task. Returns whichever encode of the segment is to be kept."""
        attempt = _attempt(done)
        assert attempt is not None
        self._control = self._control.finished(attempt)
        self._earlier = (*self._earlier, done)
        self._wake()
        index = done.segment.index
        crf = self._control.kept[index].crf
        return next(e for e in reversed(self._earlier) if (e.segment.index, e.crf) == (index, crf))

    def _task(self, step: Encode) -> SegmentTask:
        task = self._tasks[step.index]
        return task.model_copy(
            update={
                "settings": task.settings.model_copy(update={"crf": step.crf}),
                "output": _file(task.output, step.crf),
                "lp": max(task.lp, self._lp()),
            }
        )

    def _lp(self) -> int:
        """Where few are under way, at the beginning of a film and at its end, each may use the
        cores of those that have to wait, or have nothing left to do."""
        known, finished = len(self._tasks), len(self._control.kept)
        running = len(self._control.in_flight)  # this one included
        share = self._workers / most_in_flight(self._workers, known, finished)
        if self._closed and known - finished - running < self._workers:
            share = max(share, 2.0, self._workers / max(running, 1))  # the last round
        levels = sorted(BUSY_CORES)
        return next((lp for lp in levels if BUSY_CORES[lp] >= share), levels[-1])

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


def _piece(task: SegmentTask) -> Piece:
    spatial, temporal = task.complexity or TYPICAL_COMPLEXITY
    return Piece(task.segment.index, task.segment.frames, complexity(spatial, temporal))


def _attempt(done: EncodedSegment) -> Attempt | None:
    if done.crf is None or done.quality is None:
        return None
    return Attempt(done.segment.index, done.crf, done.size_bytes, done.quality)


def _file(output: Path, crf: float) -> Path:
    return output.with_name(f"{output.stem}-{crf:.2f}{output.suffix}")
