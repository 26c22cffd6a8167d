"""The arithmetic of detection in torch, in batches, on the CPU or a CUDA device.

`TorchBackend` is a `FeatureBackend`: the same numbers as `NumpyBackend`, held together by the
contract suite in tests/services/detection/test_features.py. Sums of pixels are sums of integers, so
they do not depend on the batch or on the order in which a device adds them up; means are rounded
where OpenCV rounds them, so thumbnails and lit cells are equal bit for bit, and with them cuts and
crop.

Promised where a device runs out of memory: the batch is halved as often as it takes; where not even
one frame fits, `host` does it from then on, `on_fallback` hears why, once, and the numbers stay
what they are. Whatever else torch says of a device is an error: nothing of it can be trusted then.

    backend = TorchBackend("cuda:0", host=NumpyBackend(), on_fallback=print)
    features = backend.luma(batch, previous=None)   # NumPy arrays in and out
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from drapto.core.features import (
    CELL_PX,
    FLAT_BIAS,
    FLAT_SHARE,
    HISTOGRAM_BINS,
    MAX_NOISE_LUMA,
    MIN_NOISE_LUMA,
    MIN_USABLE_SHARE,
    NOISE_BLOCK_PX,
    THUMB_HEIGHT,
    THUMB_WIDTH,
    U8,
    Bool,
    CombFeatures,
    FeatureBackend,
    LumaFeatures,
)

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
_CODES_PER_BIN = 256 // HISTOGRAM_BINS


class TorchBackend:
    """See the module's text. `device` as torch names it: 'cpu', 'cuda:0'. `host`: who goes on where
    the device cannot; without one, that is an error."""

    def __init__(
        self,
        device: str,
        *,
        host: FeatureBackend | None = None,
        on_fallback: Callable[[str], None] | None = None,
    ) -> None:
        self._device = device
        self._host = host
        self._left: FeatureBackend | None = None  # the host, once the device has been left
        self._on_fallback = on_fallback or (lambda _why: None)

    def luma(self, batch: U8, previous: U8 | None) -> LumaFeatures:
        """Errors: of torch, where nobody goes on."""
        import torch

        if self._left is not None:
            return self._left.luma(batch, previous)
        try:
            return self._luma(batch, previous)
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                return self._leave(error).luma(batch, previous)
        half = len(batch) // 2
        first = self.luma(batch[:half], previous)
        return first.joined(self.luma(batch[half:], batch[half - 1]))

    def comb(self, current: U8, previous: U8) -> CombFeatures:
        return self._on_either(
            lambda: _comb(self._there(current), self._there(previous)),
            lambda host: host.comb(current, previous),
        )

    def noise(self, plane: npt.NDArray[Any], bit_depth: int) -> float | None:
        return self._on_either(
            lambda: _noise(self._there(plane), bit_depth),
            lambda host: host.noise(np.asarray(plane), bit_depth),
        )

    def lit_cells(self, strip: npt.NDArray[Any], *, above: int, axis: int) -> Bool:
        return self._on_either(
            lambda: _lit_cells(self._there(strip), above, axis),
            lambda host: host.lit_cells(np.asarray(strip), above=above, axis=axis),
        )

    def _on_either(self, work: Callable[[], T], on_host: Callable[[FeatureBackend], T]) -> T:
        import torch

        if self._left is not None:
            return on_host(self._left)
        try:
            return work()
        except torch.OutOfMemoryError as error:
            return on_host(self._leave(error))

    def _leave(self, error: RuntimeError) -> FeatureBackend:
        """For good. Errors: `error` itself where there is no host."""
        if self._host is None:
            raise error
        self._left = self._host
        self._on_fallback((str(error) or type(error).__name__).splitlines()[0])
        return self._host

    def _there(self, plane: npt.NDArray[Any]) -> Tensor:
        """The plane on the device. More than 8 bits as int32: torch computes little in uint16."""
        import torch

        if self._device == "cpu":
            # The decoder's threads have the cores: with torch's own pool beside them a pass took
            # eight times the CPU time (854x480, 2 cores).
            torch.set_num_threads(1)
        here = np.asarray(plane)  # a plane of another device comes by way of the host
        whole = np.ascontiguousarray(here if here.dtype == np.uint8 else here.astype(np.int32))
        if not whole.flags.writeable:  # torch warns of memory that it could write to
            whole = whole.copy()
        return torch.from_numpy(whole).to(self._device)

    def _luma(self, batch: U8, previous: U8 | None) -> LumaFeatures:
        import torch

        x = self._there(batch)
        count, pixels = len(batch), batch[0].size
        total = x.sum((1, 2), dtype=torch.int64)
        wide = x.to(torch.int32)
        squares = (wide * wide).sum((1, 2), dtype=torch.int64)
        spatial = _change(wide[:, :, 1:], wide[:, :, :-1]) + _change(wide[:, 1:], wide[:, :-1])
        temporal = torch.zeros_like(total)
        temporal[1:] = _change(wide[1:], wide[:-1])
        if previous is not None:
            temporal[0] = _change(wide[0], self._there(previous).to(torch.int32), dims=(0, 1))
        frames = torch.arange(count, device=x.device)[:, None, None] * HISTOGRAM_BINS
        bins = (wide // _CODES_PER_BIN + frames).flatten()
        counts = torch.bincount(bins, minlength=count * HISTOGRAM_BINS)
        # One copy back for all that are sums; a device waits for each.
        sums = torch.cat([torch.stack((total, squares, spatial, temporal)).flatten(), counts])
        known = sums.cpu().numpy().astype(np.float64)
        scalars = known[: 4 * count].reshape(4, count) / pixels
        mean = scalars[0]
        deviation = np.sqrt(np.maximum(scalars[1] - mean * mean, 0.0))
        return LumaFeatures(
            mean=mean.astype(np.float32),
            deviation=deviation.astype(np.float32),
            spatial=scalars[2].astype(np.float32),
            temporal=scalars[3].astype(np.float32),
            histogram=(known[4 * count :].reshape(count, -1) / pixels).astype(np.float32),
            thumbs=_thumbs(x).cpu().numpy(),
        )


def _change(a: Tensor, b: Tensor, dims: tuple[int, ...] = (1, 2)) -> Tensor:
    """Summed absolute differences, exact."""
    import torch

    return (a - b).abs().sum(dims, dtype=torch.int64)


def halved(x: Tensor) -> Tensor:
    """(…, h, w) integers, halved: means of 2x2, rounded as OpenCV's INTER_AREA does."""
    import torch

    height, width = x.shape[-2] // 2, x.shape[-1] // 2
    even = x[..., : height * 2, : width * 2].to(torch.int32)
    rows = even[..., 0::2, :] + even[..., 1::2, :]
    return ((rows[..., 0::2] + rows[..., 1::2] + 2) >> 2).to(x.dtype)


