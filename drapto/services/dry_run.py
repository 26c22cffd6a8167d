"""--dry-run: the same decisions as a real job, and the commands instead of their effect."""

from __future__ import annotations

from drapto.core.events import CommandPlanned, PlanReady
from drapto.core.job import JobRequest, Stage
from drapto.core.routing import Route, RoutedStage, Side
from drapto.core.workshop import Workshop
from drapto.services.detection.deinterlacing import settle_on_shown
from drapto.services.detection.truth import settle_on_decoded
from drapto.services.encoding.choosing import choose_encoder
from drapto.services.encoding.steering import settle_aim
from drapto.services.encoding.tasks import make_tasks
from drapto.services.planning import decide_tracks, plan_ready, plan_video, warnings_of
from drapto.services.reporting import Reporter
from drapto.services.stages import JobToServe, StageSource


async def dry_run(
    request: JobRequest, workshop: Workshop, source: StageSource, reporter: Reporter
) -> PlanReady:
    """Emit the plan and a command for every segment and audio track that Drapto itself encodes.

    Errors: as the job's.
    """
    reader, tracks = workshop.reader, workshop.tracks
    async with workshop.store.scratch() as scratch:
        async with reporter.stage(Stage.PROBE):
            media = await reader.probe(request.source)
            track = reader.main_video(media, request.options.video_stream)
            video = await reader.open_video(media, track, scratch)
            served = source.for_job(
                JobToServe(reporter, request, media, track, scratch, is_rehearsal=True)
            )
            routes = await served.settle(None)
            stages = served.stages
            options = request.options
            choice = await choose_encoder(options, track, stages.encoding, workshop.trials)
            if (event := choice.event(reporter.job)) is not None:
                reporter.emit(event)
            encoder = choice.encoder
            decisions = decide_tracks(request, media, track, encoder)
            aim, notes = await settle_aim(options, media, track, encoder, stages.encoding, workshop)
        async with reporter.stage(Stage.DETECTION):
            on_progress = reporter.progress(Stage.DETECTION, len(video.index))
            analysis = await stages.detection.analyze(video, request.options, on_progress)
            video, analysis = await settle_on_decoded(reader, video, analysis)
            asked = request.options.deinterlace
            video, analysis = await settle_on_shown(reader, video, analysis, asked)
        async with reporter.stage(Stage.SEGMENTATION):
            segments = await stages.segmentation.plan(video, analysis, request.options)
        crop = analysis.crop.rect
        plan = plan_video(
            request,
            decisions.encoder,
            video,
            crop,
            analysis.color,
            workshop.machine,
            len(segments),
            stages.encoding,
            aim,
            analysis.grain,
        )
        tasks = make_tasks(video, segments, plan.settings, scratch)
        for message in (*notes, *warnings_of(video, analysis, decisions.mux, request.options)):
            reporter.warn(message)
        ready = plan_ready(reporter.job, decisions, plan, video, segments, {}, routes)
        reporter.emit(ready)
        # Legacy scripts decide themselves what they run.
        segments_of_ours = () if _legacy_encodes(routes) else tasks
        sound = [
            tracks.audio_command(video.media, audio, scratch / f"{audio.source.index}.opus")
            for audio in decisions.mux.audio_encodings
        ]
        for command in [*map(tracks.segment_command, segments_of_ours), *sound]:
            reporter.emit(
                CommandPlanned(job=reporter.job, stage=Stage.ENCODING, command=tuple(command))
            )
    return ready


def _legacy_encodes(routes: tuple[Route, ...]) -> bool:
    return any(r.stage is RoutedStage.ENCODING and r.primary is Side.LEGACY for r in routes)
