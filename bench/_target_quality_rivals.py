"""Rivals of the controller in `target_quality_sim.py`, and what any of them costs.

They are small re-implementations of search strategies over the same curves, and measure at the same
price. They see the truth without noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from _target_quality_films import Film, Floats

from drapto.core.quality import BINS
from drapto.services.encoding.target_quality.allocation import allocate
from drapto.services.encoding.target_quality.belief import FilmCurves
from drapto.services.encoding.target_quality.curves import crf_grid, interpolation
from drapto.services.encoding.target_quality.goal import Goal


@dataclass(frozen=True)
class Costs:
    """What measuring costs and how exact it is."""

    stride: int  # every so many frames are measured
    eight_bit: bool = True

    @property
    def share(self) -> float:
        """Of the time for every frame. 0.47 was measured for 3; the rest is decoding."""
        fixed = (0.47 - 1 / 3) / (1 - 1 / 3)
        return (fixed + (1 - fixed) / self.stride) * (0.8 if self.eight_bit else 1.0)

    def noise(self, frames: int) -> float:
        """Standard deviation, VMAF, of a sample of frames that differ by 1.

        At 96 frames this is 0.14, 0.20, 0.25 for every third, fifth, seventh; 0.11, 0.20, 0.24
        were measured on 12 segments (docs/target-quality.md). Even strides are biased: not for use.
        """
        return float(np.sqrt((self.stride - 1) / frames))


@dataclass(frozen=True)
class Result:
    """One film encoded by one strategy."""

    crfs: Floats
    cost_s: float  # CPU
    wall_s: float = 0.0
    extra: float = 0.0  # share of frames encoded again
    encodes: int = 0


def one_crf(film: Film, target: float, costs: Costs) -> Result:
    """Somebody told us the right CRF."""
    crfs = film.single(film.single_for(target))
    return Result(crfs, float(film.encode_cost(crfs).sum()))


def equal_slope(film: Film, target: float, costs: Costs) -> Result:
    """Somebody told us every curve: the bound for whoever allocates as the controller does."""
    grid = crf_grid(12.0, 55.0)
    at = interpolation(grid).T
    gap, rate = film.gap @ at, film.rate @ at
    none = np.zeros_like(gap)
    curves = FilmCurves(
        grid, film.frames.astype(float), gap, none, rate, none, np.ones((len(film), BINS))
    )
    crfs = allocate(curves, Goal(target)).crfs
    return Result(crfs, float(film.encode_cost(crfs).sum()))


SAMPLE_FRAMES = 500  # ab-av1: 20 s of every 12 min
SAMPLE_EVERY_FRAMES = 18_000


def sample_search(film: Film, target: float, costs: Costs) -> Result:
    """As ab-av1 crf-search: whole CRFs, interpolated between probes of samples, every frame."""
    count = max(1, round(film.total / SAMPLE_EVERY_FRAMES))
    starts = [(i + 0.5) / count * film.total - SAMPLE_FRAMES / 2 for i in range(count)]
    edges = np.concatenate([[0], np.cumsum(film.frames)])
    share = np.zeros(len(film))
    for start in starts:
        low, high = np.maximum(edges[:-1], start), np.minimum(edges[1:], start + SAMPLE_FRAMES)
        share += np.maximum(0, high - low) / film.frames
    share = np.minimum(share, 1.0)
    cost = 0.0

    def probe(crf: float) -> float:
        nonlocal cost
        crfs = film.single(crf)
        cost += float(((film.encode_cost(crfs) + film.measure_cost() * costs.share) * share).sum())
        return float(np.average(film.vmaf(crfs), weights=film.frames * share))

    low, high, crf = 10, 55, 32
    known: dict[int, float] = {}
    while low < high:
        known[crf] = probe(crf)
        if known[crf] >= target:
            low = crf
        else:
            high = crf - 1
        above = [c for c in known if known[c] >= target]
        below = [c for c in known if known[c] < target]
        if above and below:
            a, b = max(above), min(below)
            guess = a + (b - a) * (known[a] - target) / (known[a] - known[b])
            crf = int(np.clip(round(guess), low + 1 if low in known else low, high))
        else:
            crf = (low + high + 1) // 2
        if low >= high or (crf in known):
            break
    crfs = film.single(low)
    return Result(crfs, cost + float(film.encode_cost(crfs).sum()))


def scene_search(film: Film, target: float, costs: Costs, probes: int = 4) -> Result:
    """As Av1an --target-quality: each scene is probed up to 4 times, then encoded."""
    cost, chosen = 0.0, film.single(32.0)
    measuring = film.measure_cost() * costs.share
    for index in range(len(film)):
        known: dict[float, float] = {}
        low, high, crf = 10.0, 55.0, 32.0
        for _ in range(probes):
            crfs = film.single(crf)
            known[crf] = float(film.vmaf(crfs)[index])
            cost += float(film.encode_cost(crfs)[index] + measuring[index])
            if abs(known[crf] - target) < 0.5:
                break
            low, high = (crf, high) if known[crf] > target else (low, crf)
            if len(known) == 1:
                crf = round((low + high) / 2)
            else:
                order = sorted(known, key=lambda c: known[c])
                guess = np.interp(target, [known[c] for c in order], order)
                crf = float(np.clip(round(4 * guess) / 4, low + 0.25, high - 0.25))
            if crf in known:
                break
        chosen[index] = min(known, key=lambda c: abs(known[c] - target))
        cost += float(film.encode_cost(chosen)[index])
    return Result(chosen, cost)


RIVALS: dict[str, Callable[[Film, float, Costs], Result]] = {
    "one CRF, by oracle": one_crf,
    "equal slope, by oracle": equal_slope,
    "ab-av1-like": sample_search,
    "Av1an-like": scene_search,
}
