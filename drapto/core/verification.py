"""How good a finished file is against its source: `drapto verify`, for any pair of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from drapto.core.deinterlacing import DeinterlaceChoice, Method
from drapto.core.media import ColorInfo, CropRect, DynamicRange, FrameIndex, Value
from drapto.core.quality import Metric, Reference, SegmentQuality

SAMPLED_EVERY = 3  # frames: unbiased, at half the cost of all (docs/target-quality.md)
WORST_MOMENTS = 5
_APART_S = 1.0  # a bad second is one moment


class VerifyOptions(Value):
    """`auto` in `crop` and `deinterlace`: what Drapto did to this output, if it made it; nothing
    of the kind otherwise. `metric` None: the one that suits the picture."""

    metric: Metric | None = None
    every_frame: bool = False
    neg: bool = False
    crop: Literal["auto", "off"] | CropRect = "auto"
    deinterlace: DeinterlaceChoice = "auto"
    video_stream: int | None = None  # of the source, counted from 0

    def every_for(self, metric: Metric) -> int:
        """The others look at every frame anyway (infrastructure/ffmpeg/metrics.py)."""
        return SAMPLED_EVERY if metric is Metric.VMAF and not self.every_frame else 1


class Moment(Value):
    """One frame of the output. `time_s` as a player shows it."""

    frame: int
    time_s: float
    score: float


class Verification(Value):
    """What was measured, and of what."""

    source: Path
    output: Path
    metric: Metric
    model: str = ""  # libvmaf's name of it, empty for other metrics
    every: int = 1  # one frame of so many was measured
    reference: Reference = Reference.SOURCE  # what the output was compared with
    frames: int  # of the film; those measured are in `quality`
    quality: SegmentQuality
    worst: tuple[Moment, ...] = ()  # the worst first, none within a second of another
    crop: CropRect | None = None  # of the source, that the output was compared with
    deinterlacing: Method = Method.OFF
    notes: tuple[str, ...] = ()


def suited_metric(source: ColorInfo, output: ColorInfo) -> Metric:
    """VMAF's models are made for SDR (docs/measuring.md)."""
    return Metric.VMAF if _is_sdr(source) and _is_sdr(output) else Metric.XPSNR


def notes_on(metric: Metric, source: ColorInfo, output: ColorInfo) -> tuple[str, ...]:
    """What limits the figures, in plain sentences."""
    notes = []
    if metric is Metric.VMAF:
        notes += [note for color in (source, output) if (note := vmaf_note(color))][:1]
    elif not (_is_sdr(source) and _is_sdr(output)):
        which = source if not _is_sdr(source) else output
        notes.append(
            f"The picture is {which.dynamic_range.value}: {metric.value.upper()} is of the coded "
            "signal, good for comparing outputs of the same source, not for judging one."
        )
    if source.transfer and output.transfer and source.transfer != output.transfer:
        notes.append(
            f"The source is coded with {source.transfer} and the output with {output.transfer}: "
            "the figures tell of that difference more than of quality."
        )
    for what, was, is_ in (
        ("matrix", source.matrix, output.matrix),
        ("range", source.range, output.range),
    ):
        if was and is_ and was != is_:
            notes.append(
                f"The {what} of the source is {was} and that of the output {is_}, by their tags: "
                "both were brought to one."
            )
    return tuple(notes)


def vmaf_note(color: ColorInfo) -> str:
    if _is_sdr(color):
        return ""
    return (
        f"VMAF has no model for {color.dynamic_range.value}: measured on the coded signal, good "
        "only for comparing two outputs of the same source."
    )


def grain_notes(reference: Reference, *, carries_grain: bool) -> tuple[str, ...]:
    """Which of the two pictures of a file with film grain was measured: docs/film-grain.md."""
    if reference is Reference.DENOISED:
        return (
            "Both were compared without grain: the source after the encoder took it off, and the "
            "output before the player puts it on again.",
        )
    if not carries_grain:
        return ()
    return (
        "The output carries film grain that the player makes anew, and was measured with it. No "
        "such grain is where that of the source was, so the figures are too low.",
    )


def worst_moments(scores: Sequence[float], every: int, index: FrameIndex) -> tuple[Moment, ...]:
    """The worst frames, each at least a second away from every other one. `scores`: of frame 0 and
    every n-th after it."""
    found: list[Moment] = []
    for place in sorted(range(len(scores)), key=lambda place: scores[place]):
        frame = place * every
        time_s = index.time_s(frame)
        if all(abs(time_s - other.time_s) >= _APART_S for other in found):
            found.append(Moment(frame=frame, time_s=time_s, score=scores[place]))
        if len(found) == WORST_MOMENTS:
            break
    return tuple(found)


def _is_sdr(color: ColorInfo) -> bool:
    return color.dynamic_range is DynamicRange.SDR
