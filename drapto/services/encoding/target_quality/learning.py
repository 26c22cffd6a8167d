"""A prior that learns from finished films: later films begin nearer to where they end.

    prior = learnt(ORDINARY, films)

Never needed: without it every film begins as an ordinary one. How many sources stand behind the
shipped prior is what a finished film weighs against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drapto.services.encoding.target_quality.belief import film_effect
from drapto.services.encoding.target_quality.curves import Prior
from drapto.services.encoding.target_quality.film import Attempt, Piece

SHIPPED_SOURCES = 12.0  # of ORDINARY


@dataclass(frozen=True)
class FinishedFilm:
    """What is kept of a job: every piece, every attempt, and the pixels of a frame."""

    pieces: tuple[Piece, ...]
    attempts: tuple[Attempt, ...]
    pixels: int


def learnt(
    prior: Prior, films: Sequence[FinishedFilm], *, sources: float = SHIPPED_SOURCES
) -> Prior:
    """`prior` moved towards these films; with none of them, `prior` itself.

    Each film's effect is what is believed of it after its own attempts. The mean moves by their
    average, as if the prior rested on as many films with none as `sources` says; how much films
    differ (`between`) is estimated anew from the same. Features and scenes count as they did.
    """
    used = [film for film in films if film.attempts]
    if not used:
        return prior
    means, doubts = [], []
    for film in used:
        _, effect = film_effect(film.pieces, film.attempts, prior, film.pixels)
        means.append(effect.mean[0])
        doubts.append(effect.covariance[0, :, 0, :])
    effects = np.array(means)
    total = sources + len(used)
    shift = effects.sum(axis=0) / total
    scatter = sources * (np.asarray(prior.between) + np.outer(shift, shift))
    for mean, doubt in zip(effects, doubts, strict=True):
        scatter = scatter + np.outer(mean - shift, mean - shift) + doubt
    between = scatter / total
    weights = np.asarray(prior.weights).copy()
    weights[:, 0] += shift
    return replace(
        prior,
        weights=tuple(tuple(row) for row in weights.tolist()),
        between=tuple(tuple(row) for row in between.tolist()),
    )
