"""What is measured of pictures, and who can measure it.

`FeatureBackend` is what an implementation must provide. NumPy and OpenCV do it on the CPU
(services/detection/features.py), torch on a device (infrastructure/gpu/features.py). All must agree
within the tolerances of the contract suite in tests/services/detection/test_features.py, which a
new one has to join. A backend decides nothing: the detectors of services/detection (cuts, crop,
interlacing, grain) turn its numbers into decisions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
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
