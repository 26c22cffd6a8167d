"""Everything that is decided before the first segment is encoded. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from drapto.core.analysis import VideoAnalysis
from drapto.core.events import PlanReady
from drapto.core.interfaces import Encoder, EncodingService
from drapto.core.job import EncodeOptions, JobRequest
from drapto.core.media import ColorInfo, CropRect, MediaInfo, Track
from drapto.core.quality import Measuring, Reference, can_compare
from drapto.core.resources import WorkerPlan, plan_workers
from drapto.core.routing import Route
from drapto.core.segments import EncodedSegment, Segment, VideoSettings
from drapto.core.source import SourceVideo
from drapto.core.tracks import MuxPlan
from drapto.core.words import count, sentence
from drapto.core.workshop import Machine
from drapto.services.assembly.service import container_for, plan_mux
from drapto.services.detection.deinterlacing import deinterlacing_notes
from drapto.services.detection.shape import shape_notes
from drapto.services.encoding.dynamic_metadata import decide_metadata
from drapto.services.encoding.hardware import CARD_SESSIONS
from drapto.services.encoding.settings import (
    check_crf,
    check_film_grain,
    picture_size,
    video_settings,
)
from drapto.services.encoding.steering import Aim
from drapto.services.encoding.target_quality import ORDINARY, Goal, Prior


@dataclass(frozen=True)
class TrackDecisions:
    """What can be decided from the streams alone, before anything is decoded."""

    encoder: Encoder
    mux: MuxPlan
    aim: Aim | None = None  # None: every segment is encoded at one CRF, and nothing is measured


@dataclass(frozen=True)
class VideoPlan:
    """How the video will be encoded."""

    settings: VideoSettings
    workers: WorkerPlan
    frames: int
    aim: Aim | None = None

    @property
    def goal(self) -> Goal | None:
        """None: every segment gets the CRF of `settings`."""
        return self.aim.goal if self.aim and self.measuring else None

    @property
    def prior(self) -> Prior:
        """What is expected of the film; it matters only with a goal."""
        return self.aim.prior if self.aim else ORDINARY

    @property
    def measuring(self) -> Measuring | None:
        if self.aim is None:
            return None
        width, height = self.settings.width, self.settings.height
        measuring = self.aim.measuring(width, height)
        if not can_compare(measuring.metric, width, height):
            return None  # of a larger picture, a crop left too little
        if not self.settings.film_grain:
            return measuring
        return measuring.model_copy(update={"reference": Reference.DENOISED})


def decide_tracks(
    request: JobRequest, media: MediaInfo, track: Track, encoder: Encoder
) -> TrackDecisions:
    """Errors: UsageError (quality or container), InputError (--strict-tracks)."""
    check_crf(encoder, request.options.crf)
    check_film_grain(encoder, request.options)
    mux = plan_mux(
        media,
        track,
        video_codec=encoder.codec,
        container=container_for(request.output),
        options=request.options,
    )
    return TrackDecisions(encoder, mux)


def plan_video(
    request: JobRequest,
    encoder: Encoder,
    video: SourceVideo,
    crop: CropRect | None,
    color: ColorInfo,
    machine: Machine,
    segments: int | None,
    encoding: EncodingService,
    aim: Aim | None = None,
    grain: float = 0.0,
) -> VideoPlan:
    """`segments` that are still to be encoded, None if that is not known yet; `encoding` is who
    will encode them. Where a quality is the `aim`, the CRF of the settings is what the film would
    get without. `grain` is what detection measured. Errors: UsageError if the encoder cannot make
    such a picture."""
    width, height = picture_size(video, crop)
    workers = plan_workers(
        cores=machine.cores,
        width=width,
        height=height,
        memory_bytes=request.run.memory_bytes or machine.memory_bytes,
        segments=segments,
        workers=request.run.workers,
    )
    if encoder.needs_device and request.run.workers is None:
        workers = replace(workers, workers=min(workers.workers, CARD_SESSIONS))
    settings = video_settings(
        video, crop, color, request.options,
        encoder=encoder, encoding=encoding, lp=workers.lp, grain=grain,
    )  # fmt: skip
    return VideoPlan(settings, workers, len(video.index), aim)


def plan_ready(
    job: str,
    decisions: TrackDecisions,
    plan: VideoPlan,
    video: SourceVideo,
    segments: Sequence[Segment],
    done: Mapping[int, EncodedSegment],
    routes: tuple[Route, ...],
) -> PlanReady:
    settings = plan.settings
    return PlanReady(
        job=job,
        frames=len(video.index),
        segments=len(segments),
        resumed_segments=len(done),
        resumed_frames=sum(segment.frames for segment in done.values()),
        workers=plan.workers.workers,
        lp=plan.workers.lp,
        encoder=settings.encoder,
        crf=settings.crf,
        target_vmaf=None if plan.goal is None else plan.goal.target,
        preset=settings.preset,
        film_grain=settings.film_grain,
        crop=None if settings.crop is None else str(settings.crop),
        dynamic_range=settings.color.dynamic_range.value,
        tracks=decisions.mux.outcomes,
        routes=routes,
    )


def warnings_of(
    video: SourceVideo, analysis: VideoAnalysis, mux: MuxPlan, options: EncodeOptions
) -> tuple[str, ...]:
    """What a person has to know before the encode starts, in plain sentences."""
    notes = (*video.index.notes, *analysis.notes, *mux.notes)
    metadata = decide_metadata(video, analysis.crop.rect, mux.video.codec)
    said = [*map(sentence, notes), *metadata.notes]
    said += shape_notes(analysis.shape_changes, video.track)
    said += deinterlacing_notes(video, analysis)
    if options.film_grain == "auto" and "grain" in analysis.unreported:
        said.append(
            "No film grain is coded, because whoever analysed the film did not look for grain; "
            "--film-grain takes a level from 1 to 50, too."
        )
    if analysis.decode_errors:
        said.append(
            f"The source is damaged: {count(analysis.decode_errors, 'frame')} could not be decoded "
            "without errors."
        )
    return tuple(dict.fromkeys(said))
