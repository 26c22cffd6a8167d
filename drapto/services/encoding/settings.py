"""From what was asked and what was found to what the encoder is told."""

from __future__ import annotations

from fractions import Fraction

from drapto.core.errors import UsageError
from drapto.core.film_grain import level_for
from drapto.core.interfaces import Encoder, EncodingService
from drapto.core.job import EncodeOptions
from drapto.core.media import ColorInfo, CropRect
from drapto.core.segments import VideoSettings
from drapto.core.source import SourceVideo
from drapto.services.encoding.dynamic_metadata import decide_metadata
from drapto.services.segmentation.service import frames_in

# SVT-AV1 refuses more ("The maximum allowed frame rate is 240 fps"). Segments are numbered frame by
# frame and get the source's own times when they are joined, so their rate need not be the true one.
MOST_FRAMES_PER_S = Fraction(240)


def video_settings(
    video: SourceVideo,
    crop: CropRect | None,
    color: ColorInfo,
    options: EncodeOptions,
    *,
    encoder: Encoder,
    encoding: EncodingService,
    lp: int,
    grain: float = 0.0,
) -> VideoSettings:
    """The settings that all segments of a job share. Errors: UsageError if they do not fit.

    `encoding` is who will encode: the quality without --crf follows from that. `grain`, as of
    `VideoAnalysis`, is asked for with `film_grain` auto alone.
    """
    width, height = picture_size(video, crop)
    crf = encoding.default_crf(encoder, width) if options.crf is None else options.crf
    frame_rate = video.index.frame_rate
    settings = VideoSettings(
        encoder=encoder.name,
        crf=crf,
        preset=options.preset,
        crop=crop,
        color=color,
        frame_rate=min(frame_rate, MOST_FRAMES_PER_S),
        width=width,
        height=height,
        source_width=video.track.width or 0,
        source_height=video.track.height or 0,
        source_bit_depth=video.track.bit_depth or 8,
        sample_aspect_ratio=video.track.sample_aspect_ratio,
        deinterlacing=video.deinterlacing.for_all_segments,
        dynamic_metadata=decide_metadata(video, crop, encoder.codec).plan,
        film_grain=level_for(options.film_grain, grain) if encoder.codes_grain else 0,
        keyint=frames_in(options.max_segment_s, frame_rate),
        lp=lp,
    )
    encoder.check(settings)
    return settings


def check_crf(encoder: Encoder, crf: float | None) -> None:
    """Errors: UsageError if the quality that was asked for is out of the encoder's range."""
    low, high = encoder.crf_range
    if crf is not None and not low <= crf <= high:
        raise UsageError(
            f"--crf {crf:g} is outside what {encoder.name} takes.",
            hint=f"Choose a number from {low:g} to {high:g}.",
        )


def check_film_grain(encoder: Encoder, options: EncodeOptions) -> None:
    """Errors: UsageError if a level was asked for that the encoder cannot have."""
    if isinstance(options.film_grain, int) and not encoder.codes_grain:
        raise UsageError(
            f"--film-grain {options.film_grain} cannot be kept: {encoder.name} has no film grain.",
            hint="Use --encoder svt-av1, or leave it out.",
        )


def picture_size(video: SourceVideo, crop: CropRect | None) -> tuple[int, int]:
    """Width and height of the output picture, before any rotation by the player."""
    if crop is not None:
        return crop.width, crop.height
    return video.track.width or 0, video.track.height or 0
