"""Encodes the film to its end, with another encoder where a graphics card fails in the middle.

Segments of two encoders are no valid stream together: a player that begins in the middle knows one
sequence header, and theirs differ. So nothing of what the failed one has made is used, and the next
one begins with the first frame. Only `--encoder auto` does that: an encoder that was asked for by
name is not exchanged for another. A damaged source fails with every encoder; then the last one,
svt-av1, says so.

Tests: tests/end_to_end/test_hardware_encoders.py.
"""

from __future__ import annotations

from dataclasses import replace

from drapto.core.encoder_trial import EncoderTrial
from drapto.core.errors import EncoderFailedError
from drapto.core.interfaces import Encoder
from drapto.services.encoding.choosing import Choice, first_working
from drapto.services.encoding.registry import AUTO, encoder_named
from drapto.services.encoding.steering import settle_aim
from drapto.services.job.analysing import Analysed
from drapto.services.job.context import JobContext
from drapto.services.job.encoder_choice import after, settled
from drapto.services.job.encoders import Encoders, EncodingOutcome
from drapto.services.planning import TrackDecisions, plan_ready, plan_video


async def encode_film(
    job: JobContext, decisions: TrackDecisions, analysed: Analysed, encoders: Encoders
) -> tuple[Analysed, EncodingOutcome]:
    """With the plan that was carried out in the end. Errors: as `Encoders.finish`."""
    while True:
        try:
            outcome = await encoders.finish(
                analysed.video,
                analysed.segments,
                analysed.analysis.measured_scenes,
                analysed.plan,
            )
        except EncoderFailedError as failure:
            failed = encoder_named(analysed.plan.settings.encoder)
            if job.request.options.encoder != AUTO:
                raise _named(failed, failure) from failure
            choice = await _next_encoder(job, analysed, encoders, failed, failure)
            analysed = await _planned_with(job, decisions, analysed, choice.encoder)
        else:
            return analysed, outcome


def _named(encoder: Encoder, failure: EncoderFailedError) -> EncoderFailedError:
    return EncoderFailedError(
        f"The encoder {encoder.name} failed. {failure.message}",
        hint="If the source is sound, the graphics card or its driver is not: --encoder auto goes "
        "on with another encoder where one fails, and --encoder svt-av1 needs no card.",
        said=failure.said,
    )


async def _next_encoder(
    job: JobContext,
    analysed: Analysed,
    encoders: Encoders,
    failed: Encoder,
    failure: EncoderFailedError,
) -> Choice:
    """Chosen, written down and told; what the failed one made is gone."""
    trial = EncoderTrial(encoder=failed.name, problem=failure.message, said=failure.said)
    options, track = job.request.options, analysed.video.track
    choice = await first_working(after(failed), options, track, job.workshop.trials)
    await encoders.give_up(f"{failed.name} failed, and segments of two encoders do not fit")
    choice = replace(choice, tried=(trial, *choice.tried))
    await settled(job, choice, instead_of=failed.name)
    job.reporter.resumable = False
    job.reporter.warn(
        f"{failed.name} failed in the middle of the film, so {choice.encoder.name} encodes all of "
        "it again: segments of two encoders make no valid stream. The log has what it said."
    )
    return choice


async def _planned_with(
    job: JobContext, decisions: TrackDecisions, analysed: Analysed, encoder: Encoder
) -> Analysed:
    """The same film and segments, with what another encoder has to be told."""
    options, encoding, track = job.request.options, job.stages.encoding, analysed.video.track
    aim, notes = await settle_aim(options, job.media, track, encoder, encoding, job.workshop)
    for note in notes:
        job.reporter.warn(note)
    video, analysis, segments = analysed.video, analysed.analysis, analysed.segments
    plan = plan_video(
        job.request,
        encoder,
        video,
        analysis.crop.rect,
        analysis.color,
        job.workshop.machine,
        len(segments),
        encoding,
        aim,
        analysis.grain,
    )
    routes = job.state.checkpoint.routes or ()
    changed = replace(decisions, encoder=encoder, aim=aim)
    ready = plan_ready(job.reporter.job, changed, plan, video, segments, {}, routes)
    job.reporter.emit(ready)
    return replace(analysed, plan=plan)
