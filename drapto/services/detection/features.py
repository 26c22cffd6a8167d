"""The arithmetic of detection on the CPU: a `FeatureBackend` of NumPy and OpenCV.

features = NumpyBackend().luma(batch, previous=None)   # batch: (n, h, w) uint8
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

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
    LumaFeatures,
)


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
