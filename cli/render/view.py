"""The state of one job as its events tell it: what every display shows is computed here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from drapto.core.events import (
    EncoderSettled,
    Event,
    JobFailed,
    JobStarted,
    PlanReady,
    SegmentFinished,
    SegmentProgress,
    SegmentRetried,
    StageFinished,
    StageProgress,
    StageStarted,
)
from drapto.core.job import Stage

# Below this the frame rate says more about starting encoders than about encoding.
_SETTLING_S = 2.0


@dataclass(frozen=True)
class Snapshot:
    """One moment of a job. Unknown numbers are None. `share` is 0..1 of the current stage."""

    source: str = ""
    stage: Stage | None = None
    share: float | None = None
    segments_done: int = 0
    segments: int = 0
    frames_done: int = 0
    frames: int = 0
    fps: float | None = None
    eta_s: float | None = None
    projected_bytes: int | None = None  # of the video alone
    elapsed_s: float = 0.0


class JobView:
    """Folds events into a Snapshot. An EventSink, safe from any thread; starts over with
    every JobStarted."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._reset(None)

    def _reset(self, started: JobStarted | None) -> None:
        self.started = started
        self.plan: PlanReady | None = None
        self.failure: JobFailed | None = None
        self._begun_s = self._now_s()
        self._stages: list[Stage] = []  # running now, the latest last
        self._last_stage: Stage | None = None
        self._progress: dict[Stage, float] = {}
        self._encode_anew()

    def _encode_anew(self) -> None:
        self._running: dict[int, int] = {}  # segment -> frames done
        self._encoding_since_s: float | None = None
        self._frames = self._bytes = self._segments = 0  # finished in this run

    def emit(self, event: Event) -> None:
        with self._lock:
            self._fold(event)

    def _fold(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._reset(event)
            case EncoderSettled() if event.instead_of is not None:
                self._encode_anew()
                self._encoding_since_s = self._now_s()  # the stage goes on
            case PlanReady():
                self.plan = event
            case StageStarted():
                self._stages.append(event.stage)
                if event.stage is Stage.ENCODING:
                    self._encoding_since_s = self._now_s()
            case StageFinished():
                self._stages = [stage for stage in self._stages if stage is not event.stage]
                self._last_stage = event.stage
                self._progress[event.stage] = 1.0
            case StageProgress() if event.total > 0:
                self._progress[event.stage] = min(1.0, event.done / event.total)
            case SegmentProgress():
                self._running[event.segment] = event.frames_done
            case SegmentRetried():
                self._running.pop(event.segment, None)
            case SegmentFinished():
                self._running.pop(event.segment, None)
                if event.encodes == 1:  # else it is there already, and may become better
                    self._segments += 1
                    self._frames += event.frames
                    self._bytes += event.size_bytes
            case JobFailed():
                self.failure = event
            case _:
                pass

    def snapshot(self) -> Snapshot:
        with self._lock:
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        now_s = self._now_s()
        plan = self.plan
        # Encoding may begin while detection still runs; until the plan is known, that is shown.
        running = self._stages[-1 if plan else 0] if self._stages else None
        stage = running or self._last_stage
        if plan is None:
            return Snapshot(
                source=self.started.source.name if self.started else "",
                stage=stage,
                share=self._progress.get(stage) if stage else None,
                elapsed_s=now_s - self._begun_s,
            )
        new = self._frames + sum(self._running.values())
        done = min(plan.frames, plan.resumed_frames + new)
        encoding_s = now_s - self._encoding_since_s if self._encoding_since_s is not None else 0.0
        settled = encoding_s >= _SETTLING_S and new > 0
        fps = new / encoding_s if settled and stage is Stage.ENCODING else None
        share = done / plan.frames if plan.frames and stage is Stage.ENCODING else None
        return Snapshot(
            source=self.started.source.name if self.started else "",
            stage=stage,
            share=share if share is not None or stage is None else self._progress.get(stage),
            segments_done=plan.resumed_segments + self._segments,
            segments=plan.segments,
            frames_done=done,
            frames=plan.frames,
            fps=fps,
            eta_s=(plan.frames - done) / fps if fps else None,
            projected_bytes=round(self._bytes / self._frames * plan.frames)
            if self._frames
            else None,
            elapsed_s=now_s - self._begun_s,
        )
