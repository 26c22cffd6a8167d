"""Measures any output against its source: `drapto verify`. Loaded where something is verified.

Both are brought to the same frames and the same picture first. Of an output of Drapto the kept
manifest says what was cut off and how fields were put together; of any other the caller does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio.to_thread

from drapto.core.analysis import FieldOrder
from drapto.core.deinterlacing import UNTOUCHED, Deinterlacing, Method
from drapto.core.errors import InputError, UsageError
from drapto.core.interfaces import QualityMetric
from drapto.core.manifest import Manifest
from drapto.core.media import CropRect, MediaInfo, Track
from drapto.core.quality import Metric
from drapto.core.source import SourceVideo
from drapto.core.verification import (
    Verification,
    VerifyOptions,
    notes_on,
    suited_metric,
    worst_moments,
)
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.metric_check import check_metric
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.pairing import FramesDone, Means, Pair
from drapto.infrastructure.ffmpeg.quality import measure_whole
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.machine import cpu_cores
from drapto.infrastructure.manifests import find_manifest
from drapto.infrastructure.settings import Settings
from drapto.services.detection.pulldown import inverse_telecine


async def verify(
    settings: Settings, source: Path, output: Path, options: VerifyOptions, on_frames: FramesDone
) -> Verification:
    """Errors: InputError if the two cannot be compared frame by frame, UsageError,
    MissingToolError, ProcessFailedError, ResourceError."""
    ffmpeg = find_ffmpeg(settings.ffmpeg)
    made = _made_by_drapto(output, settings.state_dir)
    with tempfile.TemporaryDirectory(prefix="drapto-verify-") as scratch:
        shown = await output_footage(output)
        original = await _source(PyAvReader(ffmpeg), source, made, options, shown, Path(scratch))
        metric = _metric(options, original, shown)
        await check_metric(ffmpeg, metric)
        pair = _paired(original, shown, metric)
        found = await measure_whole(
            pair,
            Means(ffmpeg, Path(scratch), threads=cpu_cores()),
            every=options.every_for(metric.metric),
            on_frames=on_frames,
        )
    measuring = found.measuring
    return Verification(
        source=source,
        output=output,
        metric=measuring.metric,
        model=measuring.model,
        every=measuring.every,
        frames=pair.frames,
        quality=found.quality,
        worst=worst_moments(found.values, measuring.every, shown.index),
        crop=original.crop,
        deinterlacing=original.work.method,
        notes=notes_on(measuring.metric, original.color, shown.color),
    )


def _made_by_drapto(output: Path, state_dir: Path) -> Manifest | None:
    """None where nothing is known of this very file."""
    try:
        return find_manifest(output, state_dir)
    except InputError:
        return None


def _metric(options: VerifyOptions, source: Footage, output: Footage) -> QualityMetric:
    suited = Metric.VMAF if options.neg else suited_metric(source.color, output.color)
    metric = options.metric or suited
    if options.neg and metric is not Metric.VMAF:
        raise UsageError(
            f"There is no NEG model of {metric.value.upper()}, only of VMAF.",
            hint="Leave out --neg or --metric.",
        )
    return metric_for(metric, neg=options.neg)


async def _source(
    reader: PyAvReader,
    path: Path,
    made: Manifest | None,
    options: VerifyOptions,
    output: Footage,
    scratch: Path,
) -> Footage:
    """The source's frames as they were to be shown."""
    media = await reader.probe(path)
    track = _track(reader, media, made, options)
    if made is not None and (track.width, track.height) != (
        made.settings.source_width,
        made.settings.source_height,
    ):
        made = None  # it tells of another source
    video = await reader.open_video(media, track, scratch)
    work = await _deinterlacing(reader, video, made, options)
    if len(video.deinterlaced(work).index) > len(output.index):
        # Frames that cannot be decoded are in the index and in no output: ask the decoder.
        video = await reader.corrected(video)
        work = await _deinterlacing(reader, video, made, options)
    return Footage.of(video.deinterlaced(work), crop=_crop(track, made, options))


def _track(
    reader: PyAvReader, media: MediaInfo, made: Manifest | None, options: VerifyOptions
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
    reader: PyAvReader, video: SourceVideo, made: Manifest | None, options: VerifyOptions
) -> Deinterlacing:
    """With the frames that inverse telecine leaves out, which follow from the source alone."""
    if options.deinterlace == "auto":
        work = made.settings.deinterlacing if made is not None else UNTOUCHED
    elif options.deinterlace == "off":
        work = UNTOUCHED
    else:
        order = await anyio.to_thread.run_sync(_field_order, video)
        work = Deinterlacing(method=Method(options.deinterlace), field_order=order)
    if work.method is not Method.IVTC:
        return work
    fields = await reader.field_series(video, work.field_order, lambda _frames: None)
    return inverse_telecine(fields, work.field_order)


def _field_order(video: SourceVideo) -> FieldOrder:
    """As the first frame says of itself; most that say nothing are top field first."""
    for frame in PyAvLumaReader().frames(video, max_height=144):
        if frame.interlaced and not frame.top_field_first:
            return FieldOrder.BOTTOM_FIRST
        break
    return FieldOrder.TOP_FIRST


def _paired(source: Footage, output: Footage, metric: QualityMetric) -> Pair:
    """Errors: InputError, saying which option tells how the output was made."""
    try:
        return Pair(source, output, metric)
    except InputError as error:
        raise InputError(error.message, hint=_hint(source, output)) from error


def _hint(source: Footage, output: Footage) -> str:
    if len(source.index) != len(output.index):
        return (
            "Where fields were put together, --deinterlace bwdif, bob or ivtc says how; frames "
            "that were dropped or doubled otherwise are never guessed."
        )
    if source.crop is None:
        return (
            "Say with --crop W:H:X:Y which part of the source the output shows; a picture that was "
            "scaled or turned cannot be measured."
        )
    return f"The crop {source.crop} does not leave that picture; --crop W:H:X:Y names another."
