"""The encoding step: all segments and, beside them, all audio tracks; the disk is watched."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from drapto.core.entries import AudioDone, SegmentDone
from drapto.core.errors import InputError, ProcessFailedError, one_error
from drapto.core.events import SegmentFinished, SegmentProgress, SegmentRetried
from drapto.core.job import JobState, Stage
from drapto.core.resources import needed_disk_bytes
from drapto.core.segments import EncodedSegment
from drapto.core.tracks import MuxPlan, TrackPlan
from drapto.services.assembly.service import copy_instead
from drapto.services.job.analysing import Analysed
from drapto.services.job.context import JobContext


@dataclass(frozen=True)
class EncodingOutcome:
    """`mux` is the plan as it can be carried out: a track that cannot be encoded is copied."""

    mux: MuxPlan
    frames: int  # encoded by this run
    wall_s: float


async def encode(job: JobContext, analysed: Analysed) -> EncodingOutcome:
    """Errors: SegmentFailedError, ResourceError, MissingToolError; InputError for audio."""
    await job.state.enter(JobState.ENCODING)
    job.place.require_disk(needed_disk_bytes(job.media.size_bytes, _done_bytes(job)))
    async with job.reporter.stage(Stage.ENCODING) as report:
        audio = _AudioTracks(job, analysed.decisions.mux)
        with one_error():
            async with anyio.create_task_group() as watch:
                watch.start_soon(job.place.watch_disk)
                async with anyio.create_task_group() as group:
                    group.start_soon(audio.encode_all)
                    await _encode_video(job, analysed)
                watch.cancel_scope.cancel()
        report.detail = f"{len(analysed.segments)} segments"
    return EncodingOutcome(
        mux=audio.mux,
        frames=sum(task.segment.frames for task in analysed.plan.tasks),
        wall_s=report.wall_s,
    )


def _done_bytes(job: JobContext) -> int:
    return sum(segment.size_bytes for segment in job.state.checkpoint.segments.values())


async def _encode_video(job: JobContext, analysed: Analysed) -> None:
    reporter, name = job.reporter, job.reporter.job
    frames = {task.segment.index: task.segment.frames for task in analysed.plan.tasks}

    def on_progress(segment: int, done: int) -> None:
        reporter.emit(
            SegmentProgress(job=name, segment=segment, frames_done=done, frames=frames[segment])
        )

    def on_retry(segment: int, attempt: int, reason: str) -> None:
        reporter.emit(SegmentRetried(job=name, segment=segment, attempt=attempt, reason=reason))

    async def on_done(done: EncodedSegment) -> None:
        await job.state.record(SegmentDone(encoded=done))
        reporter.resumable = True
        reporter.emit(
            SegmentFinished(
                job=name,
                segment=done.segment.index,
                frames=done.frames,
                size_bytes=done.size_bytes,
                wall_s=done.wall_s,
                cpu_s=done.cpu_s,
                peak_rss_bytes=done.peak_rss_bytes,
                attempt=done.attempt,
            )
        )

    await job.stages.encoding.encode(
        analysed.plan.tasks,
        workers=analysed.plan.workers.workers,
        on_progress=on_progress,
        on_retry=on_retry,
        on_done=on_done,
    )


class _AudioTracks:
    """Encodes the audio tracks one after the other: each is a small part of one core."""

    def __init__(self, job: JobContext, mux: MuxPlan) -> None:
        self._job = job
        self.mux = mux

    async def encode_all(self) -> None:
        for plan in self.mux.audio_encodings:
            if plan.source.index in self._job.state.checkpoint.audio:
                continue
            try:
                await self._encode(plan)
            except (InputError, ProcessFailedError) as error:
                reason = str(error).splitlines()[0]
                self.mux = copy_instead(self.mux, plan.source.index, reason)
                self._job.reporter.warn(
                    f"Audio track {plan.source.index} is copied as it is, because encoding it "
                    f"failed: {reason}"
                )

    async def _encode(self, plan: TrackPlan) -> None:
        job, index = self._job, plan.source.index
        out = job.place.audio / f"{index}.opus"
        made = await job.workshop.tracks.encode_audio(job.media, plan, out, lambda _seconds: None)
        digest = await job.workshop.store.digest(out)
        await job.state.record(AudioDone(audio=made, size_bytes=out.stat().st_size, digest=digest))
