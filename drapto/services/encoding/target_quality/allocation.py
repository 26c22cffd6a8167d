"""Which CRF for every piece: one level for the film, and each piece a little off it.

Bytes go where they buy the most: at the optimum every piece costs the same number of bytes for
one VMAF of one frame (equal slope; Shoham and Gersho, 'Efficient bit allocation for an arbitrary
set of quantizers', 1988). Slopes come from predicted curves, so only half of the way is gone, and
never further than 8 CRF: with noisy slopes the full way gains less, or loses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drapto.core.quality import Pool, pooled
from drapto.services.encoding.target_quality.belief import FilmCurves
from drapto.services.encoding.target_quality.curves import VMAF_LIMIT, Floats, Ints, gap_of
from drapto.services.encoding.target_quality.goal import CRF_STEP, Goal

SHRINK = 0.5  # share of the way to the equal slope
MAX_OFFSET = 8.0  # CRF
PLATEAU = 0.05  # VMAF for one CRF; less is no gain worth its bytes
FLOOR_CAUTION = 1.0  # standard deviations of the predicted gap that the floor is kept away from
_SLOPE_SPAN = 5.0  # CRF to either side over which slopes are taken: the distance of the knots


@dataclass(frozen=True)
class Allocation:
    """`crfs`: (n,) for every piece. `reached`: whether the curves promise the target there."""

    level: float  # CRF
    crfs: Floats
    predicted: float  # pooled VMAF of all pieces at `crfs`
    reached: bool


def allocate(curves: FilmCurves, goal: Goal) -> Allocation:
    """The highest level at which all pieces together are predicted to reach the target.

    All pieces count as if they were encoded at their CRF of this allocation, also those that
    already have been at another: so later pieces never repay what earlier ones missed.
    """
    slopes = _log_slopes(curves)
    caps = _highest_for_floor(curves, goal)

    def at(position: int) -> tuple[Ints, float]:
        columns = np.minimum(_columns(curves, slopes, position), caps)
        return columns, predict(curves, columns, goal.pool)

    low, high = 0, len(curves.crfs) - 1
    reached = at(low)[1] >= goal.target
    if not reached:
        low = _best_on_plateau(at, high)
    else:
        while low < high:  # the highest position that still reaches the target
            middle = (low + high + 1) // 2
            low, high = (middle, high) if at(middle)[1] >= goal.target else (low, middle - 1)
    columns, predicted = at(low)
    return Allocation(float(curves.crfs[low]), curves.crfs[columns], predicted, reached)


def each_at_target(curves: FilmCurves, goal: Goal) -> Floats:
    """(n,) the CRF at which each piece by itself is predicted to come nearest to the target."""
    crfs: Floats = curves.crfs[np.argmin(np.abs(curves.vmaf - goal.target), axis=1)]
    return crfs


def predict(curves: FilmCurves, columns: Ints, pool: Pool) -> float:
    """Pooled VMAF of all pieces, each at the CRF of its column."""
    rows = np.arange(len(curves.frames))
    vmaf = curves.vmaf[rows, columns]
    if pool is Pool.MEAN:
        return pooled(vmaf, curves.frames, pool)
    scores = VMAF_LIMIT - (VMAF_LIMIT - vmaf)[:, None] * curves.spread
    weights = np.repeat(curves.frames, scores.shape[1])
    return pooled(scores.ravel(), weights, pool)


def _log_slopes(curves: FilmCurves) -> Floats:
    """(n, g) ln of bytes for one VMAF of one frame: rate x rate' / (gap x gap')."""
    span = int(_SLOPE_SPAN / CRF_STEP)
    count = len(curves.crfs)
    left = np.maximum(np.arange(count) - span, 0)
    right = np.minimum(np.arange(count) + span, count - 1)
    width = curves.crfs[right] - curves.crfs[left]
    falling = (curves.rate[:, left] - curves.rate[:, right]) / width
    rising = (curves.gap[:, right] - curves.gap[:, left]) / width
    steep = np.log(np.maximum(falling, 1e-3)) - np.log(np.maximum(rising, 1e-3))
    slopes: Floats = curves.rate - curves.gap + steep
    return slopes


def _columns(curves: FilmCurves, slopes: Floats, position: int) -> Ints:
    """(n,) columns of the grid: around `position`, shifted towards the equal slope."""
    common = np.average(slopes[:, position], weights=curves.frames)
    reach = int(MAX_OFFSET / SHRINK / CRF_STEP)
    first = max(0, position - reach)
    near = slopes[:, first : position + reach + 1]
    equal = first + np.argmin(np.abs(near - common), axis=1)
    limit = MAX_OFFSET / CRF_STEP
    offsets = np.clip(SHRINK * (equal - position), -limit, limit)
    columns = np.clip(position + np.rint(offsets), 0, len(curves.crfs) - 1)
    rounded: Ints = columns.astype(np.int64)
    return rounded


def _highest_for_floor(curves: FilmCurves, goal: Goal) -> Ints:
    """(n,) highest column at which a piece is safely above the floor; 0 where none is."""
    cautious = curves.gap + FLOOR_CAUTION * curves.gap_deviation
    safe = cautious <= gap_of(goal.lowest_scene)
    highest: Ints = np.maximum(safe.sum(axis=1) - 1, 0).astype(np.int64)
    return highest


def _best_on_plateau(at: Callable[[int], tuple[Ints, float]], last: int) -> int:
    """The lowest position from which one CRF less still gains what is worth its bytes."""
    step = int(1 / CRF_STEP)
    for position in range(0, last - step + 1, step):
        if at(position)[1] - at(position + step)[1] >= PLATEAU:
            return position
    return 0
