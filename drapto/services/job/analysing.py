"""The steps before encoding is in full swing: frame index, detection, segmentation, plan."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import anyio

from drapto.core.analysis import Finding, VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing
from drapto.core.entries import AnalysisDone, DeinterlacingSettled, Probed, SegmentsPlanned
from drapto.core.errors import one_error
from drapto.core.job import JobState, Stage
from drapto.core.media import Track
from drapto.core.segments import Segment
from drapto.core.source import SourceVideo
from drapto.core.words import count
from drapto.services.detection.deinterlacing import decide_deinterlacing, shown
from drapto.services.detection.truth import settle_on_decoded
from drapto.services.encoding.steering import settle_aim
from drapto.services.job.context import JobContext
from drapto.services.job.early_start import EarlyStart
from drapto.services.job.encoder_choice import settle_encoder
from drapto.services.job.encoders import Encoders
from drapto.services.planning import (
    TrackDecisions,
    VideoPlan,
    decide_tracks,
    plan_ready,
    plan_video,
    warnings_of,
)


@dataclass(frozen=True)
class Analysed:
    """What the following steps work from."""

    video: SourceVideo
    analysis: VideoAnalysis
    segments: tuple[Segment, ...]
    plan: VideoPlan


async def probe(job: JobContext) -> tuple[SourceVideo, TrackDecisions]:
    """Errors: InputError, UsageError, ResourceError, MissingToolError."""
    await job.state.enter(JobState.PROBING)
    async with job.reporter.stage(Stage.PROBE) as report:
        reader = job.workshop.reader
        track = reader.main_video(job.media, job.request.options.video_stream)
        decisions = await _decide(job, track)
        video = await reader.open_video(job.media, track, job.place.source)
        await job.state.record(Probed(index_digest=video.index.digest(), frames=len(video.index)))
        frames = count(len(video.index), "frame")
        report.detail = f"{frames}, {count(len(job.media.tracks), 'track')}"
    return video, decisions


async def _decide(job: JobContext, track: Track) -> TrackDecisions:
    encoder = (await settle_encoder(job, track)).encoder
    decisions = decide_tracks(job.request, job.media, track, encoder)
    options, encoding = job.request.options, job.stages.encoding
    aim, notes = await settle_aim(options, job.media, track, encoder, encoding, job.workshop)
    for note in notes:
        job.reporter.warn(note)
    return replace(decisions, aim=aim)


async def analyse(
    job: JobContext, video: SourceVideo, decisions: TrackDecisions, encoders: Encoders
) -> Analysed:
    """Go through the stages up to the plan; what an earlier run found out is not done again.

    Encoding may have begun when this returns. What was encoded on a belief that turned out
    wrong, because the source is damaged, is given up. Errors: InputError, UsageError.
    """
    await job.state.enter(JobState.DETECTING)
    video, analysis = await _detect(job, video, decisions, encoders)
    await job.state.enter(JobState.SEGMENTING)
    segments = await _segment(job, video, analysis, encoders)
    done = job.state.checkpoint.segments
    plan = plan_video(
        job.request,
        decisions.encoder,
        video,
        analysis.crop.rect,
        analysis.color,
        job.workshop.machine,
        len(segments) - len(done),
        job.stages.encoding,
        decisions.aim,
        analysis.grain,
    )
    plan = await encoders.settle(plan, segments)
    for message in warnings_of(video, analysis, decisions.mux, job.request.options):
        job.reporter.warn(message)
    resumed = {index: done[index] for index in done if index not in encoders.begun}
    routes = job.state.checkpoint.routes or ()
    ready = plan_ready(job.reporter.job, decisions, plan, video, segments, resumed, routes)
    job.reporter.emit(ready)
    return Analysed(video, analysis, segments, plan)


async def _detect(
    job: JobContext, video: SourceVideo, decisions: TrackDecisions, encoders: Encoders
) -> tuple[SourceVideo, VideoAnalysis]:
    """Also the second decoding that a damaged source or telecined film needs. Both in shown
    frames."""
    async with job.reporter.stage(Stage.DETECTION) as report:
        analysis = job.state.checkpoint.analysis
        if analysis is None:
            early = EarlyStart.if_worth_it(job, video, decisions, encoders)
            analysis = await _analyze(job, video, early)
            await job.state.record(AnalysisDone(analysis=analysis))
        demuxed = video
        video, analysis = await settle_on_decoded(job.workshop.reader, video, analysis)
        if video is not demuxed:
            await encoders.withdraw("the source holds other frames than its index says")
        work = await _deinterlacing(job, video, analysis, encoders)
        video, analysis = shown(video, analysis, work)
        scenes = count(len(analysis.scenes), "scene")
        report.detail = f"{scenes}; {analysis.crop.reason}".strip("; ")
    return video, analysis


async def _deinterlacing(
    job: JobContext, video: SourceVideo, analysis: VideoAnalysis, encoders: Encoders
) -> Deinterlacing:
    """What an earlier run decided holds again. Most films need nothing, and nothing is recorded."""
    known = job.state.checkpoint.deinterlacing
    if known is not None:
        return known
    asked = job.request.options.deinterlace
    on_progress = job.reporter.progress(Stage.DETECTION, len(video.index))
    reader = job.workshop.reader
    work = await decide_deinterlacing(reader, video, analysis, asked, on_progress)
    if not work.is_off:
        await encoders.withdraw("the frames of this film are not encoded as they are decoded")
        await job.state.record(DeinterlacingSettled(deinterlacing=work))
    return work


async def _analyze(job: JobContext, video: SourceVideo, early: EarlyStart | None) -> VideoAnalysis:
    """Run the detection stage, with somebody who listens to its findings or without."""
    detection, options = job.stages.detection, job.request.options
    on_progress = job.reporter.progress(Stage.DETECTION, len(video.index))
    if early is None:
        return await detection.analyze(video, options, on_progress)
    send, receive = anyio.create_memory_object_stream[Finding](math.inf)
    loop = asyncio.get_running_loop()
    with one_error():
        async with anyio.create_task_group() as group:
            group.start_soon(early.follow, receive)
            with send:
                analysis = await detection.analyze(
                    video,
                    options,
                    on_progress,
                    lambda finding: _hand_over(loop, send.send_nowait, finding),
                )
    return analysis


def _hand_over(
    loop: asyncio.AbstractEventLoop, take: Callable[[Finding], None], finding: Finding
) -> None:
    """From the detecting thread to the event loop; callbacks run in the order they came."""
    loop.call_soon_threadsafe(take, finding)


async def _segment(
    job: JobContext, video: SourceVideo, analysis: VideoAnalysis, encoders: Encoders
) -> tuple[Segment, ...]:
    async with job.reporter.stage(Stage.SEGMENTATION) as report:
        checkpoint = job.state.checkpoint
        segments = checkpoint.plan if checkpoint.plan_is_whole else None
        if segments is None:
            options = job.request.options
            segments = await job.stages.segmentation.plan(video, analysis, options)
            await encoders.agree_on(segments)
            await job.state.record(SegmentsPlanned(segments=segments))
        report.detail = count(len(segments), "segment")
    return segments
