"""From windows that were encoded to the film that was not. Pure.

Every window stands for its part of the film (`calibration.py` says for how much). Bytes of a
window are turned into what the same frames take inside of a film, where key frames are rarer.
With a target, the curves of target quality (services/encoding/target_quality) are learnt from the
windows and the film's level is read off them, as the encoding stage does it with segments.

How wide a range is: the film is predicted again without each window in turn (jackknife; Efron,
'The Jackknife, the Bootstrap and Other Resampling Plans', 1982, chapter 3), which holds all that
comes of having seen so little: how much windows differ, that hard ones are both larger and need
another CRF, and what calibration adds. To that comes the doubt about curves, and what even
certain knowledge of all windows would leave (`MODEL_ERROR`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drapto.core.estimate import COVERAGE, Range
from drapto.core.quality import SegmentQuality
from drapto.core.statistics import student_t
from drapto.services.encoding.target_quality import Attempt, Goal, Piece
from drapto.services.encoding.target_quality.allocation import (
    Allocation,
    allocate,
    each_at_target,
)
from drapto.services.encoding.target_quality.allocation import predict as predicted_vmaf
from drapto.services.encoding.target_quality.belief import FilmCurves, learn_curves
from drapto.services.encoding.target_quality.curves import VMAF_LIMIT, Floats, Prior, crf_grid
from drapto.services.encoding.target_quality.goal import CRF_STEP
from drapto.services.estimating.calibration import weights
from drapto.services.estimating.film import Film, Seen

# How much more the frames of long segments take than those of a window, which are all near to its
# key frame; per share of frames that are further from one than a window is long. Measured on 8
# stretches of 144 frames, as one encode and as three windows each, at presets 8 and 13 and CRF 25
# and 35: 2 to 14 %, on average 5.5 % at a share of 2/3. VMAF differs by 0.0 at preset 8.
FAR_FROM_KEY = 0.09

# Standard deviations (of logarithms) of finished encodes around estimates that knew all windows.
MODEL_ERROR = 0.06  # bytes
GAP_MODEL_ERROR = 0.04  # 103 - VMAF
# How much larger a steered film is than one whose curves were known from the start: its level moves
# while it is being learnt. 5.5, 3.8 and 2.6 % for short, middle and long films in
# docs/target-quality.md, against 'equal slope, by oracle'.
STEERING_COST = 0.04
# How far steered films come out from their target, as a standard deviation in VMAF, times the root
# of their segments: 0.8, 0.45 and 0.2 for 6, 20 and 90. In docs/target-quality.md half of such
# films are within 0.56, 0.31 and 0.18, and nine of ten within 1.42, 0.79 and 0.23.
STEERING_ERROR = 2.0


@dataclass(frozen=True)
class Trial:
    """A window, and what came of encoding it. `key_bytes`: of its first frame."""

    seen: Seen
    crf: float
    size_bytes: int
    key_bytes: int
    cpu_s: float  # of the encoder alone
    quality: SegmentQuality | None = None  # VMAF; None: not measured
    peak_rss_bytes: int = 0

    @property
    def frames(self) -> int:
        return self.seen.window.frames


@dataclass(frozen=True)
class Prediction:
    """`encode_cpu_s` is for encoding every frame once."""

    video_bytes: Range
    encode_cpu_s: Range
    crf: float
    vmaf: Range | None
    reached: bool  # whether the curves promise the target


@dataclass(frozen=True)
class _Point:
    size_bytes: float
    cpu_s: float
    crf: float
    vmaf: float | None
    reached: bool = True
    doubt: float = 0.0  # standard deviation of ln(size_bytes): of curves, and of steering
    gap_doubt: float = 0.0  # of ln(103 - vmaf): of steering


def predict(film: Film, trials: Sequence[Trial], goal: Goal | None, prior: Prior) -> Prediction:
    """`goal` None: the film gets the CRF of the trials. Errors: ValueError for no trials."""
    if not trials:
        raise ValueError("nothing can be predicted from no window")
    point = _film_of(film, trials, goal, prior)
    others = [
        _film_of(film, [*trials[:left_out], *trials[left_out + 1 :]], goal, prior)
        for left_out in range(len(trials))
        if len(trials) > 1
    ]
    unseen = max(0.0, 1 - sum(trial.frames for trial in trials) / film.frames)
    reach = student_t(COVERAGE, len(trials) - 1) if len(trials) > 1 else student_t(COVERAGE, 1)

    def around(value: float, estimates: Sequence[float], *errors: float) -> Range:
        logarithms = np.log(np.maximum(estimates, 1e-9))
        spread = _jackknife_variance(logarithms) * unseen
        width = math.exp(reach * math.sqrt(spread + sum(error**2 for error in errors)))
        return Range(low=value / width, likely=value, high=value * width)

    size = around(point.size_bytes, [o.size_bytes for o in others], point.doubt, MODEL_ERROR)
    cpu = around(point.cpu_s, [o.cpu_s for o in others])
    vmaf = None
    if point.vmaf is not None:
        gaps = [VMAF_LIMIT - other.vmaf for other in others if other.vmaf is not None]
        gap = around(VMAF_LIMIT - point.vmaf, gaps, GAP_MODEL_ERROR, point.gap_doubt)
        vmaf = Range(
            low=VMAF_LIMIT - gap.high, likely=point.vmaf, high=min(VMAF_LIMIT - gap.low, 100.0)
        )
    return Prediction(size, cpu, point.crf, vmaf, point.reached)


def next_crfs(
    film: Film, waiting: Sequence[Seen], tried: Sequence[Trial], goal: Goal, prior: Prior
) -> tuple[float, ...]:
    """The CRF at which to try each window that waits, given what came of others."""
    pieces = _pieces(film, [*waiting, *(trial.seen for trial in tried)])
    curves = _curves(film, pieces, _attempts(film, tried, pieces[len(waiting) :]), goal, prior)
    return tuple(_allocation(curves, goal).crfs[: len(waiting)].tolist())


def _film_of(film: Film, trials: Sequence[Trial], goal: Goal | None, prior: Prior) -> _Point:
    parts = _parts(film, [trial.seen for trial in trials])
    cpu_s = film.frames * float(parts @ [trial.cpu_s / trial.frames for trial in trials])
    if goal is not None:
        return replace(_steered(film, trials, goal, prior), cpu_s=cpu_s)
    size_bytes = film.frames * float(parts @ _rates(film, trials))
    scores = [trial.quality.mean for trial in trials if trial.quality is not None]
    vmaf = float(parts @ scores) if len(scores) == len(trials) else None
    return _Point(size_bytes, cpu_s, trials[0].crf, vmaf)


def _steered(film: Film, trials: Sequence[Trial], goal: Goal, prior: Prior) -> _Point:
    seen = [trial.seen for trial in trials]
    pieces = _pieces(film, seen)
    curves = _curves(film, pieces, _attempts(film, trials, pieces), goal, prior)
    allocation = _allocation(curves, goal)
    columns = np.searchsorted(curves.crfs, allocation.crfs)
    rows = np.arange(len(trials))
    rate, deviation = curves.rate[rows, columns], curves.rate_deviation[rows, columns]
    sizes = curves.frames * film.pixels / 8 * np.exp(rate + deviation**2 / 2)
    total = float(sizes.sum()) * (1 + STEERING_COST)
    # What one VMAF costs, from here to one CRF more.
    further = np.minimum(columns + round(1 / CRF_STEP), len(curves.crfs) - 1)
    fewer = float(sizes @ (rate - curves.rate[rows, further])) / total
    lost = allocation.predicted - predicted_vmaf(curves, further, goal.pool)
    missed = STEERING_ERROR / math.sqrt(max(1.0, film.frames * film.segments_per_frame(seen)))
    # The doubt of curves counts as if all were wrong in the same direction.
    doubt = math.hypot(float(sizes @ deviation) / total, missed * fewer / max(lost, 0.05))
    return _Point(
        size_bytes=total,
        cpu_s=0.0,
        crf=allocation.level,
        vmaf=allocation.predicted,
        reached=allocation.reached,
        doubt=doubt,
        gap_doubt=missed / (VMAF_LIMIT - allocation.predicted),
    )


def _parts(film: Film, windows: Sequence[Seen]) -> Floats:
    hints = [seen.hint for seen in windows if seen.hint is not None]
    known = film.hint is not None and len(hints) == len(windows)
    shares = [seen.window.stands_for for seen in windows]
    return weights(shares, hints if known else None, film.hint or 0.0)


def _rates(film: Film, trials: Sequence[Trial]) -> Floats:
    """(n,) bytes that one frame like those of each window takes in the film."""
    seen = [trial.seen for trial in trials]
    splits, more = film.splits_per_frame(seen), 1 + FAR_FROM_KEY * film.far_from_key(seen)
    rates = []
    for trial in trials:
        ordinary = (trial.size_bytes - trial.key_bytes) / max(trial.frames - 1, 1)
        rates.append(more * ordinary * (1 - splits) + trial.key_bytes * splits)
    return np.asarray(rates, dtype=np.float64)


def _pieces(film: Film, windows: Sequence[Seen]) -> tuple[Piece, ...]:
    """The film, as if it had one segment like each window."""
    parts = _parts(film, windows).tolist()
    return tuple(
        Piece(index, max(1, round(film.frames * part)), seen.features)
        for index, (seen, part) in enumerate(zip(windows, parts, strict=True))
    )


def _attempts(film: Film, trials: Sequence[Trial], pieces: Sequence[Piece]) -> tuple[Attempt, ...]:
    """Errors: ValueError where a window was not measured."""
    attempts = []
    rates = _rates(film, trials).tolist() if trials else []
    for piece, trial, rate in zip(pieces, trials, rates, strict=True):
        if trial.quality is None:
            raise ValueError("a target can only be predicted from windows that were measured")
        attempts.append(Attempt(piece.index, trial.crf, round(rate * piece.frames), trial.quality))
    return tuple(attempts)


def _curves(
    film: Film,
    pieces: tuple[Piece, ...],
    attempts: tuple[Attempt, ...],
    goal: Goal,
    prior: Prior,
) -> FilmCurves:
    grid = tuple(crf_grid(goal.lowest_crf, goal.highest_crf).tolist())
    return learn_curves(pieces, attempts, prior, grid, film.pixels)


def _allocation(curves: FilmCurves, goal: Goal) -> Allocation:
    """The CRFs that each segment would get; of a strict goal those at the target by itself."""
    allocation = allocate(curves, goal)
    return replace(allocation, crfs=each_at_target(curves, goal)) if goal.strict else allocation


def _jackknife_variance(estimates: Floats) -> float:
    count = len(estimates)
    if count < 2:
        return 0.0
    return float((count - 1) * np.mean((estimates - estimates.mean()) ** 2))
