"""Frames decoded by a device's own engine (NVDEC) and reduced there: a `LumaReader`.

`DeviceLumaReader` promises no other frames than those of the index. Before the first is given out,
both the device and the CPU decode the beginning, and what the device made of it has to be equal
bit for bit; else the CPU gives all of them, and `on_fallback` hears why. So it does for streams
that the engine cannot decode, and for those whose packets are known to be damaged: it alone counts
pictures that could not be decoded without errors. After that a frame that only the CPU can tell
about (damaged, interlaced, of another size, not the one that the index has there) is an error, and
whoever takes the frames begins anew without the device.

A decoder in hardware covers damage inside a picture up and does not tell of it.

    reader = DeviceLumaReader(Device(name="cuda:0", why="it computes"), on_fallback=print)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice

import numpy as np

from drapto.core.device import Device
from drapto.core.errors import InputError
from drapto.core.source import LumaFrame, SourceVideo
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader, looked_at, track_size
from drapto.infrastructure.ffmpeg.pictures import Picture, all_pictures
from drapto.infrastructure.gpu.planes import AHEAD, UnfitFrameError, device_planes

COMPARED = AHEAD  # frames that both decode before the device is trusted


class DeviceLumaReader:
    """See the module's text. `device` is not the CPU."""

    def __init__(
        self,
        device: Device,
        *,
        host: PyAvLumaReader | None = None,
        on_fallback: Callable[[str], None] | None = None,
    ) -> None:
        self._device = device
        self._host = host or PyAvLumaReader()
        self._on_fallback = on_fallback or (lambda _why: None)

    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        """Every decoded frame. Errors: InputError if the CPU decodes them and cannot open the
        file; RuntimeError, of which UnfitFrameError is one, and those of FFmpeg if the device
        fails after the first frame was given out."""
        try:
            frames = self._on_device(video, max_height)
            beginning = deque(islice(frames, COMPARED))
            self._compare(video, beginning, max_height)
        except (RuntimeError, OSError, ValueError, InputError) as error:
            why = _brief(error)
            self._on_fallback(f"{self._device.name} does not decode {video.origin.path}: {why}")
            yield from self._host.frames(video, max_height=max_height)
            return
        yield from _as_listed(video, chain(_popped(beginning), frames))

    def _on_device(self, video: SourceVideo, max_height: int) -> Iterator[LumaFrame]:
        """By the engine alone. Errors: UnfitFrameError, and those of FFmpeg, PyAV and torch."""
        if video.doubtful:
            raise UnfitFrameError("some of its packets are damaged")
        pictures = _whole(self._pictures(video))
        return looked_at(device_planes(pictures, track_size(video), max_height))

    def _pictures(self, video: SourceVideo) -> Iterator[Picture]:
        from av.codec.hwaccel import HWAccel

        engine = HWAccel(
            "cuda",
            device=str(self._device.number),
            allow_software_fallback=False,
            is_hw_owned=True,
        )
        for picture in all_pictures(video, threads=1, hwaccel=engine):
            if picture.frame.format.name != "cuda":
                raise UnfitFrameError("its engine has no decoder for this stream")
            yield picture

    def _compare(self, video: SourceVideo, beginning: deque[LumaFrame], max_height: int) -> None:
        theirs = self._host.frames(video, max_height=max_height)
        for ours, other in zip(beginning, islice(theirs, COMPARED), strict=False):
            if ours.pts != other.pts or not np.array_equal(ours.luma, other.luma):
                raise UnfitFrameError(f"its frame {other.number} is not that of the CPU")


def _popped(frames: deque[LumaFrame]) -> Iterator[LumaFrame]:
    """Each held no longer than it takes: they lie in the memory of the device."""
    while frames:
        yield frames.popleft()


def _as_listed(video: SourceVideo, frames: Iterator[LumaFrame]) -> Iterator[LumaFrame]:
    """The frames, if they are those of the index. Where it is the index that is wrong, the CPU has
    to say so."""
    expected = video.coded.pts
    number = -1
    for number, frame in enumerate(frames):
        if number >= len(expected) or frame.pts != int(expected[number]):
            raise UnfitFrameError(f"frame {number} is not the one that the index has there")
        yield frame
    if number + 1 != len(expected):
        raise UnfitFrameError(f"it ended after {number + 1} of {len(expected)} frames")


def _brief(error: Exception) -> str:
    if isinstance(error, OSError):  # of FFmpeg: it quotes numbers and addresses
        return f"its decoder cannot be used ({error.strerror or type(error).__name__})"
    return (str(error) or type(error).__name__).splitlines()[0]


def _whole(pictures: Iterator[Picture]) -> Iterator[Picture]:
    for picture in pictures:
        if picture.damaged:
            raise UnfitFrameError("not all of it can be decoded without errors")
        yield picture
