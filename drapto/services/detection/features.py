"""The arithmetic of detection, behind one seam.

`FeatureBackend` is what an implementation must provide; `NumpyBackend` does it with NumPy and
OpenCV on the CPU. Every backend must agree with it within the tolerances of the contract suite
in tests/services/detection/test_features.py, which a new one has to join. A backend keeps no
state between calls and decides nothing: the detectors beside it (cuts, crop, interlacing,
grain) turn its numbers into decisions.

    features = NumpyBackend().luma(batch, previous=None)   # batch: (n, h, w) uint8
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import pi, sqrt
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

HISTOGRAM_BINS = 32  # of 8 code values each

# A thumbnail is halved until it fits; 64x36 is as small as a shot can be told from another
# (60x34 separated cuts from motion on the clips that the thresholds of cuts.py come from).
THUMB_WIDTH, THUMB_HEIGHT = 64, 40

# Noise is measured in blocks of this many pixels square: enough samples for an estimate with a
# spread of about 6 %, small enough to find flat ground in a busy picture.
NOISE_BLOCK_PX = 16
MIN_NOISE_LUMA, MAX_NOISE_LUMA = 28.0, 225.0  # nearer to black or white, noise is clipped
FLAT_SHARE = 0.25  # the quietest blocks of a picture are taken for flat
# In pure noise of standard deviation 1 to 8 their median lies 10 % low: the price of choosing.
FLAT_BIAS = 0.9
MIN_USABLE_SHARE = 0.1  # of all blocks; white text on black says nothing about grain

# Cells that a profile averages over before it compares with a threshold: noise of standard
# deviation 5 shrinks to 1.8, a 2 pixel wide white stroke stays 50 codes above black.
CELL_PX = 8


@dataclass(frozen=True, eq=False)
class LumaFeatures:
    """What is known of n frames from their reduced luma. All arrays are read-only.

    mean, deviation: (n,) float32, of all pixels, 0..255.
    spatial: (n,) float32, mean absolute difference to the right and lower neighbour, summed.
    temporal: (n,) float32, mean absolute difference to the frame before (0 for the first).
    histogram: (n, 32) float32, shares of pixels per 8 code values, each row sums to 1.
    thumbs: (n, th, tw) uint8, at most 64x40 unless the luma is smaller than two pixels a side.
    """

    mean: F32
    deviation: F32
    spatial: F32
    temporal: F32
    histogram: F32
    thumbs: U8

    def __post_init__(self) -> None:
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.mean)

    def joined(self, after: LumaFeatures) -> LumaFeatures:
        """Of these frames and those `after` them."""
        both = {
            field.name: np.concatenate([getattr(self, field.name), getattr(after, field.name)])
            for field in fields(self)
        }
        return LumaFeatures(**both)

    def dark_share(self, below: int) -> F32:
        """(n,) share of pixels with a code value under `below`, a multiple of 8."""
        share: F32 = self.histogram[:, : below // 8].sum(axis=1, dtype=np.float32)
        return share


@dataclass(frozen=True)
class CombFeatures:
    """How well lines weave, as mean |line - mean of the lines above and below|, in 8-bit codes.

    own: the frame's two fields; top_first: its top field with the bottom field of the frame
    before; bottom_first: its bottom field with the top field of the frame before. top_change,
    bottom_change: mean absolute difference of a field to the same field of the frame before.
    """

    own: float
    top_first: float
    bottom_first: float
    top_change: float
    bottom_change: float


class FeatureBackend(Protocol):
    """Contract suite: tests/services/detection/test_features.py."""

    def luma(self, batch: U8, previous: U8 | None) -> LumaFeatures:
        """Features of `batch` (n, h, w), in order; `previous` (h, w) is the frame before it."""
        ...

    def comb(self, current: U8, previous: U8) -> CombFeatures:
        """Both (h, w), full vertical size, h even, at least 4 rows."""
        ...

    def noise(self, plane: npt.NDArray[Any], bit_depth: int) -> float | None:
        """Noise standard deviation of the flat areas, in 8-bit codes; None if there are none."""
        ...

    def lit_cells(self, strip: npt.NDArray[Any], *, above: int, axis: int) -> Bool:
        """Which cells of a strip of the full plane are, on average, above a code value.

        A cell is 8 pixels long along `axis` (0: down, 1: across) and one pixel wide, so the
        other direction keeps its full resolution. Pixels left over make a last, shorter cell. The
        average is rounded to a whole code before it is compared, a half to the even one.
        """
        ...


class NumpyBackend:
    """NumPy and OpenCV. Frame by frame: OpenCV's kernels beat NumPy's batched reductions here."""

    def luma(self, batch: U8, previous: U8 | None) -> LumaFeatures:
        import cv2

        count, pixels = len(batch), batch[0].size
        scalars = np.zeros((4, count), dtype=np.float32)
        histogram = np.empty((count, HISTOGRAM_BINS), dtype=np.float32)
        thumbs = []
        for i, frame in enumerate(batch):
            mean, deviation = cv2.meanStdDev(frame)
            across = cv2.norm(frame[:, 1:], frame[:, :-1], cv2.NORM_L1) if frame.shape[1] > 1 else 0
            down = cv2.norm(frame[1:], frame[:-1], cv2.NORM_L1) if frame.shape[0] > 1 else 0
            change = 0.0 if previous is None else cv2.norm(frame, previous, cv2.NORM_L1)
            scalars[:, i] = mean[0, 0], deviation[0, 0], (across + down) / pixels, change / pixels
            counts = cv2.calcHist([frame], [0], None, [HISTOGRAM_BINS], [0, 256])
            histogram[i] = counts.ravel() / pixels
            thumbs.append(_thumb(frame))
            previous = frame
        mean_all, deviation_all, spatial, temporal = scalars
        return LumaFeatures(mean_all, deviation_all, spatial, temporal, histogram, np.stack(thumbs))

    def comb(self, current: U8, previous: U8) -> CombFeatures:
        import cv2

        top, bottom = current[0::2], current[1::2]
        top_before, bottom_before = previous[0::2], previous[1::2]
        return CombFeatures(
            own=_weave(top, bottom),
            top_first=_weave(top, bottom_before),
            bottom_first=_weave(top_before, bottom),
            top_change=cv2.norm(top, top_before, cv2.NORM_L1) / top.size,
            bottom_change=cv2.norm(bottom, bottom_before, cv2.NORM_L1) / bottom.size,
        )

    def noise(self, plane: npt.NDArray[Any], bit_depth: int) -> float | None:
        """Immerkaer 1996, 'Fast Noise Variance Estimation', per block, of the quietest blocks."""
        import cv2

        rows, columns = (side // NOISE_BLOCK_PX for side in plane.shape)
        if not rows or not columns:
            return None
        picture = plane[: rows * NOISE_BLOCK_PX, : columns * NOISE_BLOCK_PX].astype(np.float32)
        picture *= 1.0 / (1 << (bit_depth - 8))
        # The difference of two Laplacians: blind to planes and straight edges.
        kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
        response = np.abs(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT_101))
        grid = (columns, rows)
        level = cv2.resize(picture, grid, interpolation=cv2.INTER_AREA)
        mean_response = cv2.resize(response, grid, interpolation=cv2.INTER_AREA)
        # A block that reaches into a black bar is quiet there: its darkest corner decides.
        corners = cv2.resize(picture, (columns * 4, rows * 4), interpolation=cv2.INTER_AREA)
        darkest = corners.reshape(rows, 4, columns, 4).min(axis=(1, 3))
        usable = mean_response[(darkest > MIN_NOISE_LUMA) & (level < MAX_NOISE_LUMA)]
        if usable.size < max(4, MIN_USABLE_SHARE * level.size):
            return None
        quiet = np.sort(usable)[: max(1, int(usable.size * FLAT_SHARE))]
        # The kernel's squares sum to 36; E|x| of a normal variable is sigma * sqrt(2 / pi).
        return float(np.median(quiet)) * sqrt(pi / 2) / 6 / FLAT_BIAS

    def lit_cells(self, strip: npt.NDArray[Any], *, above: int, axis: int) -> Bool:
        import cv2

        whole = strip.shape[axis] // CELL_PX * CELL_PX
        parts = (
            (strip[:, :whole], strip[:, whole:]) if axis == 1 else (strip[:whole], strip[whole:])
        )
        lit = []
        for part, cells in zip(parts, (whole // CELL_PX, 1), strict=True):
            if part.size:
                size = (cells, part.shape[0]) if axis == 1 else (part.shape[1], cells)
                lit.append(cv2.resize(part, size, interpolation=cv2.INTER_AREA) > above)
        return np.concatenate(lit, axis)


def _thumb(frame: U8) -> U8:
    import cv2

    while (frame.shape[1] > THUMB_WIDTH or frame.shape[0] > THUMB_HEIGHT) and min(frame.shape) >= 4:
        height, width = frame.shape[0] // 2, frame.shape[1] // 2
        even = frame[: height * 2, : width * 2]
        frame = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return frame


def _weave(top: U8, bottom: U8) -> float:
    """Mean |line - mean of its neighbours| over the lines of both fields but the outermost."""
    import cv2

    between_bottom = cv2.addWeighted(bottom[:-1], 0.5, bottom[1:], 0.5, 0)
    between_top = cv2.addWeighted(top[:-1], 0.5, top[1:], 0.5, 0)
    total = cv2.norm(between_bottom, top[1:], cv2.NORM_L1)
    total += cv2.norm(between_top, bottom[:-1], cv2.NORM_L1)
    return total / (between_top.size * 2)
