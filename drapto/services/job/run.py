"""One job from its first stage to its last. Every step is in the journal before the next begins."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio

from drapto._version import __version__
from drapto.core.entries import RoutesSettled
from drapto.core.errors import (
    DraptoError,
    NoSavingError,
    PublishError,
    ResourceError,
    ValidationFailedError,
)
from drapto.core.events import LeaksFound
from drapto.core.job import EncodeResult
from drapto.core.state import Fresh, JobIdentity, Resumed, may_be_published
from drapto.services.encoding.saving import require_saving
from drapto.services.job.analysing import analyse, probe
from drapto.services.job.context import JobContext
from drapto.services.job.encoders import encoders_of
from drapto.services.job.encoding import encode_film
from drapto.services.job.finishing import assemble, publish, validate
from drapto.services.job.source_guard import require_unchanged_source, unchanged_source
from drapto.services.stages import JobServed


async def run_job(job: JobContext, started_s: float, refusal: DraptoError | None) -> EncodeResult:
    """All stages. `refusal` is raised unless an earlier run has already published the output.

    However it ends, the journal says so, and a work directory that is worth nothing goes.
    """
    try:
        if refusal is not None and not await may_be_published(job.place.journal):
            raise refusal
        async with unchanged_source(job):
            opened = await _open(job)
            published = isinstance(opened, Resumed) and opened.already_published
            if refusal is not None and not published:
                raise refusal
            result = await _all_stages(job, started_s, published=published)
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await _end_badly(job, error)
        raise
    with anyio.CancelScope(shield=True):
        await _end_well(job)
    return result


async def _open(job: JobContext) -> Fresh | Resumed:
    store = job.workshop.store
    identity = JobIdentity(
        request=job.request,
        source=await store.fingerprint(job.request.source),
        ffmpeg_version=job.workshop.machine.ffmpeg_version,
        drapto_version=__version__,
    )
    opened = await job.state.open(identity, verify=store.verify, resume=job.request.run.resume)
    if isinstance(opened, Fresh):
        job.reporter.resumable = False
        job.place.reset()
        for reason in opened.reasons:
            job.reporter.warn(f"Started afresh: {reason}")
    else:
        job.reporter.resumable = bool(opened.checkpoint.segments)
        if opened.already_published:
            job.reporter.warn(
                f"Nothing to do: an earlier run finished {job.request.output}, and it is unchanged "
                "since. To encode it again, add --no-resume --overwrite."
            )
        for piece in opened.discarded:
            job.reporter.warn(f"Made again: {piece}")
    return opened


async def _all_stages(job: JobContext, started_s: float, *, published: bool) -> EncodeResult:
    resumed_segments = len(job.state.checkpoint.segments)
    await _settle_routes(job)
    video, decisions = await probe(job)
    job = replace(job, media=video.media)  # from here on a mended copy stands for a broken source
    async with encoders_of(job, video, decisions) as encoders:
        analysed = await analyse(job, video, decisions, encoders)
        analysed, encoded = await encode_film(job, decisions, analysed, encoders)
        if analysed.plan.settings.encoder != decisions.encoder.name:
            resumed_segments = 0  # they were given up with the encoder that had made them
    assembly = await assemble(job, analysed, encoders.mux)
    require_saving(job.request.options, job.media.size_bytes, assembly.size_bytes)
    manifest = await validate(job, analysed, encoders.mux, encoded.quality)
    if not published:
        await require_unchanged_source(job)
    await publish(job, published=published)
    with anyio.CancelScope(shield=True):  # published is done
        whole = manifest.model_copy(update={"stages": job.reporter.stage_times})
        kept = await job.workshop.store.keep_manifest(whole, job.request.output)
        if encoded.film is not None and not published:
            await job.workshop.films.remember(encoded.film)
    if kept is None:
        job.reporter.warn("The manifest could not be kept: its directory cannot be written to.")
    settings = manifest.settings
    analysis = job.state.checkpoint.analysis
    if analysis is not None:
        served = JobServed(analysed.video, analysis, analysed.segments, settings)
        await job.served.published(served)
    return EncodeResult(
        source=job.request.source,
        output=job.request.output,
        source_bytes=job.media.size_bytes,
        output_bytes=job.request.output.stat().st_size,
        frames=len(analysed.video.index),
        duration_s=analysed.video.index.duration_s,
        wall_s=time.monotonic() - started_s,
        encode_fps=encoded.frames / encoded.wall_s if encoded.wall_s else 0.0,
        segments=len(analysed.segments),
        resumed_segments=resumed_segments,
        settings=settings,
        crop=settings.crop,
        dynamic_range=settings.color.dynamic_range.value,
        tracks=encoders.mux.outcomes,
        routes=job.state.checkpoint.routes or (),
        warnings=tuple(job.reporter.warnings),
        manifest=kept,
        quality=manifest.quality,
    )


async def _settle_routes(job: JobContext) -> None:
    """Who serves is decided by the first run of a job, and holds for every one after it."""
    earlier = job.state.checkpoint.routes
    routes = await job.served.settle(earlier)
    if routes != (earlier or ()):
        await job.state.record(RoutesSettled(routes=routes))


async def _end_well(job: JobContext) -> None:
    leaks = await job.place.check_leaks()
    if leaks.total:
        job.reporter.emit(
            LeaksFound(
                job=job.reporter.job,
                slots=leaks.slots,
                processes=leaks.processes,
                open_files=leaks.open_files,
                temporary_files=leaks.temporary_files,
            )
        )
    if not job.request.run.keep_work:
        _remove(job)


async def _end_badly(job: JobContext, error: BaseException) -> None:
    """Note the end, and keep the work directory only where going on would save something."""
    try:
        if isinstance(error, Exception):
            await job.state.fail(str(error))
        else:
            await job.state.interrupt(type(error).__name__)
    except Exception as unwritten:  # a full disk must not hide why the job failed
        if not isinstance(error, ResourceError | PublishError):  # which say the same
            job.reporter.warn(f"The journal could not be closed: {unwritten}")
    worth_keeping = (
        job.reporter.resumable
        or job.request.run.keep_work
        or isinstance(error, ValidationFailedError)
    ) and not isinstance(error, NoSavingError)
    if not worth_keeping:
        _remove(job)


def _remove(job: JobContext) -> None:
    foreign = job.place.remove()
    if foreign:
        names = ", ".join(str(path) for path in foreign)
        job.reporter.warn(f"The work directory stays, because these files are not ours: {names}")
