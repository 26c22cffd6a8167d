"""The steps before encoding: frame index, detection, segmentation, plan."""

from __future__ import annotations

from dataclasses import dataclass

from drapto.core.analysis import VideoAnalysis
from drapto.core.entries import AnalysisDone, Probed, SegmentsPlanned
from drapto.core.interfaces import SourceVideo
from drapto.core.job import JobState, Stage
from drapto.core.segments import Segment
from drapto.services.job.context import JobContext
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
    decisions: TrackDecisions
    segments: tuple[Segment, ...]
    plan: VideoPlan


async def analyse(job: JobContext) -> Analysed:
    """Go through the stages up to the plan; what an earlier run found out is not done again."""
    video, decisions = await _probe(job)
    analysis = await _detect(job, video)
    if analysis.decoded_pts is not None:
        video = job.workshop.reader.corrected(video, analysis.decoded_pts)
    segments = await _segment(job, video, analysis)
    done = job.state.checkpoint.segments
    plan = plan_video(
        job.request,
        decisions.encoder,
        video,
        analysis,
        segments,
        done,
        job.workshop.machine,
        job.place.segments,
    )
    for message in warnings_of(video, analysis, decisions.mux):
        job.reporter.warn(message)
    job.reporter.emit(plan_ready(job.reporter.job, decisions, plan, video, segments, done))
    return Analysed(video, decisions, segments, plan)


async def _probe(job: JobContext) -> tuple[SourceVideo, TrackDecisions]:
    await job.state.enter(JobState.PROBING)
    async with job.reporter.stage(Stage.PROBE) as report:
        reader = job.workshop.reader
        track = reader.main_video(job.media, job.request.options.video_stream)
        decisions = decide_tracks(job.request, job.media, track)
        video = await reader.open_video(job.media, track, job.place.source)
        await job.state.record(Probed(index_digest=video.index.digest(), frames=len(video.index)))
        report.detail = f"{len(video.index)} frames, {len(job.media.tracks)} tracks"
    return video, decisions


async def _detect(job: JobContext, video: SourceVideo) -> VideoAnalysis:
    await job.state.enter(JobState.DETECTING)
    async with job.reporter.stage(Stage.DETECTION) as report:
        analysis = job.state.checkpoint.analysis
        if analysis is None:
            on_progress = job.reporter.progress(Stage.DETECTION, len(video.index))
            options = job.request.options
            analysis = await job.stages.detection.analyze(video, options, on_progress)
            await job.state.record(AnalysisDone(analysis=analysis))
        report.detail = f"{len(analysis.scenes)} scenes; {analysis.crop.reason}".strip("; ")
    return analysis


async def _segment(
    job: JobContext, video: SourceVideo, analysis: VideoAnalysis
) -> tuple[Segment, ...]:
    await job.state.enter(JobState.SEGMENTING)
    async with job.reporter.stage(Stage.SEGMENTATION) as report:
        segments = job.state.checkpoint.plan
        if segments is None:
            options = job.request.options
            segments = await job.stages.segmentation.plan(video, analysis, options)
            await job.state.record(SegmentsPlanned(segments=segments))
        report.detail = f"{len(segments)} segments"
    return segments
