"""VMAF of an encoded video against its source, frame by frame, with ffmpeg's libvmaf.

Frames are paired by their number, never by their time: both sides are trimmed to the same frame
numbers by their own timestamps and numbered afresh. Two videos that do not have equally many frames
are refused, and a stretch in which not every frame came out is measured again from an earlier
seek point, so that one frame is never compared with its neighbour.

    source = Footage.of(source_video, crop=settings.crop)
    output = await output_footage(path)
    quality = await measure_quality(ffmpeg, source, output, scratch_dir=temp, deadline_s=600)

A video of up to WHOLE_FRAMES frames is measured whole; of a longer one WINDOWS stretches of
WINDOW_FRAMES frames, evenly spread. Two outputs of one source are measured at the same frames, so
their difference does not depend on the choice.

For HDR no VMAF model exists. It is measured on the coded signal (PQ or HLG) all the same, because
both sides are judged alike; `Quality.note` says that the figure is a relative one.

Tests: tests/infrastructure/ffmpeg/test_quality.py.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import numpy as np

from drapto.core.deinterlacing import UNTOUCHED, Deinterlacing
from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.field_filters import FieldStretch, field_filters
from drapto.core.interfaces import SourceVideo
from drapto.core.json_text import loads
from drapto.core.media import ColorInfo, CropRect, DynamicRange, FrameIndex
from drapto.core.opening import input_arguments
from drapto.core.output_summary import Quality
from drapto.core.words import count
from drapto.infrastructure.ffmpeg.frames import build_index
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.process import run_process

WHOLE_FRAMES = 3000  # two minutes of film: what a test clip or a trailer has at most
WINDOWS = 10
WINDOW_FRAMES = 240  # ten seconds of film, the longest segment; 24 of all frames make the p1

MODEL = "vmaf_v0.6.1"
MODEL_4K = "vmaf_4k_v0.6.1"
# The 4K model is made for 3840x2160 seen from 1.5 times its height, the other for 1920x1080 from
# 3 times (https://github.com/Netflix/vmaf/blob/master/resource/doc/models.md); the border is the
# middle between both heights and widths.
_4K_WIDTH, _4K_HEIGHT = 2880, 1620

_EARLIER_S = 10.0  # a second attempt starts to decode at least this much earlier
_LOG = "vmaf.json"
_RGB = ("gbr", "rgb")


@dataclass(frozen=True)
class Footage:
    """One of the two videos: where it is, its frames, and which part of the picture counts.

    `width` and `height` are those of the track, which `crop` counts in. A source that cannot
    be addressed by time is named by its rewrapped copy.
    """

    path: Path
    stream_index: int
    index: FrameIndex
    width: int
    height: int
    crop: CropRect | None = None
    color: ColorInfo = field(default_factory=ColorInfo)
    bit_depth: int = 8
    coded: FrameIndex | None = None  # of what is decoded, where `work` makes other frames of it
    work: Deinterlacing = UNTOUCHED

    @classmethod
    def of(cls, video: SourceVideo, crop: CropRect | None = None) -> Footage:
        track = video.track
        return cls(
            path=video.path,
            stream_index=video.stream_index,
            index=video.index,
            width=track.width or 0,
            height=track.height or 0,
            crop=crop,
            color=track.color,
            bit_depth=track.bit_depth or 8,
            coded=video.coded_index,
            work=video.deinterlacing,
        )

    def fields(self, start: int, end: int) -> FieldStretch | None:
        """How frames [start, end) are made; None: as they are decoded."""
        if self.work.is_off or self.coded is None:
            return None
        return FieldStretch.of(self.coded, self.index, self.work, start, end)

    def seek_s(self, start: int, end: int) -> float | None:
        """Where to begin decoding for frames [start, end); None: at the beginning."""
        fields = self.fields(start, end)
        if fields is None or self.coded is None:
            return _seek_s(self.index, start)
        return _seek_s(self.coded, fields.begins_at)

    @property
    def picture(self) -> tuple[int, int]:
        return (self.crop.width, self.crop.height) if self.crop else (self.width, self.height)


async def output_footage(path: Path) -> Footage:
    """The main video of a finished file. Errors: InputError."""

    def look() -> Footage:
        media = probe_file(path)
        track = main_video(media)
        index = build_index(path, track, anyio.from_thread.check_cancelled)
        return Footage.of(SourceVideo(media, track, path, track.index, index))

    return await anyio.to_thread.run_sync(look)


async def measure_quality(
    ffmpeg: Path,
    source: Footage,
    output: Footage,
    *,
    scratch_dir: Path,
    deadline_s: float | None = None,
    threads: int = 1,
    nice: int = 0,
) -> Quality:
    """`deadline_s` is for all stretches together. Logs are kept in `scratch_dir` while they last.

    Errors: InputError if the two do not have the same frames or picture, ProcessFailedError
    (past its deadline included), MissingToolError.
    """
    _refuse_unlike(source, output)
    model = _model(*output.picture)
    scores: list[float] = []
    stretches = windows(len(output.index))
    ends_at = None if deadline_s is None else anyio.current_time() + deadline_s
    for start, end in stretches:
        left_s = None if ends_at is None else max(0.1, ends_at - anyio.current_time())
        scores += await _measure(
            ffmpeg, source, output, start, end, model, scratch_dir, left_s, threads, nice
        )
    return Quality(
        mean=round(float(np.mean(scores)), 4),
        p1=round(float(np.percentile(scores, 1)), 4),
        frames=len(scores),
        windows=len(stretches),
        model=model,
        note=_note(source.color),
    )


def windows(frames: int) -> tuple[tuple[int, int], ...]:
    """The ranges [start, end) that are measured: the middles of equal parts, or all of it."""
    if frames <= WHOLE_FRAMES:
        return ((0, frames),)
    middles = [round((i + 0.5) * frames / WINDOWS) for i in range(WINDOWS)]
    return tuple((m - WINDOW_FRAMES // 2, m + WINDOW_FRAMES // 2) for m in middles)


def quality_command(
    ffmpeg: Path,
    source: Footage,
    output: Footage,
    start: int,
    end: int,
    *,
    model: str,
    threads: int = 1,
    from_beginning: bool = False,
) -> list[str]:
    """Compares frames [start, end) of both; the log is written in the working directory."""
    graph = (
        f"[0:{output.stream_index}]{_filters(output, start, end, None)}[out];"
        f"[1:{source.stream_index}]{_filters(source, start, end, output.color)}[ref];"
        # Without `shortest` the last frame of the shorter side is repeated.
        f"[out][ref]libvmaf=shortest=1:n_threads={threads}:model=version={model}"
        f":log_fmt=json:log_path={_LOG}"
    )
    return [
        *(str(ffmpeg), "-nostdin", "-hide_banner", "-v", "error"),
        *_input(output, None if from_beginning else output.seek_s(start, end)),
        *_input(source, None if from_beginning else source.seek_s(start, end)),
        *("-filter_complex_threads", str(threads), "-lavfi", graph, "-f", "null", "-"),
    ]


async def _measure(
    ffmpeg: Path,
    source: Footage,
    output: Footage,
    start: int,
    end: int,
    model: str,
    scratch_dir: Path,
    deadline_s: float | None,
    threads: int,
    nice: int,
) -> list[float]:
    """VMAF of each frame of [start, end). The last attempt decodes from the beginning."""
    got = 0
    ends_at = None if deadline_s is None else anyio.current_time() + deadline_s
    for from_beginning in (False, True) if start else (True,):
        command = quality_command(
            ffmpeg, source, output, start, end,
            model=model, threads=threads, from_beginning=from_beginning,
        )  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="vmaf-", dir=scratch_dir) as directory:
            await run_process(
                command,
                what=f"Measuring VMAF of {output.path}",
                cwd=Path(directory),
                deadline_s=None if ends_at is None else max(0.1, ends_at - anyio.current_time()),
                nice=nice,
            )
            scores = parse_log(Path(directory) / _LOG)
        if len(scores) == end - start:
            return scores
        got = len(scores)
    raise InputError(
        f"VMAF of {output.path} against {source.path} cannot be measured: of frames "
        f"[{start}, {end}) only {got} of {end - start} could be decoded on both sides.",
        hint="Read both files from end to end: one of them is damaged.",
    )


def parse_log(path: Path) -> list[float]:
    """The score of each frame, in order. Errors: ProcessFailedError if there is no such log."""
    try:
        frames = loads(path.read_bytes())["frames"]
        return [float(frame["metrics"]["vmaf"]) for frame in frames]
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise ProcessFailedError(
            f"Reading what libvmaf wrote failed ({type(error).__name__})",
            command=("libvmaf", str(path)),
            returncode=0,
            stderr_tail=str(error),
        ) from error


def _refuse_unlike(source: Footage, output: Footage) -> None:
    if len(source.index) != len(output.index):
        raise InputError(
            f"{output.path} cannot be compared with {source.path}: it has "
            f"{count(len(output.index), 'frame')}, not {len(source.index)}, so nobody can say "
            "which frame belongs to which."
        )
    if source.picture != output.picture:
        (w, h), (wanted_w, wanted_h) = output.picture, source.picture
        raise InputError(
            f"{output.path} cannot be compared with {source.path}: its picture is {w}x{h}, and "
            f"{wanted_w}x{wanted_h} of the source was to be encoded."
        )
    if not len(output.index):
        raise InputError(f"{output.path} has no frames to compare.")


def _input(side: Footage, seek_s: float | None) -> list[str]:
    """Open at a key frame before `start`: as `services/encoding` does, timestamps as stored."""
    options = ["-copyts", "-noautorotate", "-reinit_filter", "0"]
    if seek_s is not None:
        options += ["-seek_timestamp", "1", "-noaccurate_seek", "-ss", f"{seek_s:.6f}"]
    return input_arguments(side.path, *options, "-threads", "1")


def _seek_s(index: FrameIndex, start: int) -> float | None:
    """The time of a key frame well before `start`, None for the beginning.

    One key frame earlier than needed: in some containers a seek lands behind its aim.
    """
    key = index.key_before(index.key_before(start) - 1) if index.key_before(start) > 0 else 0
    while key > 0 and index.time_s(start) - index.time_s(key) < _EARLIER_S:
        key = index.key_before(key - 1)
    return index.time_s(key) if key > 0 else None


def _frames(side: Footage, start: int, end: int) -> list[str]:
    """Exactly frames [start, end), made of fields where the encoders make them so."""
    fields = side.fields(start, end)
    if fields is None:
        first, index = int(side.index.pts[start]), side.index
        return [_trim(first, None if end >= len(index) else int(index.pts[end]))]
    whole = field_filters(fields, side.width, side.height, side.bit_depth)
    return [*whole, _trim(fields.shown_first_pts, fields.shown_end_pts)]


def _trim(first_pts: int, end_pts: int | None) -> str:
    return f"trim=start_pts={first_pts}" + ("" if end_pts is None else f":end_pts={end_pts}")


def _filters(side: Footage, start: int, end: int, like: ColorInfo | None) -> str:
    """Trim by timestamp, number from 0, take the picture; `like`: convert RGB to that colour."""
    steps = [
        *_frames(side, start, end),
        "settb=1/25",
        "setpts=N",
        f"scale={side.width}:{side.height}",
    ]
    if side.crop is not None:
        steps.append(f"crop={side.crop}:exact=1")
    if like is not None and side.color.matrix in _RGB:
        steps.append("scale=out_color_matrix=bt709:out_range=tv")
    return ",".join([*steps, "format=yuv420p10le"])


def _model(width: int, height: int) -> str:
    return MODEL_4K if width >= _4K_WIDTH or height >= _4K_HEIGHT else MODEL


def _note(color: ColorInfo) -> str:
    if color.dynamic_range is DynamicRange.SDR:
        return ""
    return (
        f"VMAF has no model for {color.dynamic_range.value}: measured on the coded signal, good "
        "only for comparing two outputs of the same source."
    )
