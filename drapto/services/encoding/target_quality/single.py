"""What one CRF for the whole film would have come to: an estimate from what was learnt of it."""

from __future__ import annotations

import numpy as np

from drapto.core.quality import Pool
from drapto.services.encoding.target_quality.allocation import predict
from drapto.services.encoding.target_quality.belief import FilmCurves


def single_crf(curves: FilmCurves, pool: Pool, quality: float, pixels: int) -> tuple[float, int]:
    """The highest CRF that gives the film this pooled quality, and the bytes of its video.

    The lowest CRF of the grid where none does. Most segments have been encoded at one CRF only,
    so this rests on curves that are known best near to it.
    """
    ones = np.ones(len(curves.frames), dtype=np.int64)
    low, high = 0, len(curves.crfs) - 1
    while low < high:
        middle = (low + high + 1) // 2
        good = predict(curves, ones * middle, pool) >= quality
        low, high = (middle, high) if good else (low, middle - 1)
    volume = curves.frames * pixels / 8
    expected = volume * np.exp(curves.rate[:, low] + curves.rate_deviation[:, low] ** 2 / 2)
    return float(curves.crfs[low]), int(expected.sum())
