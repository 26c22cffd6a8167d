"""The plain values the controller is told: segments, and what became of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from drapto.core.quality import SegmentQuality

# ln of less complexity than this is all the same: nothing to see. Black scenes have 0.
_LEAST_COMPLEXITY = 0.05
# The shipped prior was fitted on Sobel magnitudes; those of core.analysis.Scene are differences
# of neighbours, which are 5 times smaller (4.6 and 5.0 on two clips).
_SOBEL = 5.0


@dataclass(frozen=True)
class Piece:
    """A segment as the controller knows it. `features`: as many as the prior's."""

    index: int
    frames: int
    features: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"segment {self.index} has no frames")


@dataclass(frozen=True)
class Attempt:
    """A segment encoded once: what came out."""

    index: int
    crf: float
    size_bytes: int
    quality: SegmentQuality


def complexity(spatial: float, temporal: float) -> tuple[float, ...]:
    """Features of a segment: the spatial and temporal complexity of its core.analysis.Scene."""
    return tuple(math.log(max(value, _LEAST_COMPLEXITY)) for value in (_SOBEL * spatial, temporal))
