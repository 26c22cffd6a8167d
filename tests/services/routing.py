"""A router with everything real about it but the stages, for tests of what can go wrong with them.

The stages are in memory, because their failures cannot be provoked otherwise at the wanted moment.
`routed` puts real ones behind a router, for the contract suites.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from drapto.core.analysis import CropDecision, CropSettled, CutFound, Scene, VideoAnalysis
from drapto.core.errors import InputError, MissingToolError
from drapto.core.events import Event
from drapto.core.flags import FeatureFlags
from drapto.core.interfaces import (
    Encoder,
    FindingCallback,
    ProgressCallback,
    ScenePlanner,
    TaskSource,
    unheard,
)
from drapto.core.job import EncodeOptions, JobRequest, RunOptions
from drapto.core.media import FrameIndex, MediaInfo, Track, TrackKind
from drapto.core.routing import RoutedStage
from drapto.core.segments import EncodedSegment, Segment, SegmentTask, VideoSettings
from drapto.core.shadow_task import ShadowTask
from drapto.core.source import SourceVideo
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace
from drapto.infrastructure.flags.openfeature import OpenFeatureFlags
from drapto.infrastructure.flags.overrides import OverridesFile
from drapto.services.reporting import Reporter
from drapto.services.rollback import PerformanceMonitor, RollbackManager
from drapto.services.router import RoutedJob, StageRouter
from drapto.services.segmentation.service import SceneSegmentation
from drapto.services.stages import JobServed, JobToServe, Stages

FRAMES = 96
RATE = 24
SETTINGS = VideoSettings(width=192, height=108, source_width=192, source_height=108)


@dataclass
class MadeUp:
    """All three stages of one side, named by what they answer.

    `fault` is raised by the stages in `failing`; encoding raises it
    after `segments_first` segments.
    """

    name: str
    cut: int  # where its detection sees the only cut
    fault: Exception = field(default_factory=lambda: InputError("it is broken"))
    failing: frozenset[RoutedStage] = frozenset()
    segments_first: int = 0
    calls: list[str] = field(default_factory=list)
    before_fault: Callable[[], Awaitable[None]] | None = None

    @property
    def stages(self) -> Stages:
        return Stages(detection=self, segmentation=_Segmentation(self), encoding=_Encoding(self))

    async def called(self, stage: RoutedStage) -> None:
        self.calls.append(stage.value)
        if stage in self.failing and stage is not RoutedStage.ENCODING:
            await self.fail()

    async def fail(self) -> None:
        if self.before_fault is not None:
            await self.before_fault()
        raise self.fault

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        on_finding(CropSettled(decision=CropDecision(reason=self.name)))
        on_finding(CutFound(frame=self.cut))
        await self.called(RoutedStage.DETECTION)
        on_progress(FRAMES)
        scenes = (Scene(start=0, end=self.cut), Scene(start=self.cut, end=FRAMES))
        return VideoAnalysis(scenes=scenes, decoded_frames=FRAMES, notes=(self.name,))


@dataclass
class _Segmentation:
    side: MadeUp

    def planner(self, video: SourceVideo, options: EncodeOptions) -> ScenePlanner | None:
        """As with the real ones: legacy has to see the whole analysis."""
        if self.side.name == "legacy":
            return None
        return SceneSegmentation().planner(video, options)

    async def plan(
        self, video: SourceVideo, analysis: VideoAnalysis, options: EncodeOptions
    ) -> tuple[Segment, ...]:
        await self.side.called(RoutedStage.SEGMENTATION)
        return await SceneSegmentation().plan(video, analysis, options)


@dataclass
class _Encoding:
    side: MadeUp

    @property
    def has_own_encoders(self) -> bool:
        return self.side.name == "new"

    def default_crf(self, encoder: Encoder, width: int) -> float:
        return 25.0 if self.side.name == "legacy" else 24.0

    async def encode(
        self,
        tasks: TaskSource,
        *,
        workers: int,
        on_progress: Callable[[int, int], None],
        on_retry: Callable[[int, int, str], None],
        on_done: Callable[[EncodedSegment], Awaitable[None]],
    ) -> None:
        await self.side.called(RoutedStage.ENCODING)
        done = 0
        fails = RoutedStage.ENCODING in self.side.failing
        while (task := await tasks.next()) is not None:
            self.side.calls.append(f"took {task.segment.index}, {tasks.left} left")
            if fails and done == self.side.segments_first:
                await self.side.fail()
            await on_done(encoded_by(self.side.name, task))
            done += 1


def encoded_by(name: str, task: SegmentTask) -> EncodedSegment:
    return EncodedSegment(
        segment=task.segment,
        path=Path(f"/{name}/{task.segment.label}.mkv"),
        frames=task.segment.frames,
        size_bytes=100,
        digest=name,
    )


def tasks_of(*borders: int) -> tuple[SegmentTask, ...]:
    return tuple(
        SegmentTask(
            segment=Segment(index=number, start=start, end=end),
            source=Path("/films/in.mkv"),
            stream_index=0,
            time_base=Fraction(1, RATE),
            first_pts=start,
            end_pts=end,
            settings=SETTINGS,
            output=Path(f"/work/{number}.mkv"),
        )
        for number, (start, end) in enumerate(pairwise(borders))
    )


class Recorder:
    """An EventSink."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


