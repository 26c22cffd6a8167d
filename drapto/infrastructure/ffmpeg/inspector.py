"""Takes over a finished segment file: its frames' dynamic metadata, one decode that counts its
frames, a hash, the quality where it is wanted, the rename.

Whoever writes the file, ffmpeg started by us or a script, what came out is counted in the same
way, and frames get their HDR10+ and Dolby Vision metadata here, whatever the encoder made of it.
The file appears under its own name only after that.
"""

from __future__ import annotations

from pathlib import Path

import anyio

from drapto.core.interfaces import ProcessUse
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.infrastructure.ffmpeg.decode import decode_segment
from drapto.infrastructure.ffmpeg.metadata_insertion import insert
from drapto.infrastructure.ffmpeg.segment_quality import SegmentMeasurer
from drapto.infrastructure.files import give_name, translate
from drapto.infrastructure.fingerprint import file_digest


class DecodingInspector:
    """`measurer` is asked for what a task wants measured; it may be None where none ever does."""

    def __init__(self, measurer: SegmentMeasurer | None = None) -> None:
        self._measurer = measurer

    async def accept(self, task: SegmentTask, written: Path, use: ProcessUse) -> EncodedSegment:
        """Errors: PublishError if there is no such file, ResourceError if the disk fails;
        InputError if the source's metadata cannot be read any more; ProcessFailedError if it
        cannot be measured."""
        try:
            return await self._accept(task, written, use)
        except OSError as error:
            raise translate(error, f"The finished segment {written} cannot be read back") from error

    async def _accept(self, task: SegmentTask, written: Path, use: ProcessUse) -> EncodedSegment:
        if task.settings.dynamic_metadata.is_any:
            await insert(task, written)
        size_bytes = (await anyio.Path(written).stat()).st_size
        decoded = await decode_segment(written)
        digest = await file_digest(written)
        quality = None
        if task.measuring is not None and decoded.frames == task.segment.frames:
            assert self._measurer is not None
            quality = await self._measurer.measure(task, written)
        give_name(written, task.output)
        return EncodedSegment(
            segment=task.segment,
            path=task.output,
            frames=decoded.frames,
            size_bytes=size_bytes,
            digest=digest,
            payload_sha256=decoded.payload_sha256,
            forms=decoded.forms,
            attempt=task.attempt,
            crf=task.settings.crf,
            quality=quality,
            wall_s=use.wall_s,
            cpu_s=use.cpu_s,
            peak_rss_bytes=use.peak_rss_bytes,
        )
