"""Which piece is encoded once more, when all have been encoded once.

Everything here costs a whole encode, so it is done only where it mends something: first pieces
below the floor, then the film as a whole, by the pieces that gain the most in the right
direction. Pieces that are as good as their neighbours are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from drapto.core.quality import Pool
from drapto.services.encoding.target_quality.allocation import Allocation
from drapto.services.encoding.target_quality.belief import FilmCurves
from drapto.services.encoding.target_quality.curves import VMAF_LIMIT, gap_of
from drapto.services.encoding.target_quality.film import Attempt, Piece
from drapto.services.encoding.target_quality.goal import (
    CRF_STEP,
    POOLED_TOLERANCE,
    STRICT_TOLERANCE,
    Goal,
)
from drapto.services.encoding.target_quality.outcome import film_quality, kept
from drapto.services.encoding.target_quality.steps import Encode, Why

MAX_PUSH = 4.0  # CRF that a piece may go beyond its own optimum to mend the film
LEAST_MOVE = 1.0  # CRF; less changes nothing that can be seen
FLOOR_DOUBT = 0.25  # VMAF; nearly two deviations of a measurement of every third frame
ABOVE_FLOOR = 0.5  # VMAF aimed above the floor, so that one more encode is enough
WORTH_IT = 0.02  # VMAF of the film; less is not worth an encode
_TAIL_CANDIDATES = 16  # pieces that are tried out in thought where the worst frames count


@dataclass(frozen=True)
class Move:
    """A piece that might be encoded again, to the column of the grid that mends the most."""

    row: int
    column: int
    gain: float  # VMAF of the film, in the wanted direction
    gain_per_frame: float


@dataclass(frozen=True)
class Second:
    """All pieces are known and have been encoded once. `next` is the piece to encode again."""

    goal: Goal
    pieces: tuple[Piece, ...]
    attempts: tuple[Attempt, ...]
    in_flight: tuple[Encode, ...]
    curves: FilmCurves
    allocation: Allocation

    def next(self) -> Encode | None:
        """None when nothing that is allowed would better the result."""
        if self.goal.strict:
            return self._for_strict()
        return self._for_floor() or self._for_film()

    # --- what is allowed ---

    @cached_property
    def _chosen(self) -> dict[int, Attempt]:
        return kept(self.goal, self.attempts)

    @cached_property
    def _candidates(self) -> tuple[int, ...]:
        """Rows of pieces that may be encoded again, each by itself."""
        encodes = dict.fromkeys((piece.index for piece in self.pieces), 0)
        for index in [a.index for a in self.attempts] + [e.index for e in self.in_flight]:
            encodes[index] += 1
        running = {encode.index for encode in self.in_flight}
        again = sum((encodes[piece.index] - 1) * piece.frames for piece in self.pieces)
        left = self.goal.extra_frames([piece.frames for piece in self.pieces]) - again
        return tuple(
            row
            for row, piece in enumerate(self.pieces)
            if piece.index not in running
            and encodes[piece.index] < self.goal.max_encodes
            and (self.goal.strict or piece.frames <= left)
        )

    # --- below the floor ---

    def _for_floor(self) -> Encode | None:
        """The worst piece below the floor goes first, and what may be below it for all we know."""
        floor = min(self.goal.lowest_scene + FLOOR_DOUBT, self.goal.target)
        wanted = gap_of(min(self.goal.lowest_scene + ABOVE_FLOOR, self.goal.target))
        for row in sorted(self._candidates, key=lambda row: (self._mean(row), row)):
            index = self.pieces[row].index
            if self._mean(row) >= floor:
                return None
            tried = min(attempt.crf for attempt in self.attempts if attempt.index == index)
            column = max(int((self.curves.gap[row] <= wanted).sum()) - 1, 0)
            crf = min(float(self.curves.crfs[column]), tried - LEAST_MOVE)
            # Where the film as a whole wants more of it than the floor does, once is enough.
            crf = min(crf, float(self.allocation.crfs[row]))
            if tried > self.goal.lowest_crf:
                return Encode(index, max(crf, self.goal.lowest_crf), Why.FLOOR)
        return None

    # --- the film as a whole ---

    def _for_film(self) -> Encode | None:
        missing = self.goal.target - self._film
        if abs(missing) <= POOLED_TOLERANCE:
            return None
        moves = [move for row in self._candidates if (move := self._move(row, missing)) is not None]
        if self.goal.pool is Pool.P5:
            moves.sort(key=lambda move: (self._mean(move.row), move.row))
            moves = [self._tried_out(move, missing) for move in moves[:_TAIL_CANDIDATES]]
        moves = [move for move in moves if move.gain >= WORTH_IT]
        if not moves:
            return None
        best = max(moves, key=lambda move: (move.gain_per_frame, -move.row))
        crf = float(self.curves.crfs[best.column])
        return Encode(self.pieces[best.row].index, crf, Why.POOLED)

    @cached_property
    def _bins(self) -> dict[int, tuple[float, ...]]:
        """Frames' VMAF of every piece as they will be when the encodes in flight are done."""
        bins = {index: attempt.quality.bins for index, attempt in self._chosen.items()}
        rows = {piece.index: row for row, piece in enumerate(self.pieces)}
        for encode in self.in_flight:
            bins[encode.index] = self._predicted_bins(rows[encode.index], self._column(encode.crf))
        return bins

    @cached_property
    def _film(self) -> float:
        return film_quality(self.pieces, self._bins, self.goal.pool)

    def _move(self, row: int, missing: float) -> Move | None:
        """As far as mends the film, but not far beyond the piece's own optimum."""
        direction = 1.0 if missing > 0 else -1.0
        share = self.pieces[row].frames / float(self.curves.frames.sum())
        now = self._chosen[self.pieces[row].index]
        wanted = now.quality.mean + missing / share
        crf = float(self.curves.crfs[np.argmin(np.abs(self.curves.vmaf[row] - wanted))])
        furthest = self.allocation.crfs[row] - direction * MAX_PUSH
        crf = max(crf, furthest) if direction > 0 else min(crf, furthest)
        column = self._column(float(np.clip(crf, self.goal.lowest_crf, self.goal.highest_crf)))
        if direction * (now.crf - self.curves.crfs[column]) < LEAST_MOVE:
            return None
        if float(self.curves.crfs[column]) in self._tried(row):  # and it was not the better one
            return None
        safe = gap_of(self.goal.lowest_scene + ABOVE_FLOOR)
        if direction < 0 and self.curves.gap[row, column] > safe:
            return None
        gain = direction * float(self.curves.vmaf[row, column] - now.quality.mean)
        return Move(row, column, gain * share, gain)

    def _tried(self, row: int) -> set[float]:
        index = self.pieces[row].index
        return {attempt.crf for attempt in self.attempts if attempt.index == index}

    def _tried_out(self, move: Move, missing: float) -> Move:
        """The gain where only the worst frames count: with the piece's bins put in its place."""
        bins = dict(self._bins)
        bins[self.pieces[move.row].index] = self._predicted_bins(move.row, move.column)
        left = abs(self.goal.target - film_quality(self.pieces, bins, self.goal.pool))
        gain = abs(missing) - left
        return Move(move.row, move.column, gain, gain / self.pieces[move.row].frames)

    def _predicted_bins(self, row: int, column: int) -> tuple[float, ...]:
        gap = VMAF_LIMIT - self.curves.vmaf[row, column]
        return tuple((VMAF_LIMIT - gap * self.curves.spread[row]).tolist())

    # --- every piece by itself ---

    def _for_strict(self) -> Encode | None:
        for row in self._candidates:
            crf = self._nearer(row)
            if crf is not None:
                return Encode(self.pieces[row].index, crf, Why.STRICT)
        return None

    def _nearer(self, row: int) -> float | None:
        """A CRF between those that were too good and too bad; None if there is none left."""
        index, target = self.pieces[row].index, self.goal.target
        tried = [attempt for attempt in self.attempts if attempt.index == index]
        if not tried or abs(self._mean(row) - target) <= STRICT_TOLERANCE:
            return None
        good = [attempt.crf for attempt in tried if attempt.quality.mean >= target]
        bad = [attempt.crf for attempt in tried if attempt.quality.mean < target]
        low = max(good) + CRF_STEP if good else self.goal.lowest_crf
        high = min(bad) - CRF_STEP if bad else self.goal.highest_crf
        if low > high:
            return None
        column = int(np.argmin(np.abs(self.curves.vmaf[row] - target)))
        return float(np.clip(self.curves.crfs[column], low, high))

    def _mean(self, row: int) -> float:
        return self._chosen[self.pieces[row].index].quality.mean

    def _column(self, crf: float) -> int:
        return int(np.argmin(np.abs(self.curves.crfs - crf)))