class Submitted:
    """Shadow runs that nobody runs."""

    def __init__(self) -> None:
        self.tasks: list[ShadowTask] = []

    async def submit(self, task: ShadowTask) -> None:
        self.tasks.append(task)


class Routing:
    """One process: real flags, overrides and history in `folder`, made-up stages on both sides."""

    def __init__(self, folder: Path, flags: str = "", new: Stages | None = None) -> None:
        self.folder = folder
        self.flags_file = folder / "flags.toml"
        if not self.flags_file.exists() or flags:
            self.flags_file.write_text(f"schema = 1\n{flags}")
        self.new, self.legacy = MadeUp("new", cut=40), MadeUp("legacy", cut=60)
        self.store = SqliteComparisonStore(folder / "state")
        file = FlagsFile(FlagsPlace(self.flags_file, "named"))
        self.overrides = OverridesFile(folder / "state", file)
        self.shadows = Submitted()
        self.router = StageRouter(
            FeatureFlags(OpenFeatureFlags(file), self.overrides),
            new=new or self.new.stages,
            legacy=lambda _job: self.legacy.stages,
            rollback=RollbackManager(PerformanceMonitor(self.store), self.overrides),
            shadows=self.shadows,
        )
        self.recorder = Recorder()
        self.reporter = Reporter("job", self.recorder)
        self.video = video(folder)

    def job(
        self, *, name: str = "job", run: RunOptions | None = None, is_rehearsal: bool = False
    ) -> RoutedJob:
        self.recorder = Recorder()
        self.reporter = Reporter(name, self.recorder)
        output = self.folder / "out.mkv"
        output.write_bytes(b"the output")
        request = JobRequest(source=self.video.path, output=output, run=run or RunOptions())
        return self.router.for_job(
            JobToServe(
                self.reporter,
                request,
                self.video.origin,
                self.video.track,
                self.folder / "work",
                is_rehearsal,
            )
        )

    async def settled(self, *, name: str = "job", run: RunOptions | None = None) -> RoutedJob:
        job = self.job(name=name, run=run)
        await job.settle(None)
        return job

    async def published(self, job: RoutedJob, *borders: int) -> None:
        segments = tuple(task.segment for task in tasks_of(*(borders or (0, FRAMES))))
        analysis = VideoAnalysis(scenes=(Scene(start=0, end=FRAMES),))
        await job.published(JobServed(self.video, analysis, segments, SETTINGS))


def routed(folder: Path, **stages: object) -> Stages:
    """What a router hands out where new is made of `stages` and serves, on a machine that has no
    tools for legacy. May be called inside of an event loop."""
    home = folder / "routing"
    home.mkdir(exist_ok=True)
    unused = MadeUp("unused", cut=1).stages
    routing = Routing(home, new=replace(unused, **stages))  # type: ignore[arg-type]
    routing.legacy.failing = frozenset(RoutedStage)
    routing.legacy.fault = MissingToolError("mediainfo is missing")
    job = routing.job()
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, job.settle(None)).result()
    return job.stages


def video(folder: Path) -> SourceVideo:
    source = folder / "in.mkv"
    source.write_bytes(b"the source")
    track = Track(
        index=0,
        kind=TrackKind.VIDEO,
        codec="h264",
        time_base=Fraction(1, RATE),
        width=192,
        height=108,
    )
    media = MediaInfo(
        path=source, format_name="matroska,webm", size_bytes=10, duration_s=4.0, tracks=(track,)
    )
    pts = np.arange(FRAMES, dtype=np.int64)
    index = FrameIndex(Fraction(1, RATE), pts, np.ones(FRAMES, np.int64), pts == 0)
    return SourceVideo(origin=media, track=track, path=source, stream_index=0, index=index)
