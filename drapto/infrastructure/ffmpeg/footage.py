"""One side of a comparison: which frames of a file, and which part of their pictures.

    source = Footage.of(source_video, crop=settings.crop)
    output = await output_footage(path)
    source.refuse_unlike(output)          # or nobody could say which frame belongs to which

Frames are told to ffmpeg as encoders are told them: by their timestamps in the frame index, fields
put together and the picture cut in the same way.

Tests: tests/infrastructure/ffmpeg/test_quality.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import anyio.from_thread
import anyio.to_thread

from drapto.core.decoded_times import as_listed
from drapto.core.deinterlacing import UNTOUCHED, Deinterlacing
from drapto.core.errors import InputError
from drapto.core.field_filters import FieldStretch, field_filters
from drapto.core.media import ColorInfo, CropRect, FrameIndex
from drapto.core.opening import input_arguments
from drapto.core.source import SourceVideo
from drapto.core.words import count
from drapto.infrastructure.ffmpeg.frames import build_index
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file

_RGB = ("gbr", "rgb")
# What `scale` converts between; others are compared as they are coded.
_MATRICES = ("bt709", "bt470bg", "smpte170m", "smpte240m", "fcc", "bt2020nc")
_EXACTLY = "flags=accurate_rnd+full_chroma_int+full_chroma_inp"


@dataclass(frozen=True)
class Signal:
    """How coded luma is to be read: both sides of a comparison are brought to one."""

    matrix: str | None  # None: nobody says, so nothing is converted
    range: str

    @classmethod
    def common(cls, source: ColorInfo, output: ColorInfo) -> Signal:
        """As the output says; what it does not say, as in the source. RGB as encoders get it."""
        plain = [color for color in (output, source) if color.matrix not in _RGB]
        matrices = [color.matrix for color in plain if color.matrix]
        ranges = [color.range for color in plain if color.range]
        if len(plain) < 2:
            matrices.append("bt709")
        return cls(matrices[0] if matrices else None, ranges[0] if ranges else "tv")

    def conversion(self, color: ColorInfo) -> list[str]:
        """From what `color` says; what it leaves open is so already."""
        if color.matrix in _RGB:
            return [f"scale=out_color_matrix={self.matrix}:out_range={self.range}"]
        steps = []
        if self.matrix in _MATRICES and color.matrix in _MATRICES and color.matrix != self.matrix:
            steps += [f"in_color_matrix={color.matrix}", f"out_color_matrix={self.matrix}"]
        if color.range and color.range != self.range:
            steps += [f"in_range={color.range}", f"out_range={self.range}"]
        return [":".join(["scale=" + steps[0], *steps[1:], _EXACTLY])] if steps else []


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
    video: SourceVideo | None = field(default=None, repr=False)  # for readers that decode it

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
            video=video,
        )

    def fields(self, start: int, end: int) -> FieldStretch | None:
        """How frames [start, end) are made; None: as they are decoded."""
        if self.work.is_off or self.coded is None:
            return None
        return FieldStretch.of(self.coded, self.index, self.work, start, end)

    def seek_s(self, start: int, end: int, earlier_s: float) -> float | None:
        """Where to begin decoding for frames [start, end), at least `earlier_s` before them; None:
        at the beginning."""
        fields = self.fields(start, end)
        if fields is None or self.coded is None:
            return _seek_s(self.index, start, earlier_s)
        return _seek_s(self.coded, fields.begins_at, earlier_s)

    @property
    def picture(self) -> tuple[int, int]:
        return (self.crop.width, self.crop.height) if self.crop else (self.width, self.height)

    def refuse_unlike(self, output: Footage) -> None:
        """Errors: InputError if `output` does not have the frames and the picture of this one."""
        if len(self.index) != len(output.index):
            raise InputError(
                f"{output.path} cannot be compared with {self.path}: it has "
                f"{count(len(output.index), 'frame')}, not {len(self.index)}, so nobody can say "
                "which frame belongs to which."
            )
        if self.picture != output.picture:
            (w, h), (wanted_w, wanted_h) = output.picture, self.picture
            raise InputError(
                f"{output.path} cannot be compared with {self.path}: its picture is {w}x{h}, and "
                f"{wanted_w}x{wanted_h} of the source is what it should show."
            )
        if not len(output.index):
            raise InputError(f"{output.path} has no frames to compare.")

    def input(self, seek_s: float | None, *decoding: str) -> list[str]:
        """Opened at `seek_s` (None: the beginning) as `services/encoding` does, timestamps as
        stored. `decoding`: more options for the decoder."""
        options = ["-copyts", "-noautorotate", "-reinit_filter", "0", *decoding]
        if seek_s is not None:
            options += ["-seek_timestamp", "1", "-noaccurate_seek", "-ss", f"{seek_s:.6f}"]
        return input_arguments(self.path, *options, "-threads", "1")

    def filters(self, start: int, end: int, pixel_format: str, signal: Signal | None = None) -> str:
        """Frames [start, end), the picture cut out, brought to `pixel_format` and `signal`; without
        one only RGB is converted."""
        signal = signal or Signal.common(self.color, self.color)
        steps = [*self._frames(start, end), f"scale={self.width}:{self.height}"]
        if self.crop is not None:
            steps.append(f"crop={self.crop}:exact=1")
        return ",".join([*steps, *signal.conversion(self.color), f"format={pixel_format}"])

    def _frames(self, start: int, end: int) -> list[str]:
        """Exactly frames [start, end), made of fields where the encoders make them so."""
        fields, index = self.fields(start, end), self.index
        listed = as_listed((self.index if self.coded is None else self.coded).as_decoded)
        if fields is None:
            end_pts = None if end >= len(index) else int(index.pts[end])
            return [*listed, _trim(int(index.pts[start]), end_pts)]
        whole = field_filters(fields, self.width, self.height, self.bit_depth)
        return [*listed, *whole, _trim(fields.shown_first_pts, fields.shown_end_pts)]


async def output_footage(path: Path) -> Footage:
    """The main video of a finished file. Errors: InputError."""

    def look() -> Footage:
        media = probe_file(path)
        track = main_video(media)
        index = build_index(path, track, anyio.from_thread.check_cancelled)
        return Footage.of(SourceVideo(media, track, path, track.index, index))

    return await anyio.to_thread.run_sync(look)


def _seek_s(index: FrameIndex, start: int, earlier_s: float) -> float | None:
    """The time of a key frame before `start`, None for the beginning.

    One key frame earlier than needed: in some containers a seek lands behind its aim.
    """
    key = index.key_before(index.key_before(start) - 1) if index.key_before(start) > 0 else 0
    while key > 0 and index.time_s(start) - index.time_s(key) < earlier_s:
        key = index.key_before(key - 1)
    return index.time_s(key) if key > 0 else None


def _trim(first_pts: int, end_pts: int | None) -> str:
    return f"trim=start_pts={first_pts}" + ("" if end_pts is None else f":end_pts={end_pts}")
