"""Quality and size as curves over the CRF, and what is known of them before and after an encode.

Two curves make a segment: `gap` = ln(103 - VMAF) and `rate` = ln(bits per pixel). Both are
smooth and monotone, near to straight lines, so they are interpolated in these units (103 and not
100, so that a VMAF of 100 is finite).

All curves are alike. Measured on 46 scenes of 12 sources at 9 CRFs, five numbers a scene describe
both curves within 0.02 (gap) and 0.03 (rate); `Prior` holds how the five are spread over films
(`between`) and over the scenes of a film (`within`), in the manner of a random-effects model
(Laird and Ware, 'Random-Effects Models for Longitudinal Data', Biometrics 1982).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from drapto.services.encoding.target_quality.goal import CRF_STEP

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

KNOTS = tuple(float(crf) for crf in range(15, 56, 5))
VMAF_LIMIT = 103.0


def gap_of(vmaf: float) -> float:
    return float(np.log(VMAF_LIMIT - min(vmaf, 100.0)))


def crf_grid(lowest: float, highest: float) -> Floats:
    """Every CRF that may be used, ascending."""
    return np.arange(lowest, highest + CRF_STEP / 2, CRF_STEP)


def interpolation(crfs: Floats) -> Floats:
    """(len(crfs), knots): rows that turn values at the knots into values at `crfs`.

    Straight lines between two knots, and the first and the last one go on outside.
    """
    knots = np.asarray(KNOTS)
    left = np.clip(np.searchsorted(knots, crfs, side="right") - 1, 0, len(knots) - 2)
    share = (crfs - knots[left]) / (knots[left + 1] - knots[left])
    rows = np.zeros((len(crfs), len(knots)))
    every = np.arange(len(crfs))
    rows[every, left] = 1 - share
    rows[every, left + 1] = share
    return rows


@dataclass(frozen=True)
class Prior:
    """What is expected of a film before anything of it is encoded.

    A scene's curves at the knots are `mean` + `shapes`.T @ z, both with the gap first and then
    the rate. z = `weights` @ (1, features) + film + scene, where film and scene are normal with
    the covariances `between` and `within`. Features are logarithms, as given by `Piece`.
    """

    mean: tuple[float, ...]  # 2 x knots
    shapes: tuple[tuple[float, ...], ...]  # of each component, 2 x knots
    weights: tuple[tuple[float, ...], ...]  # of each component: 1 + features
    between: tuple[tuple[float, ...], ...]
    within: tuple[tuple[float, ...], ...]

    def gap_rows(self, crfs: Floats) -> tuple[Floats, Floats]:
        """Mean (crfs,) and components (crfs, k) of the gap."""
        rows = interpolation(crfs)
        return rows @ self._mean[: len(KNOTS)], rows @ self._shapes[:, : len(KNOTS)].T

    def rate_rows(self, crfs: Floats) -> tuple[Floats, Floats]:
        """Mean (crfs,) and components (crfs, k) of the rate."""
        rows = interpolation(crfs)
        return rows @ self._mean[len(KNOTS) :], rows @ self._shapes[:, len(KNOTS) :].T

    def expected(self, features: Floats) -> Floats:
        """(n, k): z without film and scene, from (n, f) features. Errors: ValueError."""
        if features.shape[1] + 1 != self._weights.shape[1]:
            raise ValueError(
                f"this prior knows {self._weights.shape[1] - 1} features, not {features.shape[1]}"
            )
        return np.hstack([np.ones((len(features), 1)), features]) @ self._weights.T

    @cached_property
    def _mean(self) -> Floats:
        return np.asarray(self.mean)

    @cached_property
    def _shapes(self) -> Floats:
        return np.asarray(self.shapes)

    @cached_property
    def _weights(self) -> Floats:
        return np.asarray(self.weights)
