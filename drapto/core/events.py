"""Typed progress and outcome events. Services emit them; the command line, the log and the
metrics render them. Field by field, with units, in `docs/message-formats.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from drapto.core.comparison import Comparison, Served
from drapto.core.encoder_trial import EncoderTrial
from drapto.core.job import EncodeResult, Stage, TrackOutcome
from drapto.core.media import Value
from drapto.core.routing import Route, RoutedStage


class JobStarted(Value):
    event: Literal["job_started"] = "job_started"
    job: str
    source: Path
    output: Path
    work_dir: Path
    resumed: bool = False


class StageStarted(Value):
    event: Literal["stage_started"] = "stage_started"
    job: str
    stage: Stage


class StageProgress(Value):
    """`done` of `total` units; for detection these are frames, for audio seconds."""

    event: Literal["stage_progress"] = "stage_progress"
    job: str
    stage: Stage
    done: float
    total: float


class StageFinished(Value):
    event: Literal["stage_finished"] = "stage_finished"
    job: str
    stage: Stage
    wall_s: float
    detail: str = ""  # one plain sentence of what came out


class EncoderSettled(Value):
    """Only with `encoder` auto: which one it came to, and what came of those that were tried."""

    event: Literal["encoder_settled"] = "encoder_settled"
    job: str
    encoder: str  # as in --encoder
    reason: str  # in words
    tried: tuple[EncoderTrial, ...] = ()
    instead_of: str | None = None  # one that failed in this run: all of the film is encoded again


class PlanReady(Value):
    """Everything that will be done is known: emitted before encoding starts, and again where an
    encoder is replaced by another."""

    event: Literal["plan_ready"] = "plan_ready"
    job: str
    frames: int
    segments: int
    resumed_segments: int
    resumed_frames: int = 0  # frames of the segments that an earlier run finished
    workers: int
    lp: int
    encoder: str
    crf: float  # of every segment; with `target_vmaf`, what it would be without
    target_vmaf: float | None = None  # None: nothing is steered by what is measured
    preset: int
    film_grain: int = 0  # level; 0: none
    crop: str | None
    dynamic_range: str
    tracks: tuple[TrackOutcome, ...]
    routes: tuple[Route, ...] = ()  # who serves each stage that flags route, and why


class SegmentProgress(Value):
    event: Literal["segment_progress"] = "segment_progress"
    job: str
    segment: int
    frames_done: int
    frames: int


class SegmentFinished(Value):
    event: Literal["segment_finished"] = "segment_finished"
    job: str
    segment: int
    frames: int
    size_bytes: int
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    attempt: int
    crf: float | None = None
    quality: float | None = None  # mean of the measured frames; None: not measured
    encodes: int = 1  # of this segment until now, this one included


class SegmentRetried(Value):
    event: Literal["segment_retried"] = "segment_retried"
    job: str
    segment: int
    attempt: int
    reason: str


class WarningRaised(Value):
    event: Literal["warning"] = "warning"
    job: str
    message: str


class LeaksFound(Value):
    """Something still belonged to the job after its end. Comes right before `job_finished`."""

    event: Literal["leaks_found"] = "leaks_found"
    job: str
    slots: int  # requests for resources that were never given back
    processes: tuple[str, ...]  # process number and name
    open_files: tuple[str, ...]
    temporary_files: tuple[str, ...]


class ComparisonDone(Value):
    """A shadow run of a finished job has ended; its outcome changes nothing of the job."""

    event: Literal["comparison_done"] = "comparison_done"
    job: str
    comparison: Comparison


class StageServed(Value):
    """A stage that flags route has been served, by the side that was asked or by legacy for it."""

    event: Literal["stage_served"] = "stage_served"
    job: str
    served: Served


class DeviceFallback(Value):
    """The CPU goes on with what a device could not do, once for each film; the result is the same.

    `work`: 'features', 'decoding', or 'detection': all of it was done again. Of no job: several may
    share a device.
    """

    event: Literal["device_fallback"] = "device_fallback"
    job: str = ""
    device: str  # 'cuda:0'
    work: str
    reason: str


class StageRolledBack(Value):
    """A stage goes back to legacy by itself, from the next job on."""

    event: Literal["stage_rolled_back"] = "stage_rolled_back"
    job: str  # the one after which it was decided
    stage: RoutedStage
    revision: str  # the candidate revision that failed
    why: str
    problem: str = ""  # why it could not be saved; empty if it was


class CommandPlanned(Value):
    """Only with --dry-run: a command that would have run."""

    event: Literal["command_planned"] = "command_planned"
    job: str
    stage: Stage
    command: tuple[str, ...]


class JobFinished(Value):
    event: Literal["job_finished"] = "job_finished"
    job: str
    result: EncodeResult


class JobFailed(Value):
    event: Literal["job_failed"] = "job_failed"
    job: str
    source: Path
    output: Path
    error: str  # class name of core/errors.py, or 'Interrupted'
    message: str
    hint: str = ""
    exit_code: int
    resumable: bool = False


class JobSkipped(Value):
    """A file of a batch that was not encoded. No job was started, so there is no job name."""

    event: Literal["job_skipped"] = "job_skipped"
    job: str = ""
    source: Path
    output: Path
    reason: str


Event = Annotated[
    JobStarted
    | StageStarted
    | StageProgress
    | StageFinished
    | EncoderSettled
    | PlanReady
    | SegmentProgress
    | SegmentFinished
    | SegmentRetried
    | WarningRaised
    | LeaksFound
    | ComparisonDone
    | StageServed
    | StageRolledBack
    | DeviceFallback
    | CommandPlanned
    | JobFinished
    | JobFailed
    | JobSkipped,
    Field(discriminator="event"),
]
