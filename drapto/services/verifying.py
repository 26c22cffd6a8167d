"""What of a source an output has to be compared with: which track, which frames, which picture.

    shown, crop = await shown_source(reader, luma, path, made, options, frames, scratch)

Of an output of Drapto the kept manifest (`made`) says what was cut off and how fields were put
together; of any other the caller does. Tests: tests/end_to_end/test_verify.py.
"""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from drapto.core.analysis import FieldOrder
from drapto.core.deinterlacing import UNTOUCHED, Deinterlacing, Method
from drapto.core.errors import UsageError
from drapto.core.interfaces import LumaReader, MediaReader
from drapto.core.manifest import Manifest
from drapto.core.media import CropRect, MediaInfo, Track
from drapto.core.source import SourceVideo
from drapto.core.verification import VerifyOptions
from drapto.services.detection.pulldown import inverse_telecine

_SMALL = 144  # rows of a picture that is looked at for what its stream says of it


async def shown_source(
    reader: MediaReader,
    luma: LumaReader,
    path: Path,
    made: Manifest | None,
    options: VerifyOptions,
    output_frames: int,
    scratch: Path,
) -> tuple[SourceVideo, CropRect | None]:
    """The source's frames as they were to be shown, and the part of them that counts.

    Errors: InputError, UsageError.
    """
    media = await reader.probe(path)
    track = _track(reader, media, made, options)
    if made is not None and (track.width, track.height) != (
        made.settings.source_width,
        made.settings.source_height,
    ):
        made = None  # it tells of another source
    video = await reader.open_video(media, track, scratch)
    work = await _deinterlacing(reader, luma, video, made, options)
    if len(video.deinterlaced(work).index) > output_frames:
        # Frames that cannot be decoded are in the index and in no output: ask the decoder.
        video = await reader.corrected(video)
        work = await _deinterlacing(reader, luma, video, made, options)
    return video.deinterlaced(work), _crop(track, made, options)


def way_out(source_frames: int, output_frames: int, crop: CropRect | None) -> str:
    """Which option tells how the output was made, where the two cannot be compared."""
    if source_frames != output_frames:
        return (
            "Where fields were put together, --deinterlace bwdif, bob or ivtc says how; frames "
            "that were dropped or doubled otherwise are never guessed."
        )
    if crop is None:
        return (
            "Say with --crop W:H:X:Y which part of the source the output shows; a picture that was "
            "scaled or turned cannot be measured."
        )
    return f"The crop {crop} does not leave that picture; --crop W:H:X:Y names another."


def _track(
    reader: MediaReader, media: MediaInfo, made: Manifest | None, options: VerifyOptions
) -> Track:
    """What was asked for, or what was encoded, or the main one."""
    if options.video_stream is None and made is not None:
        encoded = {t.source_index for t in made.tracks if t.action == "encoded"}
        for track in media.tracks:
            if track.index in encoded and track.width:
                return track
    return reader.main_video(media, options.video_stream)


def _crop(track: Track, made: Manifest | None, options: VerifyOptions) -> CropRect | None:
    """Errors: UsageError if it reaches beyond the picture."""
    crop = options.crop
    if isinstance(crop, CropRect):
        width, height = track.width or 0, track.height or 0
        if crop.x + crop.width > width or crop.y + crop.height > height:
            raise UsageError(f"The crop {crop} does not lie within the picture, {width}x{height}.")
        return crop
    return made.settings.crop if made is not None and options.crop == "auto" else None


async def _deinterlacing(
    reader: MediaReader,
    luma: LumaReader,
    video: SourceVideo,
    made: Manifest | None,
    options: VerifyOptions,
) -> Deinterlacing:
    if options.deinterlace == "auto":
        work = made.settings.deinterlacing if made is not None else UNTOUCHED
    elif options.deinterlace == "off":
        work = UNTOUCHED
    else:
        order = await anyio.to_thread.run_sync(_field_order, luma, video)
        work = Deinterlacing(method=Method(options.deinterlace), field_order=order)
    return await with_left_out(reader, video, work)


async def with_left_out(
    reader: MediaReader, video: SourceVideo, work: Deinterlacing
) -> Deinterlacing:
    """With the frames that inverse telecine leaves out, which manifests do not list: they follow
    from the source alone. Decodes it once for that. Errors: InputError."""
    if work.method is not Method.IVTC or work.dropped:
        return work
    fields = await reader.field_series(video, work.field_order, lambda _frames: None)
    return inverse_telecine(fields, work.field_order)


def _field_order(luma: LumaReader, video: SourceVideo) -> FieldOrder:
    """As the first frame says of itself; most that say nothing are top field first."""
    for frame in luma.frames(video, max_height=_SMALL):
        if frame.interlaced and not frame.top_field_first:
            return FieldOrder.BOTTOM_FIRST
        break
    return FieldOrder.TOP_FIRST
