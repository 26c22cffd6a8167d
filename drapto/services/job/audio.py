"""The audio tracks of a job, encoded beside the video."""

from __future__ import annotations

from drapto.core.entries import AudioDone
from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.tracks import MuxPlan, TrackPlan
from drapto.services.assembly.service import copy_instead
from drapto.services.job.context import JobContext


class AudioTracks:
    """Encodes one track after the other: each takes a small part of one core.

    `mux` is the plan as it can be carried out: a track that cannot be encoded is copied.
    """

    def __init__(self, job: JobContext, mux: MuxPlan) -> None:
        self._job = job
        self.mux = mux

    async def encode_all(self) -> None:
        """Errors: InputError if a track can neither be encoded nor copied; ResourceError."""
        checkpoint = self._job.state.checkpoint
        for plan in self.mux.audio_encodings:
            index = plan.source.index
            if index in checkpoint.audio:
                continue
            if checkpoint.assembly is not None:  # what an earlier run assembled without it
                self.mux = copy_instead(self.mux, index, "as in an earlier run")
                continue
            try:
                await self._encode_or_again(plan)
            except ProcessFailedError as error:
                self._copy(index, error.brief)
            except InputError as error:
                self._copy(index, error.message)

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

    def _copy(self, index: int, reason: str) -> None:
        self.mux = copy_instead(self.mux, index, reason)
        self._job.reporter.warn(
            f"Audio track {index} is copied as it is, because encoding it failed: {reason}"
        )
