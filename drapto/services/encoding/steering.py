"""What a job aims at: a quality for the whole film, or one CRF; and what is measured of it.

    aim, notes = await settle_aim(options, media, track, encoder, encoding, workshop)
    aim.goal            # None: every segment gets the CRF that was asked for
    aim.measuring(1920, 800)

Promised: a target that was asked for by number is never dropped without a word; where it cannot be
steered by the film is encoded at the CRF that it would get without a target, or, with `strict`,
refused. VMAF has no model for HDR: there nothing is steered, and XPSNR is what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from drapto.core.errors import MissingToolError, UsageError
from drapto.core.interfaces import Encoder, EncodingService, QualityMetric
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect, DynamicRange, MediaInfo, Track
from drapto.core.quality import VMAF_LEAST_SIDE, Measuring, Metric, can_compare
from drapto.core.workshop import FilmMemory, Metrics
from drapto.services.encoding.learnt_films import prior_from
from drapto.services.encoding.saving import largest_output
from drapto.services.encoding.target_quality import ORDINARY, Goal, Prior

DEFAULT_TARGET = 95.0  # VMAF
# VMAF's default model is made for 1920x1080 (docs/measuring.md).
LARGEST_BY_DEFAULT = 1920 * 1088

# One frame of so many is measured (docs/target-quality.md says what each costs and misses).
EVERY_POOLED, EVERY_STRICT = 5, 3


class Measures(Protocol):
    """The part of a `Workshop` that this needs."""

    @property
    def metrics(self) -> Metrics: ...

    @property
    def films(self) -> FilmMemory: ...


@dataclass(frozen=True)
class Aim:
    """`goal` None: the quality is measured, and nothing is steered by it."""

    metric: QualityMetric
    goal: Goal | None
    prior: Prior = ORDINARY  # what is expected of a film before anything of it is encoded

    def measuring(self, width: int, height: int) -> Measuring:
        """Of an output picture of this size."""
        strict = self.goal is not None and self.goal.strict
        return Measuring(
            metric=self.metric.metric,
            model=self.metric.model_for(width, height),
            every=EVERY_STRICT if strict else EVERY_POOLED,
        )


async def settle_aim(
    options: EncodeOptions,
    media: MediaInfo,
    track: Track,
    encoder: Encoder,
    encoding: EncodingService,
    workshop: Measures,
) -> tuple[Aim | None, tuple[str, ...]]:
    """The aim, None for a plain encode at one CRF, and what the user has to know of it.

    Errors: UsageError where what was asked for contradicts itself or, with `strict`, cannot be
    steered by; MissingToolError where it was asked for and cannot be measured here.
    """
    _check(options)
    target = _target(options, track)
    refusal = _why_not(target, options, track, encoder, encoding)
    by_number = not isinstance(options.target_vmaf, str)
    if refusal and target is not None:
        if options.strict:
            raise UsageError(
                f"--strict cannot be kept: {refusal}.", hint="Leave it out, or give a CRF."
            )
        target = None
    notes = (f"No VMAF is aimed at, because {refusal}.",) if refusal and by_number else ()
    if target is None and not options.measure:
        return None, notes
    hdr = track.color.dynamic_range is not DynamicRange.SDR
    metric = Metric.XPSNR if hdr or _is_tiny(track, options) else Metric.VMAF
    try:
        neg = options.vmaf_neg and metric is Metric.VMAF
        usable = await workshop.metrics.usable(metric, neg=neg)
    except MissingToolError as missing:
        if by_number or options.measure or options.strict:
            raise
        return None, (f"No VMAF is aimed at: {missing.message}",)
    goal = _goal(options, target, media.size_bytes)
    if goal is None:
        return Aim(usable, None), notes
    model = usable.model_for(track.width or 0, track.height or 0)
    known = await workshop.films.recall(encoder=encoder.name, preset=options.preset, model=model)
    return Aim(usable, goal, prior_from(known, encoder, options.preset)), notes


def _check(options: EncodeOptions) -> None:
    if options.crf is not None and not isinstance(options.target_vmaf, str):
        raise UsageError(
            f"--crf {options.crf:g} and --target-vmaf {options.target_vmaf:g} contradict each "
            "other.",
            hint="Give one of them.",
        )
    if options.strict and (options.crf is not None or options.target_vmaf == "off"):
        raise UsageError(
            "--strict says how near to a VMAF every segment must be, and none is aimed at.",
            hint="Leave out --crf, or give --target-vmaf.",
        )
    target = DEFAULT_TARGET if options.target_vmaf == "auto" else options.target_vmaf
    if options.floor is not None and isinstance(target, float) and options.floor > target:
        raise UsageError(
            f"--floor {options.floor:g} is above the VMAF that is aimed at, {target:g}.",
            hint="No scene can have to be better than the film.",
        )


def _target(options: EncodeOptions, track: Track) -> float | None:
    """None: a CRF was asked for, or follows from the width."""
    if options.crf is not None or options.target_vmaf == "off":
        return None
    if not isinstance(options.target_vmaf, str):
        return options.target_vmaf
    hdr = track.color.dynamic_range is not DynamicRange.SDR
    large = (track.width or 0) * (track.height or 0) > LARGEST_BY_DEFAULT
    return DEFAULT_TARGET if options.strict or not (hdr or large) else None


def _why_not(
    target: float | None,
    options: EncodeOptions,
    track: Track,
    encoder: Encoder,
    encoding: EncodingService,
) -> str:
    """Why this film cannot be steered by VMAF, in words; empty if it can."""
    if target is None:
        return ""
    if track.color.dynamic_range is not DynamicRange.SDR:
        return f"it has no valid model for {track.color.dynamic_range.value}"
    if _is_tiny(track, options):
        return f"it cannot compare pictures with a side of less than {VMAF_LEAST_SIDE} pixels"
    if not encoding.steers(encoder):
        return "only Drapto's own AV1 encoders can be steered by it, such as svt-av1"
    return ""


def _is_tiny(track: Track, options: EncodeOptions) -> bool:
    picture = options.crop if isinstance(options.crop, CropRect) else track
    return not can_compare(Metric.VMAF, picture.width or 0, picture.height or 0)


def _goal(options: EncodeOptions, target: float | None, source_bytes: int) -> Goal | None:
    if target is None:
        return None
    return Goal(
        target=target,
        pool=options.pool,
        floor=options.floor,
        strict=options.strict,
        max_extra=options.max_extra,
        max_bytes=largest_output(options, source_bytes),
    )
