"""The whole way of a job, from a request to a published file.

Promised: the source is only read; the output appears whole or not at all; every error leaves as
one DraptoError and one `job_failed` event; a failed or interrupted job keeps what it has
finished where that is worth something, and nothing otherwise.

    orchestrator = VideoOrchestrator(workshop, stages)
    result = await orchestrator.encode(request, sink)
"""

from __future__ import annotations

import time
from pathlib import Path

import anyio

from drapto.core.analysis import VideoAnalysis
from drapto.core.errors import DraptoError, PublishError, UsageError
from drapto.core.events import JobFailed, JobFinished, JobStarted, PlanReady
from drapto.core.interfaces import EventSink
from drapto.core.job import EncodeOptions, EncodeResult, JobRequest
from drapto.core.media import FrameIndex, MediaInfo, TrackKind
from drapto.core.segments import Segment
from drapto.core.source import SourceVideo
from drapto.core.state import StateManager
from drapto.core.workshop import Workshop
from drapto.services.detection.deinterlacing import settle_on_shown
from drapto.services.detection.truth import settle_on_decoded
from drapto.services.dry_run import dry_run
from drapto.services.encoding.dynamic_metadata import decide_metadata
from drapto.services.encoding.registry import codec_of
from drapto.services.job.context import JobContext
from drapto.services.job.run import run_job
from drapto.services.reporting import Reporter
from drapto.services.stages import JobToServe, StageSource


class VideoOrchestrator:
    """Composes the stages. One instance serves any number of jobs, one after another or at once."""

    def __init__(self, workshop: Workshop, stages: StageSource) -> None:
        self._workshop = workshop
        self._stages = stages

    async def encode(self, request: JobRequest, sink: EventSink) -> EncodeResult:
        """Run one job to its end. Errors: the DraptoError tree."""
        request = _absolute(request)
        reporter = Reporter(request.job_id, sink)
        try:
            return await self._encode(request, reporter)
        except BaseException as error:
            reporter.emit(_failure(request, reporter, error))
            raise

    async def plan(self, request: JobRequest, sink: EventSink) -> PlanReady:
        """What `encode` would do, command by command; only a scratch directory is written."""
        request = _absolute(request)
        reporter = Reporter(request.job_id, sink)
        try:
            if (refusal := self._refusal(request)) is not None:
                raise refusal
            return await dry_run(request, self._workshop, self._stages, reporter)
        except BaseException as error:
            reporter.emit(_failure(request, reporter, error))
            raise

    async def analyze(
        self, source: Path, options: EncodeOptions
    ) -> tuple[VideoAnalysis, SourceVideo, tuple[Segment, ...]]:
        """Probe, detect, plan. `source` is absolute. Errors: InputError.

        What a job would warn of, such as that legacy had to serve, or metadata of frames that it
        cannot carry over, is among the notes.
        """
        reader = self._workshop.reader
        media = await reader.probe(source)
        track = reader.main_video(media, options.video_stream)
        async with self._workshop.store.scratch() as scratch:
            video = await reader.open_video(media, track, scratch)
            request = JobRequest(source=source, output=scratch / "none.mkv", options=options)
            reporter = Reporter(request.job_id)
            served = self._stages.for_job(
                JobToServe(reporter, request, media, track, scratch, is_rehearsal=True)
            )
            await served.settle(None)
            stages = served.stages
            analysis = await stages.detection.analyze(video, options, lambda _frames: None)
            video, analysis = await settle_on_decoded(reader, video, analysis)
            asked = options.deinterlace
            video, analysis = await settle_on_shown(reader, video, analysis, asked)
            segments = await stages.segmentation.plan(video, analysis, options)
            codec = codec_of(options.encoder)
            metadata = decide_metadata(video, analysis.crop.rect, codec)
            notes = (*analysis.notes, *metadata.notes, *reporter.warnings)
            return analysis.model_copy(update={"notes": notes}), video, segments

    async def probe(self, source: Path) -> tuple[MediaInfo, FrameIndex | None]:
        """Streams and the main video's frame index. `source` is absolute. Errors: InputError."""
        reader = self._workshop.reader
        media = await reader.probe(source)
        if not media.of_kind(TrackKind.VIDEO):
            return media, None
        async with self._workshop.store.scratch() as scratch:
            video = await reader.open_video(media, reader.main_video(media), scratch)
        return media, video.index

    async def _encode(self, request: JobRequest, reporter: Reporter) -> EncodeResult:
        started_s = time.monotonic()
        store = self._workshop.store
        refusal = self._refusal(request)
        if refusal is not None and not store.has_left(request):
            raise refusal
        media = await self._workshop.reader.probe(request.source)
        track = self._workshop.reader.main_video(media, request.options.video_stream)
        async with store.open(request, reporter.job) as place:
            reporter.add(place.log)
            # With the lock held nobody else changes the answers: another run may have published
            # the output, and removed its work directory, since the first look.
            has_left, refusal = store.has_left(request), self._refusal(request)
            reporter.resumable = has_left  # until the job has looked at it
            reporter.emit(
                JobStarted(
                    job=reporter.job,
                    source=request.source,
                    output=request.output,
                    work_dir=place.path,
                    resumed=has_left,
                )
            )
            job = JobContext(
                request=request,
                media=media,
                place=place,
                workshop=self._workshop,
                served=self._stages.for_job(
                    JobToServe(reporter, request, media, track, place.source)
                ),
                reporter=reporter,
                state=StateManager(place.journal),
            )
            result = await run_job(job, started_s, refusal)
            reporter.emit(JobFinished(job=reporter.job, result=result))
        return result

    def _refusal(self, request: JobRequest) -> DraptoError | None:
        """Why this output must not be written. Final, unless an earlier run already wrote it."""
        try:
            self._workshop.store.check_output(
                request.source, request.output, overwrite=request.run.overwrite
            )
        except (UsageError, PublishError) as error:
            return error
        return None


def _absolute(request: JobRequest) -> JobRequest:
    return request.model_copy(
        update={"source": request.source.absolute(), "output": request.output.absolute()}
    )


def _failure(request: JobRequest, reporter: Reporter, error: BaseException) -> JobFailed:
    name, message, hint, exit_code = type(error).__name__, str(error), "", 1
    if isinstance(error, DraptoError):
        message, hint, exit_code = error.message, error.hint, error.exit_code
    elif isinstance(error, OSError):
        message = f"{error.filename or request.output}: {error.strerror or error}."
    elif isinstance(error, anyio.get_cancelled_exc_class() | KeyboardInterrupt):
        name, message, exit_code = "Interrupted", "The job was interrupted.", 130
    return JobFailed(
        job=reporter.job,
        source=request.source,
        output=request.output,
        error=name,
        message=message,
        hint=hint,
        exit_code=exit_code,
        resumable=reporter.resumable,
    )
