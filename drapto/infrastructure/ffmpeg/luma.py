"""Decode one video stream once, in display order, for its luma alone; or a stretch of it.

`PyAvLumaReader` implements `LumaReader` of core/interfaces.py. What it promises:

- One threaded decoding pass (FFmpeg's frame or slice threads, as the codec allows). The
  decoder works on the next frames while the caller looks at this one: neither FFmpeg nor
  OpenCV holds the interpreter lock.
- `LumaFrame.full` is plane 0 of the decoded frame itself, seen through its stride; nothing is
  copied. Only formats whose first plane is not plain luma (RGB, packed, palettes, P010 and its
  kin, big-endian) are converted, by swscale, to planar YCbCr at limited range; and a frame of
  another size than the track's is scaled to it first, as it is for the encoders.
- `LumaFrame.luma` is the plane halved until it fits `max_height`. Halving by exact 2x2 means
  is the one reduction that OpenCV vectorises: 1080p by 8 takes a third of the time of a
  single INTER_AREA step. Rows or columns that a factor leaves over (at most factor-1, at the
  bottom and right) are not seen in it.
- Frames that an edit list discards do not appear: the decoder drops them.
- A packet that cannot be decoded never ends the pass. Frames that show it are `damaged`:
  infrastructure/ffmpeg/pictures.py says which.

    for frame in PyAvLumaReader().frames(video, max_height=144):
        ...
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import PictureShape
from drapto.core.source import LumaFrame, SourceVideo
from drapto.infrastructure.ffmpeg.pictures import (
    MAX_THREADS,
    Picture,
    all_pictures,
    stretch_of_pictures,
)

if TYPE_CHECKING:
    import av

# Formats whose plane 0 is luma in the low bits of a native sample.
_PLANAR_8 = re.compile(r"yuva?j?4[0-4]{2}p|gray8?|nv(12|16|21|24|42)")
_PLANAR_16 = re.compile(r"(yuva?4[0-4]{2}p|gray)(9|10|12|14|16)le")


@dataclass(frozen=True)
class _Layout:
    """How plane 0 of a pixel format is read; `convert_to` None if it can be read as it is."""

    bit_depth: int
    convert_to: str | None


@dataclass(frozen=True, eq=False)
class Planes:
    """`full` and `luma` as in `LumaFrame`; an array of a device will do for `full`."""

    full: npt.NDArray[Any]
    luma: npt.NDArray[np.uint8]
    bit_depth: int


class PyAvLumaReader:
    """See the module's text. `threads` None: one more than the cores this process may use."""

    def __init__(self, threads: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._threads = threads or min((cores or 1) + 1, MAX_THREADS)

    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        """Every decoded frame. Raises InputError if the file or its decoder cannot be opened."""
        pictures = all_pictures(video, threads=self._threads)
        return looked_at(_host_planes(pictures, track_size(video), max_height))

    def stretch(
        self, video: SourceVideo, start: int, end: int, *, max_height: int
    ) -> Iterator[LumaFrame]:
        """The coded frames [start, end), numbered as in the index; the rest is not decoded."""
        number_of = {int(video.coded.pts[number]): number for number in range(start, end)}
        pictures = stretch_of_pictures(video, start, end, threads=self._threads)
        for frame in looked_at(_host_planes(pictures, track_size(video), max_height)):
            if frame.pts in number_of:
                yield replace(frame, number=number_of[frame.pts])


def looked_at(seen: Iterator[tuple[Picture, Planes]]) -> Iterator[LumaFrame]:
    """What is to be known of pictures beside their planes; numbered from 0."""
    orders = _FieldOrders()
    last_pts: int | None = None
    for number, (picture, planes) in enumerate(seen):
        frame = picture.frame
        pts = frame.pts if frame.pts is not None else _next_pts(last_pts)
        last_pts = pts
        yield LumaFrame(
            number=number,
            pts=pts,
            luma=planes.luma,
            full=planes.full,
            bit_depth=planes.bit_depth,
            shape=_shape(frame.width, frame.height, picture.pixel_aspect, planes.bit_depth),
            interlaced=frame.interlaced_frame,
            top_field_first=frame.interlaced_frame and orders.top_first(frame),
            damaged=picture.damaged,
        )


@lru_cache(maxsize=16)  # one check for a film, not one for a frame
def _shape(width: int, height: int, pixel_aspect: Fraction, bit_depth: int) -> PictureShape:
    return PictureShape(width=width, height=height, pixel_aspect=pixel_aspect, bit_depth=bit_depth)


def _host_planes(
    pictures: Iterator[Picture], size: tuple[int, int] | None, max_height: int
) -> Iterator[tuple[Picture, Planes]]:
    import cv2

    # The decoder's threads have the cores. OpenCV's own pool, woken for every small
    # picture, cost a fifth of all CPU time of the pass at 480p.
    cv2.setNumThreads(1)
    layouts: dict[str, _Layout] = {}
    for picture in pictures:
        name = picture.frame.format.name
        layout = layouts.get(name)
        if layout is None:
            layout = layouts[name] = _layout(picture.frame)
        full = _luma_plane(_fitted(picture.frame, size), layout)
        luma = _reduced(full, layout.bit_depth, max_height)
        yield picture, Planes(full=full, luma=luma, bit_depth=layout.bit_depth)


class _FieldOrders:
    """Which field of a frame is shown first, by the frame's own flag.

    PyAV does not hand that flag out, and what containers say is of little use: libavformat 62
    calls a Matroska file whose top field is shown first 'top coded, bottom shown first'. The
    filter `select` can ask for it; frames go through as references.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._form: tuple[int, int, str] | None = None

    def top_first(self, frame: av.VideoFrame) -> bool:
        import av

        form = (frame.width, frame.height, frame.format.name)
        if form != self._form:
            self._graph, self._form = _top_first_graph(*form), form
        self._graph.push(frame)
        try:
            self._graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return False
        return True


def _top_first_graph(width: int, height: int, pixel_format: str) -> Any:
    from av.filter import Graph

    graph: Any = Graph()
    size = {"width": width, "height": height, "format": pixel_format}
    graph.link_nodes(
        graph.add_buffer(**size, time_base=Fraction(1, 1000)),
        graph.add("select", "eq(interlace_type,TOPFIRST)"),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph


def track_size(video: SourceVideo) -> tuple[int, int] | None:
    width, height = video.track.width, video.track.height
    return (width, height) if width and height else None


def _fitted(frame: av.VideoFrame, size: tuple[int, int] | None) -> av.VideoFrame:
    """The frame at the size of the track, by the interpolation of ffmpeg's scale filter."""
    if size is None or size == (frame.width, frame.height):
        return frame
    return frame.reformat(width=size[0], height=size[1], interpolation="BICUBIC")


def _next_pts(last: int | None) -> int:
    return 0 if last is None else last + 1


def _layout(frame: av.VideoFrame) -> _Layout:
    name = frame.format.name
    if _PLANAR_8.fullmatch(name):
        return _Layout(8, None)
    if match := _PLANAR_16.fullmatch(name):
        return _Layout(int(match.group(match.lastindex or 0)), None)
    if max(c.bits for c in frame.format.components) > 8:
        return _Layout(10, "yuv444p10le")
    return _Layout(8, "yuv444p")


def _luma_plane(frame: av.VideoFrame, layout: _Layout) -> npt.NDArray[Any]:
    """Plane 0 as (height, width), uint8 or uint16, sharing the frame's memory."""
    if layout.convert_to is not None:
        frame = frame.reformat(format=layout.convert_to)
    plane = frame.planes[0]
    dtype = np.dtype(np.uint8 if layout.bit_depth == 8 else np.uint16)
    samples: npt.NDArray[Any] = np.frombuffer(memoryview(plane), dtype=dtype)
    stride = plane.line_size // dtype.itemsize
    rows = samples[: stride * frame.height].reshape(frame.height, stride)
    return rows[:, : frame.width]


def _reduced(full: npt.NDArray[Any], bit_depth: int, max_height: int) -> npt.NDArray[np.uint8]:
    """A contiguous 8-bit copy, halved until no higher than `max_height` (or too small to halve)."""
    import cv2

    small = full
    while small.shape[0] > max_height and min(small.shape) >= 4:
        height, width = small.shape[0] // 2, small.shape[1] // 2
        even = small[: height * 2, : width * 2]
        small = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    if bit_depth > 8:
        small = small >> (bit_depth - 8)
    return small.astype(np.uint8, order="C", copy=small is full)
