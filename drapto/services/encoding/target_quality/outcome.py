"""Which attempt of every piece is kept, what the film then is, and what the user should know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from drapto.core.quality import Pool, pooled
from drapto.core.words import count
from drapto.services.encoding.target_quality.allocation import PLATEAU, Allocation
from drapto.services.encoding.target_quality.belief import FilmCurves
from drapto.services.encoding.target_quality.film import Attempt, Piece
from drapto.services.encoding.target_quality.goal import POOLED_TOLERANCE, STRICT_TOLERANCE, Goal
from drapto.services.encoding.target_quality.steps import Outcome

_CERTAIN = 2.0  # standard deviations of the projected size, before an encode is given up for it
_LISTED = 8  # segments named in a note


def kept(goal: Goal, attempts: Sequence[Attempt]) -> dict[int, Attempt]:
    """The attempt to keep, by index of the piece.

    Strict: the one nearest to the target. Otherwise the last one, which was made for a reason;
    but while one of them is below the floor, the better one.
    """
    chosen: dict[int, Attempt] = {}
    for attempt in attempts:
        other = chosen.get(attempt.index)
        if other is None or _better(goal, attempt, other):
            chosen[attempt.index] = attempt
    return chosen


def film_quality(
    pieces: Sequence[Piece], bins: Mapping[int, tuple[float, ...]], pool: Pool
) -> float:
    """Pooled VMAF of the film; `bins`: mean VMAF of equal shares of the frames of each piece."""
    scores = np.array([bins[piece.index] for piece in pieces])
    frames = np.array([piece.frames for piece in pieces], dtype=np.float64)
    weights = np.repeat(frames / scores.shape[1], scores.shape[1])
    return pooled(scores.ravel(), weights, pool)


def outcome(
    goal: Goal, pieces: Sequence[Piece], attempts: Sequence[Attempt], allocation: Allocation
) -> Outcome:
    """What a film with every piece encoded has become. `pieces` must not be empty."""
    chosen = kept(goal, attempts)
    bins = {index: attempt.quality.bins for index, attempt in chosen.items()}
    by_pool = {pool: film_quality(pieces, bins, pool) for pool in Pool}
    below = tuple(i for i in sorted(chosen) if chosen[i].quality.mean < goal.lowest_scene)
    off = tuple(
        index
        for index in sorted(chosen)
        if abs(chosen[index].quality.mean - goal.target) > STRICT_TOLERANCE
    )
    got = by_pool[goal.pool]
    reached = not off if goal.strict else got >= goal.target - POOLED_TOLERANCE
    frames = {piece.index: piece.frames for piece in pieces}
    encoded = sum(frames[attempt.index] for attempt in attempts)
    notes = []
    if goal.strict and off:
        notes.append(_strict_note(goal, chosen, off))
    if not goal.strict and not reached:
        notes.append(_missed_note(goal, got, allocation))
    if below:
        notes.append(_floor_note(goal, chosen, below))
    return Outcome(
        chosen=tuple(chosen[index] for index in sorted(chosen)),
        mean=by_pool[Pool.MEAN],
        harmonic=by_pool[Pool.HARMONIC],
        p5=by_pool[Pool.P5],
        size_bytes=sum(attempt.size_bytes for attempt in chosen.values()),
        extra_frames=encoded - sum(frames.values()),
        reached=reached,
        off_target=off if goal.strict else (),
        below_floor=below,
        notes=tuple(notes),
    )


def projected_bytes(
    goal: Goal,
    pieces: Sequence[Piece],
    attempts: Sequence[Attempt],
    curves: FilmCurves,
    allocation: Allocation,
    pixels: int,
    film_frames: int,
) -> tuple[int, int]:
    """Bytes of the finished film: expected, and the least to be expected (two deviations)."""
    chosen = kept(goal, attempts)
    columns = np.searchsorted(curves.crfs, allocation.crfs)
    rows = np.arange(len(pieces))
    rate, deviation = curves.rate[rows, columns], curves.rate_deviation[rows, columns]
    volume = curves.frames * pixels / 8
    likely = volume * np.exp(rate + deviation**2 / 2)
    least = volume * np.exp(rate - _CERTAIN * deviation)
    for row, piece in enumerate(pieces):
        if piece.index in chosen:
            likely[row] = least[row] = chosen[piece.index].size_bytes
    done = sum(attempt.size_bytes for attempt in chosen.values())
    # Frames whose segments are not known yet are taken to be like those that are.
    unknown = max(0.0, film_frames / float(curves.frames.sum()) - 1)
    least_share = float(np.exp(-_CERTAIN * deviation.mean()))
    expected = float(likely.sum())
    return int(expected * (1 + unknown)), max(
        done, int(least.sum() + expected * unknown * least_share)
    )


def _better(goal: Goal, later: Attempt, earlier: Attempt) -> bool:
    if goal.strict:
        return abs(later.quality.mean - goal.target) < abs(earlier.quality.mean - goal.target)
    if min(later.quality.mean, earlier.quality.mean) < goal.lowest_scene:
        return later.quality.mean > earlier.quality.mean
    return True


def _missed_note(goal: Goal, got: float, allocation: Allocation) -> str:
    said = f"The film reaches VMAF {got:.1f} ({goal.pool}) instead of {goal.target:g}"
    if allocation.reached:
        return (
            f"{said}: some segments came out worse than predicted, and no more of the film may be "
            "encoded again (--max-extra)."
        )
    if allocation.level > goal.lowest_crf:
        return (
            f"{said}: below CRF {allocation.level:g} a whole CRF gains less than {PLATEAU:g} VMAF, "
            "so the source itself, not the encode, is the limit there."
        )
    return f"{said}: even CRF {goal.lowest_crf:g}, the lowest that is used, does not give more."


def _floor_note(goal: Goal, chosen: Mapping[int, Attempt], below: tuple[int, ...]) -> str:
    at_lowest = [index for index in below if chosen[index].crf <= goal.lowest_crf]
    why = (
        f"CRF {goal.lowest_crf:g} is the lowest that is used"
        if len(at_lowest) == len(below)
        else "no more of the film may be encoded again (--max-extra), and no segment more than "
        f"{goal.max_encodes} times"
    )
    return (
        f"{count(len(below), 'segment')} stayed below the floor of VMAF {goal.lowest_scene:g} "
        f"({_listed(chosen, below)}): {why}."
    )


def _strict_note(goal: Goal, chosen: Mapping[int, Attempt], off: tuple[int, ...]) -> str:
    return (
        f"{count(len(off), 'segment')} could not be brought within {STRICT_TOLERANCE:g} of VMAF "
        f"{goal.target:g} in {goal.max_encodes} encodes from CRF {goal.lowest_crf:g} to "
        f"{goal.highest_crf:g} ({_listed(chosen, off)})."
    )


def _listed(chosen: Mapping[int, Attempt], indexes: tuple[int, ...]) -> str:
    parts = [f"{index}: {chosen[index].quality.mean:.1f}" for index in indexes[:_LISTED]]
    return ", ".join(parts) + (", …" if len(indexes) > _LISTED else "")
