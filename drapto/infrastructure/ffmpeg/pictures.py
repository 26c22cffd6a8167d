"""Decoded pictures of one video stream in display order: of all of it, or of a stretch.

A packet that cannot be decoded never ends the pass: it is skipped, and the next picture that does
come is `damaged`, as is one that the decoder calls corrupt. FFmpeg's H.264 decoder, on several
threads, can hand out a picture before the thread that meets the error has said so (seen in 16 to
65 of 400 runs over one file). So groups of pictures around `SourceVideo.doubtful` are looked at on
one thread as well. In a container that marks no packets as corrupt, a picture can still be missed.

    for picture in all_pictures(video, threads=4): ...
    for picture in stretch_of_pictures(video, 1000, 1048, threads=4): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from drapto.core.errors import InputError
from drapto.core.media import FrameIndex
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.opening import open_input

if TYPE_CHECKING:
    import av
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer
    from av.video.stream import VideoStream

# FFmpeg itself uses one thread more than cores for frame threading, and at most 16.
MAX_THREADS = 16

_EARLIER_S = 10.0  # a second attempt at a stretch starts at least this much earlier


@dataclass(frozen=True, eq=False)
class Picture:
    frame: av.VideoFrame
    damaged: bool  # or something right before it could not be decoded
    pixel_aspect: Fraction


def all_pictures(
    video: SourceVideo, *, threads: int, hwaccel: HWAccel | None = None
) -> Iterator[Picture]:
    """From the first to the last. With `hwaccel` by that device, as far as it can. Errors:
    InputError if file or decoder cannot be opened."""
    with _opened(video, threads, hwaccel) as (container, stream):
        pictures = _decoded(container, stream)
        yield from _told_of_damage(video, pictures) if threads > 1 else pictures


def stretch_of_pictures(
    video: SourceVideo, start: int, end: int, *, threads: int
) -> Iterator[Picture]:
    """The coded frames [start, end), known by their timestamps. Errors: as `all_pictures`.

    A seek that lands too late is repeated from a key frame further back; if nothing of the
    stretch comes even then, everything is decoded from the beginning.
    """
    index = video.coded
    first = int(index.pts[start])
    beyond = int(index.pts[end]) if end < len(index) else None
    for attempt, aim in enumerate(_aims(index, start)):
        begun = False
        with _opened(video, threads) as (container, stream):
            if aim is not None:
                container.seek(aim, stream=stream)
            for picture in _decoded(container, stream):
                pts = picture.frame.pts
                if pts is None or pts < first:
                    continue
                if beyond is not None and pts >= beyond:
                    break
                if pts > first and not begun and attempt == 0 and aim is not None:
                    break
                begun = True
                yield picture
        if begun:
            return


def _aims(index: FrameIndex, start: int) -> list[int | None]:
    """Timestamps of key frames to begin at, one attempt after the other; None: the beginning."""
    key = earlier = index.key_before(start)
    while earlier > 0 and index.time_s(key) - index.time_s(earlier) < _EARLIER_S:
        earlier = index.key_before(earlier - 1)
    return [int(index.pts[frame]) for frame in dict.fromkeys((key, earlier)) if frame] + [None]


@contextmanager
def _opened(
    video: SourceVideo, threads: int, hwaccel: HWAccel | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    from av.video.stream import VideoStream

    with open_input(video.path, hwaccel) as container:
        streams = [s for s in container.streams if s.index == video.stream_index]
        if not streams or not isinstance(streams[0], VideoStream):
            raise InputError(f"{video.path} has no video stream number {video.stream_index}.")
        stream = streams[0]
        if getattr(stream, "codec_context", None) is None:
            raise InputError(
                f"{video.path}: no decoder for video stream {video.stream_index} "
                f"(codec {video.track.codec}).",
                hint="Another build of FFmpeg may have one.",
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        yield container, stream


def _told_of_damage(video: SourceVideo, pictures: Iterator[Picture]) -> Iterator[Picture]:
    """The same pictures. Each group from the key frame before a doubtful one to the second key
    frame after it is looked at on one thread when the pass comes to it."""
    index = video.coded
    keys = np.flatnonzero(index.key)
    doubtful = list(video.doubtful)
    damaged: set[int | None] = set()  # timestamps
    for picture in pictures:
        pts = picture.frame.pts
        while doubtful and pts is not None and pts >= index.pts[index.key_before(doubtful[0])]:
            later = keys[keys > doubtful[0]][:2]
            start, end = index.key_before(doubtful[0]), len(index)
            if len(later) > 1:
                end = int(later[1])
            looked_at = stretch_of_pictures(video, start, end, threads=1)
            damaged |= {seen.frame.pts for seen in looked_at if seen.damaged}
            doubtful = [frame for frame in doubtful if frame >= end]
        yield replace(picture, damaged=True) if pts in damaged else picture


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[Picture]:
    import av

    failed = False
    aspect: Fraction | None = None
    for packet in _packets(container, stream):
        try:
            frames = stream.codec_context.decode(packet)
        except (av.error.EOFError, av.error.BlockingIOError):
            continue
        except (av.error.FFmpegError, ValueError):
            failed = True
            continue
        for frame in frames:
            # The decoder has read ahead of its frames; what is new begins with a key frame.
            if frame.key_frame or aspect is None:
                aspect = stream.codec_context.sample_aspect_ratio or Fraction(1)
            yield Picture(frame, failed or frame.is_corrupt, aspect)
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
    for _ in range(MAX_THREADS + 2):
        yield None
