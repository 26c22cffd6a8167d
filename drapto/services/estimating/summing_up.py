"""From a prediction to everything a person wants to know before an encode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from drapto.core.estimate import COVERAGE, Estimate, Range
from drapto.core.job import JobRequest
from drapto.core.media import MediaInfo
from drapto.core.resources import busy_cores, needed_disk_bytes, own_memory_bytes
from drapto.services.estimating.prediction import Prediction, Trial
from drapto.services.estimating.sample import Sample
from drapto.services.planning import TrackDecisions, VideoPlan

# Frames that a job with a target encodes more than once, of all of them: what is left of the cost
# of `bench/target_quality_sim.py` (1.18 to 1.25) when measuring is taken off.
ENCODED_AGAIN = 0.07
OPUS_CPU_S = 0.012  # for one second of one stereo track
START_CPU_S = 0.1  # an ffmpeg that encodes, or measures, one frame at 480p: 0.09 to 0.13 s
# Of every job, however short: programs and metrics are looked at, tracks joined and proved. Five
# clips of 12 to 30 s took 1.7 to 2.8 s more than their frames.
JOB_S = 2.0
TIME_ERROR = 0.12  # standard deviation of its logarithm: what else the machine has to do
_REACH = NormalDist().inv_cdf((1 + COVERAGE) / 2)  # deviations that hold COVERAGE of all cases


@dataclass(frozen=True)
class Costs:
    """CPU seconds by what they are spent on. `of_trials`: everything that trying a window takes, by
    the CPU time of its encoder alone; `starts_s`: of all the programs that the film will take."""

    detection_s_per_frame: float
    of_trials: float
    starts_s: float
    peak_rss_bytes: int

    @classmethod
    def of(
        cls,
        sample: Sample,
        trials: Sequence[Trial],
        trying_s: float,
        *,
        segments: float,
        is_measured: bool,
    ) -> Costs:
        """Windows begin anywhere, segments at key frames: what was decoded on the way to a window,
        once by its encoder and once more to measure it, is not counted. Programs start more often
        for windows than for the `segments` of the film, which are longer."""
        programs = 2 if is_measured else 1
        detection_s = sample.cpu_s / max(1, sample.decoded + sample.pre_roll)
        not_counted_s = programs * (sample.pre_roll * detection_s + len(trials) * START_CPU_S)
        encoders_s = sum(trial.cpu_s for trial in trials)
        return cls(
            detection_s_per_frame=detection_s,
            of_trials=max(trying_s - not_counted_s, trying_s / 2) / max(encoders_s, 1e-6),
            starts_s=programs * segments * START_CPU_S,
            peak_rss_bytes=max(trial.peak_rss_bytes for trial in trials),
        )


def summed_up(
    request: JobRequest,
    media: MediaInfo,
    sample: Sample,
    decisions: TrackDecisions,
    plan: VideoPlan,
    cores: int,
    others: int,
    prediction: Prediction,
    costs: Costs,
) -> Estimate:
    """`others`: bytes of all but the video. `spent_…` and `sheet` are for whoever knows them."""
    video, settings, workers = sample.video, plan.settings, plan.workers
    duration_s = video.index.duration_s
    output = _shifted(prediction.video_bytes, others)
    source_bytes = max(1, media.size_bytes)
    work = _cpu_s(sample, decisions, plan, prediction, costs, duration_s)
    busy = busy_cores(workers.workers, workers.lp, cores)
    own = own_memory_bytes(settings.width, settings.height)
    return Estimate(
        source=request.source,
        source_bytes=media.size_bytes,
        frames=len(video.index),
        duration_s=duration_s,
        width=settings.width,
        height=settings.height,
        crop=settings.crop,
        crop_reason=sample.analysis.crop.reason,
        encoder=settings.encoder,
        preset=settings.preset,
        film_grain=settings.film_grain,
        target_vmaf=None if plan.goal is None else plan.goal.target,
        crf=prediction.crf,
        vmaf=prediction.vmaf,
        output_bytes=_whole(output),
        saving=Range(
            low=1 - output.high / source_bytes,
            likely=1 - output.likely / source_bytes,
            high=1 - output.low / source_bytes,
        ),
        video_bytes=_whole(prediction.video_bytes),
        other_bytes=others,
        wall_s=_shifted(_scaled(work, 1 / busy), JOB_S),
        cpu_s=_shifted(work, JOB_S),
        workers=workers.workers,
        lp=workers.lp,
        memory_bytes=own + workers.workers * max(workers.memory_bytes, costs.peak_rss_bytes),
        disk_bytes=needed_disk_bytes(media.size_bytes),
        windows=len(sample.seen),
        sampled_frames=sum(seen.window.frames for seen in sample.seen),
        spent_wall_s=0.0,
        spent_cpu_s=0.0,
        notes=() if prediction.reached else (_not_reached(plan, prediction),),
    )


def _cpu_s(
    sample: Sample,
    decisions: TrackDecisions,
    plan: VideoPlan,
    prediction: Prediction,
    costs: Costs,
    duration_s: float,
) -> Range:
    """Without what every job takes."""
    again = 1.0 if plan.goal is None else 1 + ENCODED_AGAIN
    encoding = prediction.encode_cpu_s
    stereo = sum((t.audio.channels if t.audio else 0) / 2 for t in decisions.mux.audio_encodings)
    others_s = costs.starts_s + costs.detection_s_per_frame * len(sample.video.coded)
    others_s += stereo * OPUS_CPU_S * duration_s
    likely = encoding.likely * again * costs.of_trials + others_s
    sampling = math.log(encoding.high / encoding.likely)
    width = math.exp(math.hypot(sampling, _REACH * TIME_ERROR))
    return Range(low=likely / width, likely=likely, high=likely * width)


def _scaled(value: Range, by: float) -> Range:
    return Range(low=value.low * by, likely=value.likely * by, high=value.high * by)


def _shifted(size: Range, by: float) -> Range:
    return Range(low=size.low + by, likely=size.likely + by, high=size.high + by)


def _whole(size: Range) -> Range:
    return Range(low=round(size.low), likely=round(size.likely), high=round(size.high))


def _not_reached(plan: VideoPlan, prediction: Prediction) -> str:
    wanted = "" if plan.goal is None else f" of {plan.goal.target:g}"
    got = "" if prediction.vmaf is None else f", {prediction.vmaf.likely:.1f} at CRF"
    return f"The VMAF{wanted} is out of reach{got} {prediction.crf:g}."
