"""The audio tracks of a job, encoded beside the video."""

from __future__ import annotations

from fractions import Fraction

from drapto.core.audio_clock import Picture
from drapto.core.entries import AudioDone
from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.manifest import RowOutcome
from drapto.core.media import TrackKind
from drapto.core.source import SourceVideo
from drapto.core.tracks import MuxPlan, TrackPlan
from drapto.services.assembly.changes import (
    can_hold,
    copy_instead,
    drop_instead,
    leaps_said,
    mend_leaps,
)
from drapto.services.job.context import JobContext
from drapto.services.validation.sound import copy_rows


class AudioTracks:
    """Encodes one track after the other: each takes a small part of one core.

    `mux` is the plan as it can be carried out: timestamps that leap are mended, a track that
    cannot be encoded is copied, and one that cannot be copied either is dropped.
    """

    def __init__(self, job: JobContext, video: SourceVideo, mux: MuxPlan) -> None:
        self._job = job
        self._picture = _picture(video)
        self.mux = mux

    async def encode_all(self) -> None:
        """Errors: InputError if a track would be lost and that is refused; ResourceError."""
        await self._mend()
        checkpoint = self._job.state.checkpoint
        for plan in self.mux.audio_encodings:
            if plan.source.index in checkpoint.audio:
                continue
            if checkpoint.assembly is not None:  # what an earlier run assembled without it
                await self._do_without(plan, "as in an earlier run")
                continue
            try:
                await self._encode_or_again(plan)
            except ProcessFailedError as error:
                await self._do_without(plan, error.brief)
            except InputError as error:
                await self._do_without(plan, error.message)

    async def _mend(self) -> None:
        """Look for timestamps that cannot be true in every track that will be in the output."""
        job = self._job
        sound = [t.source.index for t in self.mux.tracks if t.source.kind is TrackKind.AUDIO]
        if not sound:
            return
        found = await job.workshop.tracks.audio_leaps(job.media, sound, self._picture)
        self.mux = mend_leaps(self.mux, found)
        for index, leaps in found.items():
            if leaps:
                job.reporter.warn(f"Audio track {index}: {leaps_said(leaps)}.")

    async def _encode_or_again(self, plan: TrackPlan) -> None:
        """A second attempt: an encoder may also be killed from outside."""
        try:
            await self._encode(plan)
        except ProcessFailedError:
            await self._encode(plan)

    async def _encode(self, plan: TrackPlan) -> None:
        job, index = self._job, plan.source.index
        out = job.place.audio / f"{index}.opus"
        made = await job.workshop.tracks.encode_audio(job.media, plan, out, lambda _seconds: None)
        digest = await job.workshop.store.digest(out)
        await job.state.record(AudioDone(audio=made, size_bytes=out.stat().st_size, digest=digest))

    async def _do_without(self, plan: TrackPlan, reason: str) -> None:
        """Without the encoding: copy the track, or drop it where a copy would not be whole."""
        index, container = plan.source.index, self.mux.container
        copied = copy_instead(self.mux, index, reason)
        if not can_hold(self.mux, plan):
            lost = f"{container} cannot hold it as it is"
        elif (fault := await self._fault_of_copy(copied, index)) is not None:
            lost = f"its copy in {container} cannot be read ({fault})"
        else:
            self.mux = copied
            self._job.reporter.warn(
                f"Audio track {index} is copied as it is, because encoding it failed: {reason}"
            )
            return
        why = f"encoding it failed ({reason}), and {lost}"
        strict = self._job.request.options.strict_tracks
        self.mux = drop_instead(self.mux, index, why, strict=strict)
        self._job.reporter.warn(f"Audio track {index} is left out: {why}.")

    async def _fault_of_copy(self, mux: MuxPlan, index: int) -> str | None:
        """Copy the track by itself and read it back, as validation will; None if all is well."""
        job = self._job
        track = next(t for t in mux.tracks if t.source.index == index)
        out = job.place.temp / f"copy-{index}.{mux.container}"
        try:
            await job.workshop.tracks.copy_audio(job.media, track, out, mux.container)
            before = await job.workshop.facts(
                job.media.path, decode={TrackKind.AUDIO}, streams=[index], media=job.media
            )
            after = await job.workshop.facts(out, decode={TrackKind.AUDIO})
        except ProcessFailedError as error:
            return error.brief
        finally:
            out.unlink(missing_ok=True)
        return next(
            (str(row) for row in copy_rows(track, before, after) if row.outcome is RowOutcome.FAIL),
            None,
        )


def _picture(video: SourceVideo) -> Picture:
    """When the picture is shown on the clock of the source itself."""
    index, late_s = video.index, video.late_s
    if not len(index):
        return Picture(Fraction(0), Fraction(0))
    start_s, end_s = int(index.pts[0]) * index.time_base, index.end_pts * index.time_base
    return Picture(start_s - late_s, end_s - late_s)
