"""Luma planes of decoded frames that stay on a device, and what of them comes to the host.

`device_planes` takes pictures whose frames are NV12 or P010, as NVDEC gives them; frames in host
memory will do as well. Promised of each: `luma` as `PyAvLumaReader` gives it, bit for bit, and
`full` as a `DevicePlane`. Pictures are taken `AHEAD` at a time, reduced on the device, and their
small planes copied to the host all at once, since every copy waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from drapto.infrastructure.ffmpeg.luma import Planes
from drapto.infrastructure.ffmpeg.pictures import Picture
from drapto.infrastructure.gpu.features import halved

if TYPE_CHECKING:
    import av
    from torch import Tensor

AHEAD = 8  # frames held on the device: more gains little, and a decoder's surfaces are few


class UnfitFrameError(RuntimeError):
    """A frame that has to be looked at on the CPU, and why."""


class DevicePlane:
    """A plane (height, width) on a device. Slices of it come to the host as arrays.

    Samples of more than 8 bits lie in the low bits, as those of `LumaFrame.full` do.
    """

    def __init__(self, samples: Tensor, bit_depth: int) -> None:
        self._samples = samples
        self._bit_depth = bit_depth
        self.shape: tuple[int, ...] = tuple(samples.shape)
        self.dtype = np.dtype(np.uint8 if bit_depth == 8 else np.uint16)

    def __getitem__(self, where: Any) -> npt.NDArray[Any]:
        part: npt.NDArray[Any] = self._samples[where].cpu().numpy()
        return part if self._bit_depth == 8 else part >> (16 - self._bit_depth)

    def tensor(self) -> Tensor:
        """The samples where they lie, for what computes there. Valid as long as the frame is."""
        import torch

        if self._bit_depth == 8:
            return self._samples
        return self._samples.to(torch.int32) >> (16 - self._bit_depth)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=bool(copy))


def device_planes(
    pictures: Iterator[Picture], size: tuple[int, int] | None, max_height: int
) -> Iterator[tuple[Picture, Planes]]:
    """`size`: of the track, which every frame must have. Errors: UnfitFrameError."""
    import torch

    while ahead := list(islice(pictures, AHEAD)):
        samples = [_luma(picture.frame, size) for picture in ahead]
        depths = {_bit_depth(picture.frame) for picture in ahead}
        if len(depths) > 1:
            raise UnfitFrameError("its bit depth changes")
        depth = depths.pop()
        small = torch.stack([_reduced(plane, depth, max_height) for plane in samples])
        lumas = small.cpu().numpy()
        for picture, plane, luma in zip(ahead, samples, lumas, strict=True):
            full = cast("npt.NDArray[Any]", DevicePlane(plane, depth))
            yield picture, Planes(full=full, luma=luma, bit_depth=depth)


def _bit_depth(frame: av.VideoFrame) -> int:
    held = frame.sw_format or frame.format
    if held.name == "nv12":
        return 8
    if held.name == "p010le":
        return 10
    raise UnfitFrameError(f"its pictures come as {held.name}")


def _luma(frame: av.VideoFrame, size: tuple[int, int] | None) -> Tensor:
    import torch

    if frame.interlaced_frame:  # which field comes first is asked of frames in host memory
        raise UnfitFrameError("it has interlaced frames")
    if size is not None and size != (frame.width, frame.height):
        raise UnfitFrameError("its picture changes its size")
    _bit_depth(frame)
    # A capsule, not the plane: torch would name a stream to wait for, which PyAV refuses. Both
    # work on the default stream, so their order holds.
    return torch.from_dlpack(frame.planes[0].__dlpack__())


def _reduced(plane: Tensor, bit_depth: int, max_height: int) -> Tensor:
    """(h, w) uint8, halved until no higher than `max_height`, as on the host."""
    import torch

    small = plane if bit_depth == 8 else plane.to(torch.int32) >> (16 - bit_depth)
    while small.shape[0] > max_height and min(small.shape) >= 4:
        small = halved(small)
    return small if bit_depth == 8 else (small >> (bit_depth - 8)).to(torch.uint8)
