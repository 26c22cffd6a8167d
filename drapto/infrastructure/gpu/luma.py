"""Frames decoded by a device's own engine (NVDEC) and reduced there: a `LumaReader`.

`DeviceLumaReader` promises the frames of `PyAvLumaReader`, whatever the device does. Before the
first is given out, both decode the beginning, and what the device made of it has to be equal bit
for bit. Where it is not, where the engine cannot decode this stream, or gives a frame that only
the CPU can tell about (damaged, interlaced, of another size), the CPU goes on from that frame,
and `on_fallback` hears why. Streams whose packets are known to be damaged are the CPU's from the
start: it alone counts pictures that could not be decoded without errors.

    reader = DeviceLumaReader(Device(name="cuda:0", why="it computes"), on_fallback=print)
"""

from __future__ import annotations

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
        """Every decoded frame. Raises InputError if the CPU cannot decode the file either."""
        import av

        given = 0
        try:
            if video.doubtful:
                raise UnfitFrameError("some of its packets are damaged")
            frames = self._on_device(video, max_height)
            beginning = list(islice(frames, COMPARED))
            self._compare(video, beginning, max_height)
            for frame in chain(beginning, frames):
                yield frame
                given += 1
            why = "" if given == len(video.coded) else "it gave another number of frames"
        except UnfitFrameError as error:
            why = str(error)
        except (av.error.FFmpegError, OSError) as error:
            why = f"its decoder cannot be used ({error.strerror or type(error).__name__})"
        except (InputError, RuntimeError, ValueError) as error:
            why = (str(error) or type(error).__name__).splitlines()[0]
        if why:
            self._on_fallback(f"{self._device.name} does not decode {video.origin.path}: {why}")
            yield from islice(self._host.frames(video, max_height=max_height), given, None)

    def _on_device(self, video: SourceVideo, max_height: int) -> Iterator[LumaFrame]:
        """By the engine alone. Errors: UnfitFrameError, and those of FFmpeg, PyAV and torch."""
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

    def _compare(self, video: SourceVideo, beginning: list[LumaFrame], max_height: int) -> None:
        theirs = self._host.frames(video, max_height=max_height)
        for ours, other in zip(beginning, islice(theirs, COMPARED), strict=False):
            if ours.pts != other.pts or not np.array_equal(ours.luma, other.luma):
                raise UnfitFrameError(f"its frame {other.number} is not that of the CPU")


def _whole(pictures: Iterator[Picture]) -> Iterator[Picture]:
    for picture in pictures:
        if picture.damaged:
            raise UnfitFrameError("not all of it can be decoded without errors")
        yield picture
