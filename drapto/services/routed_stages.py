"""The three stages as a router hands them out: each hands its work to the side that serves.

Each joins the contract suite of its Protocol, like the sides themselves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, TypeVar

from drapto.core.analysis import VideoAnalysis
from drapto.core.interfaces import (
    Encoder,
    FindingCallback,
    ProgressCallback,
    ScenePlanner,
    TaskSource,
    unheard,
)
from drapto.core.job import EncodeOptions
from drapto.core.routing import RoutedStage
from drapto.core.segments import EncodedSegment, Segment
from drapto.core.source import SourceVideo
from drapto.services.encoding.registry import encoder_named
from drapto.services.encoding.unfinished import UnfinishedTasks
from drapto.services.stages import Stages

_T = TypeVar("_T")

# Done by one side: the result, and the number of frames that it did.
Work: TypeAlias = Callable[[Stages], Awaitable[tuple[_T, int]]]


def unbound() -> bool:
    """What the first side has done does not keep the other from taking over."""
    return False


class Serving(Protocol):
    """Who knows which side serves. `services/router.py: RoutedJob` is one."""

    def primary(self, stage: RoutedStage) -> Stages: ...

    async def serve(
        self,
        stage: RoutedStage,
        work: Work[_T],
        again: Work[_T] | None = None,
        *,
        is_bound: Callable[[], bool] = unbound,
    ) -> _T: ...


class RoutedDetection:
    def __init__(self, job: Serving) -> None:
        self._job = job

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        def work(listener: FindingCallback) -> Work[VideoAnalysis]:
            async def analyze(side: Stages) -> tuple[VideoAnalysis, int]:
                found = await side.detection.analyze(video, options, on_progress, listener)
                return found, len(video.index)

            return analyze

        # Who listens has begun to plan by what the first side found; that of another would be
        # out of order. Its analysis settles what was begun wrongly.
        return await self._job.serve(RoutedStage.DETECTION, work(on_finding), again=work(unheard))


class RoutedSegmentation:
    def __init__(self, job: Serving) -> None:
        self._job = job

    def planner(self, video: SourceVideo, options: EncodeOptions) -> ScenePlanner | None:
        primary = self._job.primary(RoutedStage.SEGMENTATION)
        return primary.segmentation.planner(video, options)

    async def plan(
        self, video: SourceVideo, analysis: VideoAnalysis, options: EncodeOptions
    ) -> tuple[Segment, ...]:
        async def work(side: Stages) -> tuple[tuple[Segment, ...], int]:
            return await side.segmentation.plan(video, analysis, options), len(video.index)

        return await self._job.serve(RoutedStage.SEGMENTATION, work)


class RoutedEncoding:
    def __init__(self, job: Serving) -> None:
        self._job = job

    @property
    def has_own_encoders(self) -> bool:
        return self._job.primary(RoutedStage.ENCODING).encoding.has_own_encoders

    def default_crf(self, encoder: Encoder, width: int) -> float:
        """Of the side that is asked first; legacy keeps to it where it takes over, so that the
        segments of one film are alike."""
        primary = self._job.primary(RoutedStage.ENCODING)
        return primary.encoding.default_crf(encoder, width)

    def steers(self, encoder: Encoder) -> bool:
        return self._job.primary(RoutedStage.ENCODING).encoding.steers(encoder)

    async def encode(
        self,
        tasks: TaskSource,
        *,
        workers: int,
        on_progress: Callable[[int, int], None],
        on_retry: Callable[[int, int, str], None],
        on_done: Callable[[EncodedSegment], Awaitable[None]],
    ) -> None:
        """Whoever takes over begins with the first segment that is not finished. Nobody does where
        a graphics card encodes: the job can go on with it later."""
        remembered = UnfinishedTasks(tasks)

        async def accept(done: EncodedSegment) -> None:
            remembered.finished(done)
            await on_done(done)

        async def work(side: Stages) -> tuple[None, int]:
            frames_before = remembered.frames
            await side.encoding.encode(
                remembered.from_the_first_unfinished(),
                workers=workers,
                on_progress=on_progress,
                on_retry=on_retry,
                on_done=accept,
            )
            return None, remembered.frames - frames_before

        def is_on_card() -> bool:
            """Scripts have none: their segments and a card's are no valid stream together."""
            return any(encoder_named(name).needs_device for name in remembered.encoders)

        await self._job.serve(RoutedStage.ENCODING, work, is_bound=is_on_card)
