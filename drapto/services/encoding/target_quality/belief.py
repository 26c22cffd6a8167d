"""What is believed of a film's curves, given what was encoded of it.

Every attempt gives two numbers with noise, linear in the scene's z (`curves.Prior`), so what is
known of the film, and then of each scene, follows exactly: conditioning of a normal distribution.
The film has an effect on all of its scenes, and one on how much each feature counts in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from drapto.core.quality import BINS
from drapto.services.encoding.target_quality.curves import VMAF_LIMIT, Floats, Ints, Prior, gap_of
from drapto.services.encoding.target_quality.film import Attempt, Piece

# How far measured points lie off curves of five numbers, and the scatter of measuring every
# third frame (0.16 VMAF at a gap of 8).
GAP_NOISE = 0.035
RATE_NOISE = 0.04
# How differently a feature may count in this film: deviations of a scene, for one unit of it.
# 0.5 gained 0.3 % of bytes against 0 on simulated films, 1 no more.
SLOPE_SPREAD = 0.5


@dataclass(frozen=True)
class FilmCurves:
    """Curves of every piece over the grid of CRFs. Rows follow the pieces."""

    crfs: Floats  # (g,) ascending
    frames: Floats  # (n,)
    gap: Floats  # (n, g) expected ln(103 - VMAF)
    gap_deviation: Floats  # (n, g) its standard deviation
    rate: Floats  # (n, g) expected ln(bits per pixel)
    rate_deviation: Floats  # (n, g)
    spread: Floats  # (n, bins): gap of the worst 5 % of frames, of the next, … by the mean's

    @cached_property
    def vmaf(self) -> Floats:
        """(n, g) expected VMAF: the mean of a log-normal gap."""
        vmaf: Floats = VMAF_LIMIT - np.exp(self.gap + self.gap_deviation**2 / 2)
        return vmaf


@dataclass(frozen=True)
class _Seen:
    """What attempts say of each scene's z - expected, as normal information."""

    rows: Ints  # of the scenes with attempts, each once
    information: Floats  # (n, k, k)
    vector: Floats  # (n, k)


@dataclass(frozen=True)
class FilmEffect:
    """`mean` (1 + f, k): on the scene with average features, then for a unit of each feature."""

    lever: Floats  # (n, 1 + f): 1, features less their mean
    mean: Floats
    covariance: Floats  # (1 + f, k, 1 + f, k)


@lru_cache(maxsize=4)
def learn_curves(
    pieces: tuple[Piece, ...],
    attempts: tuple[Attempt, ...],
    prior: Prior,
    crfs: tuple[float, ...],
    pixels: int,
) -> FilmCurves:
    """The curves of all pieces at `crfs`; `pixels` of one frame."""
    seen, film = film_effect(pieces, attempts, prior, pixels)
    within = np.asarray(prior.within)
    effect = film.lever @ film.mean
    doubt = np.einsum("na,aibj,nb->nij", film.lever, film.covariance, film.lever)

    # Unseen scenes have the film's effect; seen ones their own evidence on top of it.
    z = prior.expected(_features(pieces)) + effect
    covariance = within + doubt
    rows = seen.rows
    if len(rows):
        own = np.linalg.inv(np.linalg.inv(within) + seen.information[rows])
        shift = seen.vector[rows] - (seen.information[rows] @ effect[rows, :, None])[:, :, 0]
        z[rows] += np.einsum("nij,nj->ni", own, shift)
        pull = own @ np.linalg.inv(within)  # how much of the film's doubt is left in the scene
        covariance[rows] = own + pull @ doubt[rows] @ pull.transpose(0, 2, 1)

    grid = np.asarray(crfs)
    gap_mean, gap_shape = prior.gap_rows(grid)
    rate_mean, rate_shape = prior.rate_rows(grid)
    return FilmCurves(
        crfs=grid,
        frames=np.array([piece.frames for piece in pieces], dtype=np.float64),
        gap=gap_mean + z @ gap_shape.T,
        gap_deviation=_deviation(gap_shape, covariance),
        rate=rate_mean + z @ rate_shape.T,
        rate_deviation=_deviation(rate_shape, covariance),
        spread=_spreads(pieces, attempts),
    )


