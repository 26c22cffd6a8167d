"""For how much of the film each window stands, by what the source itself spent on it.

Bytes of the source are known for every frame without decoding, and tell which parts are hard to
encode. Where the windows happen to be harder than the film, by that measure, the hard ones among
them count less, until the windows' mean is the film's: calibration of a survey sample to a known
total (Deville and Särndal, 'Calibration Estimators in Survey Sampling', JASA 1992), with the
weights of exponential tilting, which are never negative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drapto.core.media import BoolArray, Int64Array
from drapto.services.encoding.target_quality.curves import Floats

_FURTHEST = 3.0  # no window counts more than so many times, or less than that part of, its share
_STEPS = 60  # of bisection


def weights(shares: Sequence[float], hints: Sequence[float] | None, film: float) -> Floats:
    """(n,) weights of the windows, which sum to 1.

    `shares`: of the film that each window was drawn from. `hints`: what is known of each window,
    and `film` the same of the whole film; None: nothing is known.
    """
    drawn = np.asarray(shares, dtype=np.float64)
    plain: Floats = drawn / drawn.sum()
    if hints is None or film <= 0:
        return plain
    values = np.asarray(hints, dtype=np.float64) / film
    if float(values.max() - values.min()) < 1e-9:
        return plain

    def tilted(tilt: float) -> Floats:
        factors = np.exp(np.clip(tilt * (values - 1.0), -50.0, 50.0))
        factors = np.clip(factors / (plain @ factors), 1 / _FURTHEST, _FURTHEST)
        scaled: Floats = plain * factors / (plain @ factors)
        return scaled

    low, high = -20.0, 20.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if tilted(middle) @ values < 1.0 else (low, middle)
    return tilted(low)


def ordinary_rate(sizes: Int64Array, key: BoolArray) -> float:
    """Bytes of a frame that is no key frame: a window may or may not begin at one.

    Of all frames where there are hardly any others.
    """
    others = sizes[~key]
    chosen = others if 2 * len(others) >= len(sizes) else sizes
    return float(chosen.mean()) if len(chosen) else 0.0
