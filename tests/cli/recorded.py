"""The events of jobs as a real run sends them, for the displays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from drapto.core.events import (
    Event,
    JobFinished,
    JobStarted,
    PlanReady,
    SegmentFinished,
    SegmentProgress,
    SegmentRetried,
    StageFinished,
    StageProgress,
    StageStarted,
    WarningRaised,
)
from drapto.core.job import EncodeResult, Stage, TrackOutcome
from drapto.core.segments import VideoSettings

JOB = "9f2c"
TRACKS = (
    TrackOutcome(
        source_index=0, kind="video", codec="av1", action="encoded", detail="H.264 -> AV1"
    ),
    TrackOutcome(
        source_index=1,
        kind="audio",
        codec="opus",
        action="encoded",
        detail="AAC stereo -> Opus 128 kb/s",
        language="eng",
        title="Main [stereo]",
    ),
    TrackOutcome(
        source_index=2,
        kind="subtitle",
        codec="dvb_teletext",
        action="dropped",
        detail="Matroska cannot hold it",
    ),
)


def started(source: str = "/films/in.mkv", *, resumed: bool = False) -> JobStarted:
    return JobStarted(
        job=JOB, source=Path(source), output="/av1/out.mkv", work_dir="/av1/.w", resumed=resumed
    )


def plan(segments: int = 4, frames: int = 400, **more: int) -> PlanReady:
    return PlanReady(
        job=JOB, frames=frames, segments=segments, resumed_segments=more.get("resumed_segments", 0),
        resumed_frames=more.get("resumed_frames", 0), workers=2, lp=2, encoder="svt-av1", crf=26,
        preset=6, crop="1920:800:0:140", dynamic_range="sdr", tracks=TRACKS,
    )  # fmt: skip


def finished_segment(segment: int, frames: int = 100, size_bytes: int = 1000) -> SegmentFinished:
    return SegmentFinished(
        job=JOB, segment=segment, frames=frames, size_bytes=size_bytes, wall_s=1, cpu_s=1,
        peak_rss_bytes=1, attempt=0,
    )  # fmt: skip


def progress(segment: int, frames_done: int, frames: int = 100) -> SegmentProgress:
    return SegmentProgress(job=JOB, segment=segment, frames_done=frames_done, frames=frames)


def result(**changes: object) -> EncodeResult:
    values: dict[str, object] = {
        "source": "/films/in.mkv", "output": "/av1/out.mkv", "source_bytes": 2_000_000,
        "output_bytes": 760_000, "frames": 400, "duration_s": 16.0, "wall_s": 75.0,
        "encode_fps": 6.4, "segments": 4, "resumed_segments": 0,
        "settings": VideoSettings(
            crf=26,
            width=1920,
            height=800,
            source_width=1920,
            source_height=1080,
            frame_rate=Fraction(25),
        ),
        "crop": {"width": 1920, "height": 800, "x": 0, "y": 140}, "dynamic_range": "sdr",
        "tracks": TRACKS, "warnings": ("Three frames are damaged.",),
        "manifest": "/av1/.w/manifest.json",
    }  # fmt: skip
    return EncodeResult.model_validate(values | changes)


def whole_job() -> list[Event]:
    events: list[Event] = [started()]
    for stage in (Stage.PROBE, Stage.DETECTION):
        events.append(StageStarted(job=JOB, stage=stage))
        events += [
            StageProgress(job=JOB, stage=stage, done=done, total=400)
            for done in range(0, 401, 4)
            if stage is Stage.DETECTION
        ]
        events.append(StageFinished(job=JOB, stage=stage, wall_s=1.5, detail=f"{stage} is over"))
    events += [plan(), StageStarted(job=JOB, stage=Stage.ENCODING)]
    for segment in range(4):
        events += [progress(segment, done) for done in range(0, 100, 5)]
        if segment == 2:
            events.append(SegmentRetried(job=JOB, segment=2, attempt=1, reason="a frame short"))
            events += [progress(segment, done) for done in range(0, 100, 5)]
        events.append(finished_segment(segment))
    events += [
        WarningRaised(job=JOB, message="Three frames are damaged."),
        StageFinished(job=JOB, stage=Stage.ENCODING, wall_s=60),
        JobFinished(job=JOB, result=result()),
    ]
    return events
