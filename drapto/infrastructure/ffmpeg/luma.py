"""Decode one video stream once, in display order, for its luma alone.

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
- A packet that cannot be decoded never ends the pass: it is skipped, and the next frame that
  does come is marked `damaged`, as is every frame the decoder itself calls corrupt.

    for frame in PyAvLumaReader().frames(video, max_height=144):
        ...
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import PictureShape
from drapto.core.errors import InputError
from drapto.core.interfaces import LumaFrame, SourceVideo
from drapto.infrastructure.ffmpeg.opening import open_input

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Formats whose plane 0 is luma in the low bits of a native sample.
_PLANAR_8 = re.compile(r"yuva?j?4[0-4]{2}p|gray8?|nv(12|16|21|24|42)")
_PLANAR_16 = re.compile(r"(yuva?4[0-4]{2}p|gray)(9|10|12|14|16)le")

# FFmpeg itself uses one thread more than cores for frame threading, and at most 16.
_MAX_THREADS = 16


@dataclass(frozen=True)
class _Layout:
    """How plane 0 of a pixel format is read; `convert_to` None if it can be read as it is."""

    bit_depth: int
    convert_to: str | None


class PyAvLumaReader:
    """See the module's text. `threads` None: one more than the cores this process may use."""

    def __init__(self, threads: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._threads = threads or min((cores or 1) + 1, _MAX_THREADS)

    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        """Every decoded frame. Raises InputError if the file or its decoder cannot be opened."""
        import cv2

        # The decoder's threads have the cores. OpenCV's own pool, woken for every small
        # picture, cost a fifth of all CPU time of the pass at 480p.
        cv2.setNumThreads(1)
        container, stream = _open(video)
        with container:
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self._threads
            orders = _FieldOrders()
            layouts: dict[str, _Layout] = {}
            last_pts: int | None = None
            size = _track_size(video)
            aspect: Fraction | None = None
            for number, (frame, after_error) in enumerate(_decode(container, stream)):
                name = frame.format.name
                layout = layouts.get(name)
                if layout is None:
                    layout = layouts[name] = _layout(frame)
                # The decoder has read ahead of its frames; what is new begins with a key frame.
                if frame.key_frame or aspect is None:
                    aspect = stream.codec_context.sample_aspect_ratio or Fraction(1)
                shape = PictureShape(
                    width=frame.width,
                    height=frame.height,
                    pixel_aspect=aspect,
                    bit_depth=layout.bit_depth,
                )
                full = _luma_plane(_fitted(frame, size), layout)
                pts = frame.pts if frame.pts is not None else _next_pts(last_pts)
                last_pts = pts
                yield LumaFrame(
                    number=number,
                    pts=pts,
                    luma=_reduced(full, layout.bit_depth, max_height),
                    full=full,
                    bit_depth=layout.bit_depth,
                    shape=shape,
                    interlaced=frame.interlaced_frame,
                    top_field_first=frame.interlaced_frame and orders.top_first(frame),
                    damaged=after_error or frame.is_corrupt,
                )


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


def _open(video: SourceVideo) -> tuple[InputContainer, VideoStream]:
    from av.video.stream import VideoStream

    container = open_input(video.path)
    streams = [s for s in container.streams if s.index == video.stream_index]
    if not streams or not isinstance(streams[0], VideoStream):
        container.close()
        raise InputError(f"{video.path} has no video stream number {video.stream_index}.")
    if getattr(streams[0], "codec_context", None) is None:
        container.close()
        raise InputError(
            f"{video.path}: no decoder for video stream {video.stream_index} "
            f"(codec {video.track.codec}).",
            hint="Another build of FFmpeg may have one.",
        )
    return container, streams[0]


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Frames, each with the fact that something before it could not be decoded."""
    import av

    failed = False
    for packet in _packets(container, stream):
        try:
            frames = stream.codec_context.decode(packet)
        except (av.error.EOFError, av.error.BlockingIOError):
            continue
        except (av.error.FFmpegError, ValueError):
            failed = True
            continue
        for frame in frames:
            yield frame, failed
            failed = False


def _packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[av.Packet[VideoStream] | None]:
    """Packets of the stream, then None (flush) as often as there may be frames held back."""
    import av

    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            break
        except av.error.FFmpegError:  # a torn end: what was read counts
            break
        if packet.size:  # the demuxer's own flush packet is replaced by ours
            yield packet
    # A flush that fails on one held-back frame is repeated for the others.
    for _ in range(_MAX_THREADS + 2):
        yield None


def _track_size(video: SourceVideo) -> tuple[int, int] | None:
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
