"""The steps after encoding: one container, the proof that it is right, and its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import anyio

from drapto.core.dynamic_metadata import ComparedMetadata
from drapto.core.entries import AssemblyDone, Discarded, Published, Validated
from drapto.core.errors import SegmentFailedError, StateError
from drapto.core.facts import FileFacts
from drapto.core.job import JobState, Stage
from drapto.core.manifest import Manifest
from drapto.core.media import TrackKind
from drapto.core.quality import FilmQuality
from drapto.core.segments import EncodedSegment
from drapto.core.tracks import MuxPlan
from drapto.core.words import count, size
from drapto.services.encoding.film_quality import mean_crf
from drapto.services.encoding.tasks import source_pts
from drapto.services.job.analysing import Analysed
from drapto.services.job.context import JobContext
from drapto.services.validation.attested import with_attested_video, with_video_of
from drapto.services.validation.service import Validator, tracks_to_read


async def assemble(job: JobContext, analysed: Analysed, mux: MuxPlan) -> AssemblyDone:
    """Join segments and tracks. Errors: SegmentFailedError, ProcessFailedError, ResourceError,
    StateError."""
    await job.state.enter(JobState.ASSEMBLING)
    if job.state.checkpoint.assembly is not None:
        return job.state.checkpoint.assembly
    place, tracks = job.place, job.workshop.tracks
    async with job.reporter.stage(Stage.ASSEMBLY) as report:
        done = job.state.checkpoint.segments
        segments = [done[segment.index] for segment in analysed.segments]
        try:
            video = await tracks.write_video_track(
                segments,
                analysed.video.index,
                place.temp / "video.mp4",
                analysed.plan.settings.sample_aspect_ratio,
                analysed.video.late_s,
                analysed.plan.settings.dynamic_metadata.dolby_vision,
            )
        except SegmentFailedError:
            await _discard_spoilt(job, segments)
            raise
        audio = {index: done.audio for index, done in job.state.checkpoint.audio.items()}
        out = place.assembly / f"output{job.request.output.suffix.lower()}"
        assembled = await tracks.mux(
            mux,
            source=job.media,
            video=video,
            audio=audio,
            out=out,
            temp=place.temp,
            color=analysed.plan.settings.color,
        )
        await _require_unchanged_sound(job)
        video.path.unlink()
        digest = await job.workshop.store.digest(out)
        assembly = AssemblyDone(assembled=assembled, size_bytes=out.stat().st_size, digest=digest)
        await job.state.record(assembly)
        report.detail = f"{count(len(mux.tracks) + 1, 'track')}, {size(assembly.size_bytes)}"
    return assembly


async def _discard_spoilt(job: JobContext, segments: Sequence[EncodedSegment]) -> None:
    """All at once, or the next run would stop at the next of them."""
    found = await job.workshop.payload([segment.path for segment in segments])
    for encoded, payload in zip(segments, found.each, strict=True):
        if encoded.payload_sha256 != payload:
            await job.state.record(_spoilt("segment", encoded.segment.index))


def _spoilt(what: Literal["segment", "audio"], key: int) -> Discarded:
    return Discarded(what=what, key=key, reason="it is not what was encoded")


async def _require_unchanged_sound(job: JobContext) -> None:
    """That what was put into the container is what was encoded; segments are compared when they
    are joined. Errors: StateError."""
    for index, done in job.state.checkpoint.audio.items():
        path = done.audio.path
        reason = await job.workshop.store.verify(path, done.size_bytes, done.digest)
        if reason is not None:
            await job.state.record(_spoilt("audio", index))
            raise StateError(
                f"Audio track {index} is not what was encoded: {reason}.",
                hint="Run the same command again: it makes that track anew.",
            )


async def validate(
    job: JobContext, analysed: Analysed, mux: MuxPlan, quality: FilmQuality | None
) -> Manifest:
    """Read the finished file back and compare. Errors: ValidationFailedError."""
    await job.state.enter(JobState.VALIDATING)
    assembly = job.state.checkpoint.assembly
    assert assembly is not None
    earlier = await job.place.read_manifest() if job.state.checkpoint.validated else None
    if earlier is not None:
        return earlier
    async with job.reporter.stage(Stage.VALIDATION) as report:
        facts = job.workshop.facts
        source_facts = await facts(
            job.media.path,
            decode={TrackKind.AUDIO},
            streams=tracks_to_read(mux),
            media=job.media,
        )
        done = job.state.checkpoint.segments
        segments = [done[segment.index] for segment in analysed.segments]
        output_facts = await _output_facts(job, assembly.assembled.path, segments)
        settings = analysed.plan.settings
        manifest = Validator().validate(
            video=analysed.video,
            plan=mux,
            settings=settings.model_copy(update={"crf": mean_crf(segments, settings.crf)}),
            source_facts=source_facts,
            output_facts=output_facts,
            metadata=await _compared_metadata(job, analysed, output_facts),
            segments=segments,
            shape_changes=analysed.analysis.shape_changes,
            output=job.request.output,
        )
        manifest = manifest.model_copy(
            update={
                "quality": quality,
                "stages": job.reporter.stage_times,
                "cuts": analysed.analysis.cuts,
                "frame_rate": analysed.video.index.frame_rate,
            }
        )
        await job.place.write_manifest(manifest)
        await job.state.record(Validated(passed=manifest.ok, failed_rows=len(manifest.failed)))
        manifest.raise_if_failed()
        report.detail = _passed(manifest)
    return manifest


async def _output_facts(
    job: JobContext, path: Path, segments: Sequence[EncodedSegment]
) -> FileFacts:
    """The output read to its end; its video is decoded here unless that has been done already."""
    facts = job.workshop.facts
    payload = await job.workshop.payload([segment.path for segment in segments])
    output = await facts(path, decode={TrackKind.AUDIO})
    attested = with_attested_video(output, segments, payload)
    if attested is not None:
        return attested
    total = sum(segment.frames for segment in segments)
    videos = [track.index for track in output.tracks if track.kind is TrackKind.VIDEO]
    decoded = await facts(
        path,
        decode={TrackKind.VIDEO},
        streams=videos,
        media=output.media,
        on_progress=job.reporter.progress(Stage.VALIDATION, total),
    )
    return with_video_of(output, decoded)


async def _compared_metadata(
    job: JobContext, analysed: Analysed, output: FileFacts
) -> ComparedMetadata | None:
    """What the frames of both files carry; None where nothing is to be carried. Errors:
    InputError."""
    plan, video = analysed.plan.settings.dynamic_metadata, analysed.video
    tracks = output.media.of_kind(TrackKind.VIDEO)
    if not plan.is_any or not tracks:
        return None
    reader = job.workshop.metadata
    frame_pts = source_pts(video, 0, len(video.index))
    return ComparedMetadata(
        source=await reader.of_source(video.path, video.stream_index, frame_pts, plan),
        output=await reader.of_output(output.media.path, tracks[0].index),
    )


def _passed(manifest: Manifest) -> str:
    named = len(manifest.named)
    rest = f", {count(named, 'difference')} named in the manifest" if named else ""
    return f"{count(len(manifest.rows), 'check')} passed{rest}"


async def publish(job: JobContext, *, published: bool) -> None:
    """Give the file its name, unless an earlier run already did. Errors: PublishError."""
    await job.state.enter(JobState.PUBLISHING)
    assembly = job.state.checkpoint.assembly
    assert assembly is not None
    async with job.reporter.stage(Stage.PUBLISHING) as report:
        output = job.request.output
        if not published:
            await job.workshop.store.publish(
                assembly.assembled.path,
                output,
                source=job.request.source,
                overwrite=job.request.run.overwrite,
            )
        with anyio.CancelScope(shield=True):  # the file has its name: nothing is left to stop
            await job.state.record(Published(output=output, size_bytes=assembly.size_bytes))
            await job.state.enter(JobState.DONE)
        report.detail = f"{output} was there already" if published else str(output)
