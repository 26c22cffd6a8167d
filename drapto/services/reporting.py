"""One job's voice: every event goes to every sink, and nobody is told more often than useful."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from drapto.core.events import (
    Event,
    StageFinished,
    StageProgress,
    StageStarted,
    WarningRaised,
)
from drapto.core.interfaces import EventSink
from drapto.core.job import Stage
from drapto.core.manifest import StageTime

PROGRESS_INTERVAL_S = 0.2  # between two progress events of one stage: smooth to the eye


class StageReport:
    """What a stage wants to have said of it when it has ended."""

    def __init__(self) -> None:
        self.detail = ""
        self.wall_s = 0.0


class Reporter:
    """Emits the events of one job. `emit` may be called from any thread."""

    def __init__(self, job: str, *sinks: EventSink) -> None:
        self.job = job
        self.resumable = False  # whether what is there now is worth going on with
        self.warnings: list[str] = []
        self._stage_times: list[StageTime] = []
        self._sinks = list(sinks)

    def add(self, sink: EventSink) -> None:
        self._sinks.append(sink)

    @property
    def stage_times(self) -> tuple[StageTime, ...]:
        """Of the stages that have ended."""
        return tuple(self._stage_times)

    def emit(self, event: Event) -> None:
        if isinstance(event, StageFinished):
            self._stage_times.append(StageTime(stage=event.stage.value, wall_s=event.wall_s))
        for sink in self._sinks:
            sink.emit(event)

    def warn(self, message: str) -> None:
        """Say it once, and keep it for the summary."""
        if message not in self.warnings:
            self.warnings.append(message)
            self.emit(WarningRaised(job=self.job, message=message))

    @asynccontextmanager
    async def stage(self, stage: Stage) -> AsyncIterator[StageReport]:
        """Frame a stage with its events; nothing is said of the end of one that failed."""
        started_s = time.monotonic()
        self.emit(StageStarted(job=self.job, stage=stage))
        report = StageReport()
        yield report
        report.wall_s = time.monotonic() - started_s
        self.emit(
            StageFinished(job=self.job, stage=stage, wall_s=report.wall_s, detail=report.detail)
        )

    def progress(self, stage: Stage, total: float) -> Callable[[float], None]:
        """A callback that reports `done` of `total`, a few times a second at most."""
        last_s = 0.0

        def on_progress(done: float) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if now_s - last_s >= PROGRESS_INTERVAL_S or done >= total:
                last_s = now_s
                self.emit(StageProgress(job=self.job, stage=stage, done=done, total=total))

        return on_progress


class Everyone:
    """One sink that hands every event to all."""

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = tuple(sinks)

    def emit(self, event: Event) -> None:
        for sink in self._sinks:
            sink.emit(event)
