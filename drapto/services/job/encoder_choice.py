"""The encoder of one job: chosen by its first run, and held by every later one.

Tests: tests/end_to_end/test_hardware_encoders.py.
"""

from __future__ import annotations

from drapto.core.encoder_trial import EncoderTrial
from drapto.core.entries import EncoderChosen
from drapto.core.errors import MissingToolError, ResourceError
from drapto.core.interfaces import Encoder
from drapto.core.media import Track
from drapto.core.words import count
from drapto.services.encoding.choosing import (
    WAIT,
    Choice,
    choose_encoder,
    first_working,
    refusal,
    trial_of,
)
from drapto.services.encoding.registry import AUTO, IN_ORDER, encoder_named
from drapto.services.job.context import JobContext


async def settle_encoder(job: JobContext, track: Track) -> Choice:
    """Errors: MissingToolError where the encoder that was asked for, or that finished segments are
    of, does not work here; ResourceError where it is busy."""
    options, checkpoint = job.request.options, job.state.checkpoint
    encoding, trials = job.stages.encoding, job.workshop.trials
    known = checkpoint.encoder or (None if options.encoder == AUTO else options.encoder)
    if known and checkpoint.plan_is_whole and not checkpoint.unfinished:
        return Choice(encoder_named(known))  # nothing is left to encode
    if checkpoint.encoder is None:
        return await settled(job, await choose_encoder(options, track, encoding, trials))
    encoder = encoder_named(checkpoint.encoder)
    trial = await trial_of(encoder, options, track, encoding, trials)
    if trial.works:
        return Choice(encoder)
    if checkpoint.segments:
        raise _cannot_go_on(trial, len(checkpoint.segments))
    return await settled(job, await first_working(after(encoder), options, track, trials))


def _cannot_go_on(trial: EncoderTrial, finished: int) -> MissingToolError | ResourceError:
    """Segments of two encoders do not fit together."""
    why = refusal(trial)
    first = WAIT if trial.is_busy else "Make it work again and run the same command."
    return type(why)(
        f"This job was begun with {trial.encoder}, of which {count(finished, 'segment')} are "
        f"finished. {why.message}",
        hint=f"{first} Or begin afresh with another encoder: --no-resume.",
    )


async def settled(job: JobContext, choice: Choice, *, instead_of: str | None = None) -> Choice:
    """Write the choice down and tell of it, unless it was asked for by name."""
    event = choice.event(job.reporter.job, instead_of)
    if event is not None:
        await job.state.record(EncoderChosen(encoder=choice.encoder.name, reason=choice.reason))
        job.reporter.emit(event)
    return choice


def after(encoder: Encoder) -> tuple[Encoder, ...]:
    """Those that may take its place."""
    return IN_ORDER[IN_ORDER.index(encoder) + 1 :]
