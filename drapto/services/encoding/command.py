"""The part of an encode command that all encoders share: reading exactly the right frames.

The decoder is put at a key frame before the segment, and `trim` keeps the frames whose
timestamps lie in [first_pts, end_pts). Timestamps are the source's own (`-copyts`), so a frame
is known by its timestamp and never by counting from wherever a seek happened to land.
Inside the segment file timestamps are frame numbers; assembly puts the real ones back.
"""

from __future__ import annotations

from drapto.core import opening
from drapto.core.decoded_times import as_listed
from drapto.core.field_filters import field_filters
from drapto.core.media import ColorInfo
from drapto.core.segments import SegmentTask, VideoSettings

# ffmpeg's decoders name these matrices for RGB; AV1 here is 4:2:0, so they must be converted.
RGB_MATRICES = frozenset({"gbr", "rgb"})


def encoded_color(color: ColorInfo) -> ColorInfo:
    """The colour tags of the encoded picture: the source's, but RGB becomes BT.709 video range."""
    if color.matrix in RGB_MATRICES:
        return color.model_copy(update={"matrix": "bt709", "range": "tv"})
    return color


def input_arguments(task: SegmentTask) -> list[str]:
    """The source as the only input, and its stream as the only one of the output."""
    return [*source_arguments(task), "-map", f"0:{task.stream_index}"]


def source_arguments(task: SegmentTask) -> list[str]:
    """Open the source at the seek point of this attempt; nothing but plain files is opened."""
    seek = [] if task.seek_s is None else ["-ss", f"{task.seek_s:.6f}"]
    options = [
        *("-copyts", "-seek_timestamp", "1", "-noaccurate_seek", "-noautorotate"),
        *("-threads", "1"),  # of the decoder: more cost a quarter of its CPU time and gain nothing
        *("-reinit_filter", "0"),  # see filter_graph
        *seek,
    ]
    return opening.input_arguments(task.source, *options)


def filter_graph(task: SegmentTask, pixel_format: str) -> str:
    """Make whole pictures of fields, trim to the segment, number the frames, scale, crop, stamp the
    colour, set the format. Fields come first: what scales or crops would mix their lines.

    A picture that changes its size or pixel format midway would make ffmpeg build the graph
    anew, which numbers the frames from 0 again. So the graph stays (`-reinit_filter 0`), and
    every picture is brought to the size of the track, in which the crop counts.
    """
    settings = task.settings
    end = "" if task.end_pts is None else f":end_pts={task.end_pts}"
    rate = settings.frame_rate
    filters = [
        *as_listed(task.as_decoded),
        *_whole_pictures(task),
        f"trim=start_pts={task.first_pts}{end}",
        f"settb={rate.denominator}/{rate.numerator}",
        "setpts=N:strip_fps=1",
    ]
    filters += _picture(settings)
    filters += _stamp(settings.color)
    filters.append(f"format={pixel_format}")
    if settings.color.chroma_location is not None:  # scaling forgets it
        filters.append(f"setparams=chroma_location={settings.color.chroma_location}")
    return ",".join(filters)


def _whole_pictures(task: SegmentTask) -> list[str]:
    """Nothing whatsoever where frames are taken as they are decoded."""
    if task.fields is None:
        return []
    settings = task.settings
    size = settings.source_width, settings.source_height
    return field_filters(task.fields, *size, settings.source_bit_depth)


def output_arguments(task: SegmentTask) -> list[str]:
    """One plain Matroska file with nothing in it that differs from run to run."""
    return [
        *("-fps_mode", "passthrough", "-enc_time_base", "filter"),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
        *("-f", "matroska", "-y", opening.file_url(task.output)),
    ]


def _picture(settings: VideoSettings) -> list[str]:
    """Size, crop and matrix.

    `scale` hands on untouched what has the size already. Before a crop it must do no more than
    scale: chroma that is converted beside a black bar takes from it. So another `scale` follows,
    which leaves the first with the pixel format that the decoder began with.
    """
    size = f"{settings.source_width}:{settings.source_height}"
    target = encoded_color(settings.color)
    matrix = ""
    if target.matrix != settings.color.matrix:
        matrix = f"out_color_matrix={target.matrix}:out_range={target.range}"
    if settings.crop is None:
        return [f"scale={size}:{matrix}".rstrip(":")]
    return [f"scale={size}", f"crop={settings.crop}:exact=1", f"scale={matrix}".rstrip("=")]


def _stamp(color: ColorInfo) -> list[str]:
    target = encoded_color(color)
    tags = {
        "color_primaries": target.primaries,
        "color_trc": target.transfer,
        "colorspace": target.matrix,
        "range": target.range,
    }
    given = ":".join(f"{name}={value}" for name, value in tags.items() if value)
    return [f"setparams={given}"] if given else []


def number(value: float) -> str:
    """A number as encoders read it: '30', '30.25'."""
    return f"{value:g}"
