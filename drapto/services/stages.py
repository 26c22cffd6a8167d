"""The three stages that can be served by one side or the other, and where a job gets them from.

A job asks a `StageSource` once, and uses what it gets like any other stage: it never learns who
serves. `FixedStages` is the source for those who have no choice to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drapto.core.analysis import VideoAnalysis
from drapto.core.interfaces import DetectionService, EncodingService, SegmentationService
from drapto.core.job import JobRequest
from drapto.core.media import MediaInfo, Track
from drapto.core.routing import Route
from drapto.core.segments import Segment, VideoSettings
from drapto.core.source import SourceVideo
from drapto.services.reporting import Reporter


@dataclass(frozen=True)
class Stages:
    detection: DetectionService
    segmentation: SegmentationService
    encoding: EncodingService


@dataclass(frozen=True)
class JobToServe:
    """What is known of a job before its first stage."""

    reporter: Reporter
    request: JobRequest
    media: MediaInfo
    track: Track  # the video to encode
    work_dir: Path  # for files that a stage needs until the job has ended
    is_rehearsal: bool = False  # a dry run or an analysis: it says nothing about who serves

    @property
    def job(self) -> str:
        return self.reporter.job


@dataclass(frozen=True)
class JobServed:
    """What the stages made of a job whose output is in its place."""

    video: SourceVideo
    analysis: VideoAnalysis
    segments: tuple[Segment, ...]
    settings: VideoSettings


class ServedStages(Protocol):
    """The stages of one job, whoever serves them."""

    @property
    def stages(self) -> Stages: ...

    async def settle(self, earlier: tuple[Route, ...] | None) -> tuple[Route, ...]:
        """Decide who serves; to be called once, before any stage.

        `earlier` is what an earlier run of the same job decided, and then holds again. The
        result is to be stored with the job.
        """
        ...

    async def published(self, served: JobServed) -> None:
        """The output is in its place. Never raises an Exception, never takes long."""
        ...


class StageSource(Protocol):
    def for_job(self, job: JobToServe) -> ServedStages: ...


@dataclass(frozen=True)
class FixedStages:
    """A source that gives every job the same stages, and stages that nobody watches."""

    stages: Stages

    def for_job(self, job: JobToServe) -> FixedStages:
        return self

    async def settle(self, earlier: tuple[Route, ...] | None) -> tuple[Route, ...]:
        return ()

    async def published(self, served: JobServed) -> None:
        return None
