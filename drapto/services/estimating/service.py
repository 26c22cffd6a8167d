"""Says what an encode would come to, from a few windows of the film: `drapto estimate`.

    estimator = FilmEstimator(workshop, encoding, tools, stages)
    estimate = await estimator.estimate(request, windows=None, sheet=None)

Promised: nothing but the contact sheet is written anywhere that stays; windows are looked at by
detection's own detectors, and encoded and measured by the encoding stage's own encoders, with the
settings that a job would give them. Not promised: what only shows outside of the windows.

Test: tests/end_to_end/test_estimate.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread

from drapto.core.estimate import (
    AudioTrial,
    Estimate,
    PacketSizer,
    PacketSizes,
    SheetMaker,
    WindowReader,
)
from drapto.core.features import FeatureBackend
from drapto.core.interfaces import EncodingService
from drapto.core.job import EncodeOptions, JobRequest
from drapto.core.source import SourceVideo
from drapto.core.workshop import Workshop
from drapto.services.encoding.choosing import choose_encoder
from drapto.services.encoding.settings import picture_size
from drapto.services.encoding.steering import settle_aim
from drapto.services.encoding.tasks import make_tasks
from drapto.services.estimating.calibration import ordinary_rate
from drapto.services.estimating.doubts import doubts_about_routes, doubts_about_saving
from drapto.services.estimating.film import Film
from drapto.services.estimating.looking import look
from drapto.services.estimating.prediction import Trial, predict
from drapto.services.estimating.sample import Sample, make_sample
from drapto.services.estimating.summing_up import Costs, summed_up
from drapto.services.estimating.tracks import other_bytes
from drapto.services.estimating.trying import Trying, with_features
from drapto.services.estimating.windows import choose_windows
from drapto.services.planning import VideoPlan, decide_tracks, plan_video, warnings_of
from drapto.services.reporting import Reporter
from drapto.services.segmentation.service import frames_in
from drapto.services.stages import JobToServe, StageSource


@dataclass(frozen=True)
class Tools:
    """What an estimate needs beside what a job needs. `cpu_s`: what this process and the children
    that have ended used so far."""

    windows: WindowReader
    backend: FeatureBackend
    sizer: PacketSizer
    audio: AudioTrial
    sheets: SheetMaker
    cpu_s: Callable[[], float]


class FilmEstimator:
    """One instance serves any number of films, one after the other."""

    def __init__(
        self, workshop: Workshop, encoding: EncodingService, tools: Tools, stages: StageSource
    ) -> None:
        """`encoding` tries windows; `stages` only says who would serve a job."""
        self._workshop = workshop
        self._encoding = encoding
        self._tools = tools
        self._stages = stages

    async def estimate(
        self, request: JobRequest, *, windows: int | None = None, sheet: Path | None = None
    ) -> Estimate:
        """`request.output` says which container, and is not written. Errors: as a job's."""
        began_s, cpu_began_s = time.monotonic(), self._tools.cpu_s()
        reader, options = self._workshop.reader, request.options
        media = await reader.probe(request.source)
        track = reader.main_video(media, options.video_stream)
        choice = await choose_encoder(options, track, self._encoding, self._workshop.trials)
        decisions = decide_tracks(request, media, track, choice.encoder)
        aim, notes = await settle_aim(
            options, media, track, choice.encoder, self._encoding, self._workshop
        )
        async with self._workshop.store.scratch() as scratch:
            reporter = Reporter(request.job_id)
            job = JobToServe(reporter, request, media, track, scratch, is_rehearsal=True)
            routes = await self._stages.for_job(job).settle(None)
            video = await reader.open_video(media, track, scratch)
            sizes = await self._tools.sizer.of(media, video)
            sample = await self._look(video, options, windows, sizes)
            crop = sample.analysis.crop.rect
            if sheet is not None:
                await self._tools.sheets(video, sample.stills, crop, sheet)
            film = _film(sample, options, sizes)
            plan = plan_video(
                request, decisions.encoder, sample.video, crop, sample.analysis.color,
                self._workshop.machine, film.segments_if_few(sample.seen, self._cores),
                self._encoding, aim, sample.analysis.grain,
            )  # fmt: skip
            trials, trying_s = await self._try(film, sample, plan, scratch)
            others = await other_bytes(
                self._tools.audio, sample.video.media, decisions.mux, sizes, film.frames,
                sample.video.index.duration_s,
            )  # fmt: skip
        costs = Costs.of(
            sample, trials, trying_s,
            segments=film.frames * film.segments_per_frame(sample.seen),
            is_measured=plan.aim is not None,
        )  # fmt: skip
        said = warnings_of(sample.video, sample.analysis, decisions.mux, options)
        estimate = summed_up(
            request, media, sample, decisions, plan, self._cores, others,
            predict(film, trials, plan.goal, plan.prior), costs,
        )  # fmt: skip
        doubts = (
            *([f"{choice.encoder.name} would encode, {choice.reason}."] if choice.reason else []),
            *estimate.notes,
            *reporter.warnings,
            *doubts_about_routes(routes),
            *doubts_about_saving(options, media.size_bytes, estimate.output_bytes),
        )
        return estimate.model_copy(
            update={
                "sheet": sheet,
                "notes": tuple(dict.fromkeys((*notes, *sample.notes, *said, *doubts))),
                "spent_wall_s": time.monotonic() - began_s,
                "spent_cpu_s": self._tools.cpu_s() - cpu_began_s,
            }
        )

    @property
    def _cores(self) -> int:
        return self._workshop.machine.cores

    async def _look(
        self, video: SourceVideo, options: EncodeOptions, count: int | None, sizes: PacketSizes
    ) -> Sample:
        windows = choose_windows(len(video.coded), count=count, seed=video.coded.digest())
        from_s = self._tools.cpu_s()
        looking = partial(look, self._tools.windows, self._tools.backend, video, windows, options)
        found = await anyio.to_thread.run_sync(looking)
        cpu_s = self._tools.cpu_s() - from_s
        return make_sample(video, found, windows, sizes.frames, options.deinterlace, cpu_s)

    async def _try(
        self, film: Film, sample: Sample, plan: VideoPlan, scratch: Path
    ) -> tuple[tuple[Trial, ...], float]:
        """What came of the windows, and the CPU seconds that all of it took."""
        from_s = self._tools.cpu_s()
        tasks = make_tasks(
            sample.video, sample.segments, plan.settings, scratch,
            scenes=sample.analysis.scenes, measuring=plan.measuring,
        )  # fmt: skip
        workers = plan.workers.workers
        trying = Trying(self._encoding, self._tools.sizer, workers, film, plan.prior)
        trials = await trying.all(tasks, with_features(sample.seen, tasks), plan.goal)
        return trials, self._tools.cpu_s() - from_s


def _film(sample: Sample, options: EncodeOptions, sizes: PacketSizes) -> Film:
    video = sample.video
    width, height = picture_size(video, sample.analysis.crop.rect)
    rate = video.index.frame_rate
    return Film(
        frames=len(video.index),
        pixels=width * height,
        shortest_segment=frames_in(options.min_segment_s, rate),
        longest_segment=frames_in(options.max_segment_s, rate),
        hint=None if sizes.frames is None else ordinary_rate(sizes.frames, video.coded.key),
    )
