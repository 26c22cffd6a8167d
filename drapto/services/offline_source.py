"""What both sides of an offline comparison are given: the file, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

from drapto.core.analysis import VideoAnalysis
from drapto.core.flags import Evaluation
from drapto.core.interfaces import EncodingService, MediaReader
from drapto.core.job import EncodeOptions, JobRequest
from drapto.core.media import MediaInfo, Track
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.core.segments import Segment, VideoSettings
from drapto.core.shadow_task import CandidateResult, ShadowTask
from drapto.core.source import SourceVideo
from drapto.core.workshop import Machine
from drapto.services.detection.deinterlacing import settle_on_shown
from drapto.services.detection.truth import settle_on_decoded
from drapto.services.encoding.registry import AUTO, IN_ORDER, encoder_named
from drapto.services.planning import decide_tracks, plan_video
from drapto.services.reporting import Reporter
from drapto.services.router import Flags, facts_of
from drapto.services.stages import JobToServe


@dataclass(frozen=True)
class KnownSource:
    """Grows from stage to stage: `analysis`, `segments` and `settings` are empty at first."""

    request: JobRequest
    media: MediaInfo
    track: Track
    video: SourceVideo
    evaluations: Mapping[RoutedStage, Evaluation]
    strata: tuple[str, ...]
    settings: VideoSettings
    analysis: VideoAnalysis
    segments: tuple[Segment, ...] = ()

    def serves(self, stage: RoutedStage) -> Side:
        """The side that the flags name for this source."""
        return self.evaluations[stage].route.primary

    async def after(self, result: CandidateResult, reader: MediaReader) -> KnownSource:
        """With what detection or segmentation found. Errors: InputError."""
        if result.segments is not None:
            return replace(self, segments=ranges(result.segments))
        assert result.analysis is not None
        video, analysis = await settle_on_decoded(reader, self.video, result.analysis)
        asked = self.request.options.deinterlace
        video, _ = await settle_on_shown(reader, video, analysis, asked)
        return replace(self, video=video, analysis=analysis)

    def planned(self, machine: Machine, encoding: EncodingService) -> KnownSource:
        """With what an encoder has to be told. Errors: UsageError if it does not fit."""
        plan = plan_video(
            self.request,
            encoder_named(self.request.options.encoder),
            self.video,
            self.analysis.crop.rect,
            self.analysis.color,
            machine,
            len(self.segments),
            encoding,
            grain=self.analysis.grain,
        )
        return replace(self, settings=plan.settings)


async def open_source(
    source: Path,
    options: EncodeOptions,
    scratch: Path,
    *,
    reader: MediaReader,
    flags: Flags,
) -> KnownSource:
    """Errors: InputError if it cannot be used; UsageError if options or flags do not fit."""
    media = await reader.probe(source)
    track = reader.main_video(media, options.video_stream)
    if options.encoder == AUTO:  # both sides have to encode with it, and scripts know no other
        options = options.model_copy(update={"encoder": IN_ORDER[-1].name})
    request = JobRequest(source=source, output=scratch / "compared.mkv", options=options)
    decide_tracks(request, media, track, encoder_named(options.encoder))
    facts = facts_of(JobToServe(Reporter("compare"), request, media, track, scratch))
    evaluations = {stage: await flags.evaluate(stage, str(source), facts) for stage in RoutedStage}
    width, height = track.width or 0, track.height or 0
    return KnownSource(
        request=request,
        media=media,
        track=track,
        video=await reader.open_video(media, track, scratch),
        evaluations=evaluations,
        strata=facts.strata,
        analysis=VideoAnalysis(scenes=()),
        settings=VideoSettings(
            width=width, height=height, source_width=width, source_height=height
        ),
    )


def task_for(stage: RoutedStage, known: KnownSource, side: Side) -> ShadowTask:
    found = known.request.source.stat()
    flag = known.evaluations[stage].flag
    return ShadowTask(
        id=token_hex(6),
        job="",
        stage=stage,
        primary=Side.LEGACY,
        candidate=side,
        mode=Mode.SHADOW,  # what it comes to: legacy's result, and new beside it
        revision=flag.candidate_revision,
        source=known.request.source,
        source_size_bytes=found.st_size,
        source_mtime_ns=found.st_mtime_ns,
        output=known.request.output,
        # There is no output yet to tell how much room one takes; AV1 is seldom bigger than this.
        output_size_bytes=found.st_size // 3,
        options=known.request.options,
        settings=known.settings,
        analysis=known.analysis,
        deinterlacing=known.video.deinterlacing,
        segments=known.segments,
        color=known.track.color,
        frames=len(known.video.index),
        primary_s=0.0,
        strata=known.strata,
        policy=flag.shadow,
        compare=flag.compare,
        ignore=flag.ignore,
        rollback=flag.rollback,
    )


def as_shadow_run(task: ShadowTask, found: CandidateResult | None, wall_s: float) -> ShadowTask:
    """New's task with legacy's result as the primary's."""
    changes: dict[str, object] = {"primary_s": wall_s}
    if found is not None and found.analysis is not None:
        changes["analysis"] = found.analysis
    if found is not None and found.segments is not None:
        changes["segments"] = ranges(found.segments)
    if found is not None and found.output is not None:
        changes["output"] = found.output
    return task.model_copy(update=changes)


def ranges(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The files of legacy segments are gone with its place; the ranges say the same."""
    return tuple(segment.model_copy(update={"path": None}) for segment in segments)
