"""What the legacy scripts are told, as environment variables: `docs/legacy-contract.md`.

Plain data: a variable without a value is there and empty. Paths are absolute.
"""

from __future__ import annotations

from pathlib import Path

from drapto.core.field_filters import field_filters
from drapto.core.job import EncodeOptions
from drapto.core.media import ColorInfo
from drapto.core.segments import SegmentTask
from drapto.core.source import SourceVideo
from drapto.services.encoding.command import encoded_color, number
from drapto.services.legacy.contract import mastering_text


def source_variables(video: SourceVideo) -> dict[str, str]:
    return {
        "DRAPTO_INPUT": str(video.path.absolute()),
        "DRAPTO_STREAM": str(video.stream_index),
        "DRAPTO_FRAMES": str(len(video.index)),
        "DRAPTO_FRAME_RATE": _fraction(video.index.frame_rate),
    }


def detection_variables(video: SourceVideo, options: EncodeOptions) -> dict[str, str]:
    return {**source_variables(video), "DRAPTO_CROP": str(options.crop)}


def segmentation_variables(
    video: SourceVideo, options: EncodeOptions, directory: Path
) -> dict[str, str]:
    return {
        **source_variables(video),
        "DRAPTO_OUTPUT_DIR": str(directory.absolute()),
        "DRAPTO_MIN_SEGMENT_S": number(options.min_segment_s),
        "DRAPTO_MAX_SEGMENT_S": number(options.max_segment_s),
    }


def encoding_variables(
    task: SegmentTask, output: Path, *, file: Path | None, vmaf_target: float | None
) -> dict[str, str]:
    """`file` is the segment as a file of its own; None: the range of the source is to be read."""
    settings = task.settings
    return {
        **(_range_of_source(task) if file is None else _whole_file(file)),
        "DRAPTO_OUTPUT": str(output.absolute()),
        "DRAPTO_FRAMES": str(task.segment.frames),
        "DRAPTO_FRAME_RATE": _fraction(settings.frame_rate),
        "DRAPTO_ENCODER": settings.encoder,
        "DRAPTO_CRF": number(settings.crf),
        "DRAPTO_PRESET": str(settings.preset),
        "DRAPTO_VMAF_TARGET": "" if vmaf_target is None else number(vmaf_target),
        "DRAPTO_FILM_GRAIN": str(settings.film_grain),
        "DRAPTO_KEYINT": str(settings.keyint),
        "DRAPTO_THREADS": str(task.lp),
        "DRAPTO_DEINTERLACE": _deinterlace(task),
        "DRAPTO_CROP": "" if settings.crop is None else str(settings.crop),
        "DRAPTO_WIDTH": str(settings.width),
        "DRAPTO_HEIGHT": str(settings.height),
        **_color(settings.color),
    }


def _deinterlace(task: SegmentTask) -> str:
    settings = task.settings
    if task.fields is None:
        return ""
    size = settings.source_width, settings.source_height
    return ",".join(field_filters(task.fields, *size, settings.source_bit_depth))


def _whole_file(file: Path) -> dict[str, str]:
    ranged = ("DRAPTO_TIME_BASE", "DRAPTO_FIRST_PTS", "DRAPTO_END_PTS", "DRAPTO_SEEK_S")
    return {
        "DRAPTO_INPUT": str(file.absolute()),
        "DRAPTO_STREAM": "0",
        **dict.fromkeys(ranged, ""),
    }


def _range_of_source(task: SegmentTask) -> dict[str, str]:
    return {
        "DRAPTO_INPUT": str(task.source.absolute()),
        "DRAPTO_STREAM": str(task.stream_index),
        "DRAPTO_TIME_BASE": _fraction(task.time_base),
        "DRAPTO_FIRST_PTS": str(task.first_pts),
        "DRAPTO_END_PTS": "" if task.end_pts is None else str(task.end_pts),
        "DRAPTO_SEEK_S": "" if task.seek_s is None else f"{task.seek_s:.6f}",
    }


def _color(color: ColorInfo) -> dict[str, str]:
    target = encoded_color(color)
    mastering, light = target.mastering_display, target.content_light
    return {
        "DRAPTO_DYNAMIC_RANGE": target.dynamic_range.value,
        "DRAPTO_COLOR_PRIMARIES": target.primaries or "",
        "DRAPTO_COLOR_TRANSFER": target.transfer or "",
        "DRAPTO_COLOR_MATRIX": target.matrix or "",
        "DRAPTO_COLOR_RANGE": target.range or "",
        "DRAPTO_CHROMA_LOCATION": target.chroma_location or "",
        "DRAPTO_MASTERING_DISPLAY": "" if mastering is None else mastering_text(mastering),
        "DRAPTO_CONTENT_LIGHT": "" if light is None else f"{light.max_cll},{light.max_fall}",
    }


def _fraction(value: object) -> str:
    """'24000/1001', and '25/1' for a whole number."""
    text = str(value)
    return text if "/" in text else f"{text}/1"
