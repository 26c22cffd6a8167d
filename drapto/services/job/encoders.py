"""The encoders of a job: all segments and, beside them, all audio tracks; the disk is watched.

async with encoders_of(job, video, decisions) as encoders:
    …                       # encoders.start, encoders.submit: as soon as something is known
    outcome = await encoders.finish(video, segments, plan)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from drapto.core.analysis import Scene
from drapto.core.entries import Discarded, SegmentDone
from drapto.core.errors import SegmentFailedError, one_error
from drapto.core.events import (
    SegmentFinished,
    SegmentProgress,
    SegmentRetried,
    StageFinished,
    StageStarted,
)
from drapto.core.film_memory import RememberedFilm
from drapto.core.job import JobState, Stage
from drapto.core.quality import FilmQuality
from drapto.core.resources import needed_disk_bytes
from drapto.core.segments import EncodedSegment, Segment
from drapto.core.source import SourceVideo
from drapto.core.tracks import MuxPlan
from drapto.core.words import count
from drapto.services.encoding.film_quality import judge
from drapto.services.encoding.longest_first import LongestFirst
from drapto.services.encoding.saving import require_saving
from drapto.services.encoding.steered_tasks import SteeredTasks
from drapto.services.encoding.target_quality import Controller
from drapto.services.encoding.tasks import make_tasks
from drapto.services.job.audio import AudioTracks
from drapto.services.job.context import JobContext
from drapto.services.planning import TrackDecisions, VideoPlan


@dataclass(frozen=True)
class EncodingOutcome:
    frames: int  # encoded by this run, and not given up
    wall_s: float  # of the stage, with what was given up
    quality: FilmQuality | None  # None: not measured
    film: RememberedFilm | None = None  # what later films can learn; None: nothing was steered


@asynccontextmanager
async def encoders_of(
    job: JobContext, video: SourceVideo, decisions: TrackDecisions
) -> AsyncIterator[Encoders]:
    """Audio begins at once. Whatever fails in here ends all of it, and leaves as one error.

    Errors: SegmentFailedError, ResourceError, MissingToolError; InputError for audio.
    """
    done_bytes = sum(done.size_bytes for done in job.state.checkpoint.segments.values())
    job.place.require_disk(needed_disk_bytes(job.media.size_bytes, done_bytes))
    with one_error():
        async with anyio.create_task_group() as watch:
            watch.start_soon(job.place.watch_disk)
            async with anyio.create_task_group() as group:
                audio = AudioTracks(job, video, decisions.mux)
                group.start_soon(audio.encode_all)
                yield Encoders(job, group, audio)
            watch.cancel_scope.cancel()


class Encoders:
    """Segment workers that can be given work before all of it is known."""

    def __init__(self, job: JobContext, group: TaskGroup, audio: AudioTracks) -> None:
        self._job = job
        self._group = group
        self._audio = audio
        self._queue: LongestFirst | SteeredTasks = LongestFirst()
        self._plan: VideoPlan | None = None
        self._workers = anyio.CancelScope()
        self._idle = anyio.Event()
        self._begun: dict[int, Segment] = {}  # every segment that was submitted unfinished
        self._known: dict[int, Segment] = {}  # and the finished ones, which may be bettered
        self._failure: SegmentFailedError | None = None  # of a plan that may yet be withdrawn
        self._frames_done = 0
        self._started_s: float | None = None  # of the stage, however often it begins anew

    @property
    def started(self) -> bool:
        return self._plan is not None

    @property
    def mux(self) -> MuxPlan:
        """The plan as it can be carried out; final when `encoders_of` has been left."""
        return self._audio.mux

    @property
    def begun(self) -> frozenset[int]:
        """Segments that this run has been given to encode."""
        return frozenset(self._begun)

    def start(self, plan: VideoPlan) -> None:
        """Let the workers begin; they wait for what `submit` brings."""
        self._plan = plan
        self._queue = self._queue_for(plan)
        self._workers, self._idle = anyio.CancelScope(), anyio.Event()
        if self._started_s is None:
            self._started_s = time.monotonic()
            self._job.reporter.emit(StageStarted(job=self._job.reporter.job, stage=Stage.ENCODING))
        self._group.start_soon(self._run, plan)

    def _queue_for(self, plan: VideoPlan) -> LongestFirst | SteeredTasks:
        if plan.goal is None:
            return LongestFirst()
        pixels = plan.settings.width * plan.settings.height
        control = Controller(plan.goal, plan.prior, pixels, plan.frames)
        earlier = self._job.state.checkpoint.attempts
        return SteeredTasks(control, plan.workers.workers, earlier)

    def submit(
        self, video: SourceVideo, segments: Sequence[Segment], scenes: Sequence[Scene]
    ) -> None:
        """Encode these, but for those that are finished or were submitted before.

        Where a quality is aimed at, a finished one may be encoded again: see SteeredTasks.
        """
        assert self._plan is not None
        done = self._job.state.checkpoint.segments
        new = [segment for segment in segments if segment.index not in self._known]
        self._known |= {segment.index: segment for segment in new}
        unfinished = [segment for segment in new if segment.index not in done]
        self._begun |= {segment.index: segment for segment in unfinished}
        tasks = make_tasks(
            video,
            unfinished if self._plan.goal is None else new,
            self._plan.settings,
            self._job.place.segments,
            scenes=scenes,
            measuring=self._plan.measuring,
        )
        self._queue.put(*tasks)

    async def agree_on(self, segments: Sequence[Segment]) -> None:
        """Give up what was begun on other segments than these, before these are the plan.

        An encoder that is still at work would finish a segment that the plan does not hold.
        """
        planned = {segment.index: segment for segment in segments}
        if not self._begun.items() <= planned.items():
            await self.withdraw("the film was split in another way in the end")

    async def settle(self, plan: VideoPlan, segments: Sequence[Segment]) -> VideoPlan:
        """The plan that holds: the one that encoding began with, if it was the right one."""
        if self._plan is None:
            return plan
        lp = self._plan.settings.lp
        as_begun = plan.settings.model_copy(update={"lp": lp}) == self._plan.settings
        planned = {segment.index: segment for segment in segments}
        if as_begun and self._begun.items() <= planned.items():
            return self._plan
        await self.withdraw("the end of the analysis led to another plan")
        return plan

    async def withdraw(self, reason: str) -> None:
        """Stop, and give up every segment that this run has begun."""
        if self._plan is None:
            return
        self._workers.cancel()
        await self._idle.wait()
        for index in sorted(self._begun.keys() & self._job.state.checkpoint.segments.keys()):
            await self._job.state.record(Discarded(what="segment", key=index, reason=reason))
        self._plan, self._begun, self._known, self._frames_done = None, {}, {}, 0
        self._failure = None

    async def give_up(self, reason: str) -> None:
        """Stop, and drop every segment, also those of earlier runs: none of them can be used."""
        await self.withdraw(reason)
        checkpoint = self._job.state.checkpoint
        paths = {done.path for done in (*checkpoint.attempts, *checkpoint.segments.values())}
        for index in sorted(checkpoint.segments):
            await self._job.state.record(Discarded(what="segment", key=index, reason=reason))
        for path in paths:
            path.unlink(missing_ok=True)

    async def finish(
        self,
        video: SourceVideo,
        segments: Sequence[Segment],
        scenes: Sequence[Scene],
        plan: VideoPlan,
    ) -> EncodingOutcome:
        """Encode what is left, and wait for it. Can be called again after `give_up`.

        Errors: SegmentFailedError, NoSavingError, QualityMissedError.
        """
        if self._job.state.state is not JobState.ENCODING:
            await self._job.state.enter(JobState.ENCODING)
        if self._failure is None:
            if self._plan is None:
                self.start(plan)
            self.submit(video, segments, scenes)
            self._queue.close()
        await self._idle.wait()
        if self._failure is not None:
            raise self._failure
        assert self._started_s is not None
        wall_s = time.monotonic() - self._started_s
        segments_done = list(self._job.state.checkpoint.segments.values())
        judged = judge(self._queue, segments_done, plan.settings, plan.measuring)
        for note in judged.notes:
            self._job.reporter.warn(note)
        self._job.reporter.emit(
            StageFinished(
                job=self._job.reporter.job,
                stage=Stage.ENCODING,
                wall_s=wall_s,
                detail=count(len(segments), "segment"),
            )
        )
        return EncodingOutcome(self._frames_done, wall_s, judged.quality, judged.remembered)

    async def _run(self, plan: VideoPlan) -> None:
        try:
            with self._workers:
                await self._job.stages.encoding.encode(
                    self._queue,
                    workers=plan.workers.workers,
                    on_progress=self._on_progress,
                    on_retry=self._on_retry,
                    on_done=self._on_done,
                )
        except SegmentFailedError as failure:
            # A segment cannot come out right while the index is wrong; detection tells at its end.
            self._failure = failure
        finally:
            self._idle.set()

    def _on_progress(self, segment: int, done: int) -> None:
        reporter = self._job.reporter
        reporter.emit(
            SegmentProgress(
                job=reporter.job,
                segment=segment,
                frames_done=done,
                frames=self._known[segment].frames,
            )
        )

    def _on_retry(self, segment: int, attempt: int, reason: str) -> None:
        reporter = self._job.reporter
        reporter.emit(
            SegmentRetried(job=reporter.job, segment=segment, attempt=attempt, reason=reason)
        )

    async def _on_done(self, done: EncodedSegment) -> None:
        reporter = self._job.reporter
        before = self._job.state.checkpoint.segments.get(done.segment.index)
        best = self._queue.finished(done)
        await self._job.state.record(SegmentDone(encoded=done, kept=best is done))
        if before is not None and before.path != done.path:
            (before if best is done else done).path.unlink(missing_ok=True)
        self._frames_done += done.frames
        reporter.resumable = True
        checkpoint = self._job.state.checkpoint
        so_far = sum(one.size_bytes for one in checkpoint.segments.values())
        require_saving(self._job.request.options, self._job.media.size_bytes, so_far)
        reporter.emit(
            SegmentFinished(
                job=reporter.job,
                segment=done.segment.index,
                frames=done.frames,
                size_bytes=done.size_bytes,
                wall_s=done.wall_s,
                cpu_s=done.cpu_s,
                peak_rss_bytes=done.peak_rss_bytes,
                attempt=done.attempt,
                crf=done.crf,
                quality=None if done.quality is None else round(done.quality.mean, 3),
                encodes=sum(
                    other.segment.index == done.segment.index for other in checkpoint.attempts
                ),
            )
        )