def film_effect(
    pieces: tuple[Piece, ...], attempts: tuple[Attempt, ...], prior: Prior, pixels: int
) -> tuple[_Seen, FilmEffect]:
    """How the film differs from what the prior expects, and the evidence for that."""
    seen = _gather(pieces, attempts, prior, pixels)
    features = _features(pieces)
    lever = np.hstack([np.ones((len(pieces), 1)), features - features.mean(axis=0)])
    parts, size = lever.shape[1], len(prior.within)
    within = np.asarray(prior.within)
    before = np.kron(np.eye(parts), SLOPE_SPREAD**2 * within)
    before[:size, :size] = prior.between

    # A scene's evidence about the film is weakened by what scenes differ among themselves.
    rows = seen.rows
    weaken = np.linalg.inv(np.eye(size) + seen.information[rows] @ within)
    gain = weaken @ seen.information[rows]
    told = (weaken @ seen.vector[rows, :, None])[:, :, 0]
    outer = lever[rows, :, None] * lever[rows, None, :]
    information = np.linalg.inv(before)
    information += np.einsum("nab,nij->aibj", outer, gain).reshape(before.shape)
    covariance = np.linalg.inv(information)
    mean = covariance @ np.einsum("na,ni->ai", lever[rows], told).ravel()
    return seen, FilmEffect(
        lever, mean.reshape(parts, size), covariance.reshape(parts, size, parts, size)
    )


def _gather(
    pieces: tuple[Piece, ...], attempts: tuple[Attempt, ...], prior: Prior, pixels: int
) -> _Seen:
    size = len(prior.within)
    information = np.zeros((len(pieces), size, size))
    vector = np.zeros((len(pieces), size))
    row_of = {piece.index: row for row, piece in enumerate(pieces)}
    rows = np.array([row_of[attempt.index] for attempt in attempts], dtype=np.int64)
    if not len(rows):
        return _Seen(rows, information, vector)
    frames = np.array([piece.frames for piece in pieces])[rows]
    expected = prior.expected(_features(pieces))[rows]
    crfs = np.array([attempt.crf for attempt in attempts])
    gap = np.array([gap_of(attempt.quality.mean) for attempt in attempts])
    bits = 8.0 * np.array([max(attempt.size_bytes, 1) for attempt in attempts])
    rate = np.log(bits / (frames * pixels))
    for (mean, shape), values, noise in (
        (prior.gap_rows(crfs), gap, GAP_NOISE),
        (prior.rate_rows(crfs), rate, RATE_NOISE),
    ):
        miss = values - mean - np.sum(shape * expected, axis=1)
        np.add.at(information, rows, shape[:, :, None] * shape[:, None, :] / noise**2)
        np.add.at(vector, rows, shape * (miss / noise**2)[:, None])
    return _Seen(np.unique(rows), information, vector)


def _features(pieces: tuple[Piece, ...]) -> Floats:
    return np.array([piece.features for piece in pieces]).reshape(len(pieces), -1)


def _deviation(shape: Floats, covariance: Floats) -> Floats:
    outer = np.einsum("gi,gj->gij", shape, shape).reshape(len(shape), -1)
    variance = covariance.reshape(len(covariance), -1) @ outer.T
    deviation: Floats = np.sqrt(np.maximum(variance, 0.0))
    return deviation


def _spreads(pieces: tuple[Piece, ...], attempts: tuple[Attempt, ...]) -> Floats:
    """How frames are spread around the mean of their segment; unmeasured ones as the film."""
    known: Mapping[int, Floats] = {
        attempt.index: VMAF_LIMIT - np.asarray(attempt.quality.bins) for attempt in attempts
    }
    if not known:
        return np.ones((len(pieces), BINS))
    ratios = {index: gaps / gaps.mean() for index, gaps in known.items()}
    usual = np.mean(list(ratios.values()), axis=0)
    return np.array([ratios.get(piece.index, usual) for piece in pieces])