def _thumbs(x: Tensor) -> Tensor:
    while (x.shape[-1] > THUMB_WIDTH or x.shape[-2] > THUMB_HEIGHT) and min(x.shape[-2:]) >= 4:
        x = halved(x)
    return x


def _comb(current: Tensor, previous: Tensor) -> CombFeatures:
    import torch

    now, then = current.to(torch.int32), previous.to(torch.int32)
    top, bottom, top_before, bottom_before = now[0::2], now[1::2], then[0::2], then[1::2]
    sums = torch.stack(
        [
            *(
                _weave(*pair)
                for pair in ((top, bottom), (top, bottom_before), (top_before, bottom))
            ),
            _change(top, top_before, dims=(0, 1)),
            _change(bottom, bottom_before, dims=(0, 1)),
        ]
    )
    own, top_first, bottom_first, top_change, bottom_change = sums.cpu().tolist()
    woven = (top.numel() - top.shape[1]) * 2
    return CombFeatures(
        own=own / woven,
        top_first=top_first / woven,
        bottom_first=bottom_first / woven,
        top_change=top_change / top.numel(),
        bottom_change=bottom_change / bottom.numel(),
    )


def _weave(top: Tensor, bottom: Tensor) -> Tensor:
    """Summed |line - mean of its neighbours|, the means rounded as OpenCV does."""
    between_bottom, between_top = _mean(bottom[:-1], bottom[1:]), _mean(top[:-1], top[1:])
    return _change(between_bottom, top[1:], (0, 1)) + _change(between_top, bottom[:-1], (0, 1))


def _mean(a: Tensor, b: Tensor) -> Tensor:
    """Half of the sum, a half to the even neighbour."""
    import torch

    return ((a + b).to(torch.float32) / 2).round().to(torch.int32)


def _noise(plane: Tensor, bit_depth: int) -> float | None:
    """As `NumpyBackend.noise`."""
    import torch
    from torch.nn import functional

    rows, columns = (side // NOISE_BLOCK_PX for side in plane.shape)
    if not rows or not columns:
        return None
    picture = plane[: rows * NOISE_BLOCK_PX, : columns * NOISE_BLOCK_PX].to(torch.float32)
    picture = (picture / (1 << (bit_depth - 8)))[None, None]
    side = torch.tensor([1.0, -2.0, 1.0], device=plane.device)
    kernel = torch.outer(side, side)[None, None]
    response = functional.conv2d(functional.pad(picture, (1, 1, 1, 1), "reflect"), kernel).abs()
    level = functional.avg_pool2d(picture, NOISE_BLOCK_PX)
    mean_response = functional.avg_pool2d(response, NOISE_BLOCK_PX)
    darkest = -functional.max_pool2d(-functional.avg_pool2d(picture, NOISE_BLOCK_PX // 4), 4)
    usable = mean_response[(darkest > MIN_NOISE_LUMA) & (level < MAX_NOISE_LUMA)]
    if usable.numel() < max(4, MIN_USABLE_SHARE * level.numel()):
        return None
    quiet = np.sort(usable.cpu().numpy())[: max(1, int(usable.numel() * FLAT_SHARE))]
    return float(np.median(quiet)) * sqrt(pi / 2) / 6 / FLAT_BIAS


def _lit_cells(strip: Tensor, above: int, axis: int) -> Bool:
    import torch

    length = strip.shape[axis]
    whole = length - length % CELL_PX
    first, rest = strip.split((whole, length - whole), axis)
    parts = []
    if whole:
        cells = first.unflatten(axis, (-1, CELL_PX)).to(torch.float32).mean(axis + 1)
        parts.append(cells.round() > above)
    if length > whole:
        parts.append(rest.to(torch.float32).mean(axis, keepdim=True).round() > above)
    lit: Bool = torch.cat(parts, axis).cpu().numpy()
    return lit
