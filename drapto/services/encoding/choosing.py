"""Which encoder makes the video: the one that was asked for, or the first one that works here.

    choice = await choose_encoder(options, track, stages.encoding, workshop.trials)
    choice.encoder

Promised: an encoder that needs a graphics card is used only after it has encoded a few frames of
this picture on this machine; of whatever was tried ffmpeg's own words are kept. `svt-av1` is the
last resort of `auto` and is not tried: without it there would be nothing to fall back on.

Tests: tests/services/encoding/test_choosing.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from drapto.core.encoder_trial import EncoderTrial
from drapto.core.errors import MissingToolError, ResourceError
from drapto.core.events import EncoderSettled
from drapto.core.interfaces import Encoder, EncodingService
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect, Track
from drapto.core.segments import VideoSettings
from drapto.core.workshop import EncoderTrials
from drapto.services.encoding.registry import AUTO, IN_ORDER, encoder_named

_CPU = "--encoder svt-av1 needs no graphics card, and --encoder auto takes the first that works."
WAIT = "Wait until other programs encode less on this card, and run the same command again."


@dataclass(frozen=True)
class Choice:
    encoder: Encoder
    reason: str = ""  # in words; empty where it was asked for by name
    tried: tuple[EncoderTrial, ...] = ()

    def event(self, job: str, instead_of: str | None = None) -> EncoderSettled | None:
        """None where it was asked for by name: there is nothing to say."""
        if not self.reason:
            return None
        return EncoderSettled(
            job=job,
            encoder=self.encoder.name,
            reason=self.reason,
            tried=self.tried,
            instead_of=instead_of,
        )


async def choose_encoder(
    options: EncodeOptions, track: Track, encoding: EncodingService, trials: EncoderTrials
) -> Choice:
    """Errors: MissingToolError if the one that was asked for by name does not work here,
    ResourceError if it is busy."""
    if options.encoder != AUTO:
        encoder = encoder_named(options.encoder)
        trial = await trial_of(encoder, options, track, encoding, trials)
        if not trial.works:
            raise refusal(trial)
        return Choice(encoder)
    if reason := _only_svt_av1(options, track, encoding):
        return Choice(IN_ORDER[-1], reason)
    return await first_working(IN_ORDER, options, track, trials)


async def first_working(
    encoders: tuple[Encoder, ...], options: EncodeOptions, track: Track, trials: EncoderTrials
) -> Choice:
    """Of these, in their order; the last one is taken untried."""
    tried: list[EncoderTrial] = []
    for encoder in encoders[:-1]:
        tried.append(await trials.of(encoder, _trial_settings(encoder, options, track)))
        if tried[-1].works:
            return Choice(encoder, "the first that works here", tuple(tried))
    names = ", ".join(trial.encoder + " (busy)" * trial.is_busy for trial in tried)
    reason = f"because none of these works here: {names}" if tried else "the last resort"
    return Choice(encoders[-1], reason, tuple(tried))


async def trial_of(
    encoder: Encoder,
    options: EncodeOptions,
    track: Track,
    encoding: EncodingService,
    trials: EncoderTrials,
) -> EncoderTrial:
    """An encoder without a device counts as working, untried, and so do those of scripts."""
    if not encoder.needs_device or not encoding.has_own_encoders:
        return EncoderTrial(encoder=encoder.name)
    return await trials.of(encoder, _trial_settings(encoder, options, track))


def refusal(trial: EncoderTrial) -> MissingToolError | ResourceError:
    """Why a job cannot begin with this encoder, which does not work or is busy."""
    if trial.is_busy:
        return ResourceError(
            f"The encoder {trial.encoder} cannot be used now: {trial.problem}.",
            hint=f"{WAIT} {_CPU}",
        )
    return MissingToolError(
        f"The encoder {trial.encoder} does not work on this machine: {trial.problem}.", hint=_CPU
    )


def _only_svt_av1(options: EncodeOptions, track: Track, encoding: EncodingService) -> str:
    """Why no card needs to be tried, in words; empty if they do."""
    if not encoding.has_own_encoders:
        return "because the legacy scripts encode"
    if options.film_grain != "off":
        return "because no graphics card can code film grain apart"
    width, height = _size(options, track)
    if width % 2 or height % 2:
        return f"because no graphics card encodes {width}x{height}: both must be even"
    return ""


def _size(options: EncodeOptions, track: Track) -> tuple[int, int]:
    """Of the picture, as far as it is known before detection."""
    picture = options.crop if isinstance(options.crop, CropRect) else track
    return picture.width or 0, picture.height or 0


def _trial_settings(encoder: Encoder, options: EncodeOptions, track: Track) -> VideoSettings:
    """Even numbers: an odd picture may be cropped to an even one."""
    width, height = (max(2, side - side % 2) for side in _size(options, track))
    return VideoSettings(
        encoder=encoder.name,
        crf=encoder.default_crf(width) if options.crf is None else options.crf,
        preset=options.preset,
        color=track.color,
        width=width,
        height=height,
        source_width=width,
        source_height=height,
        lp=1,
    )
