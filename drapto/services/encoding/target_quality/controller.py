"""Target quality as a pure state machine: which segment to encode next, at which CRF.

    control = Controller(Goal(target=95), prior=ORDINARY, pixels=1920 * 1080, film_frames=4000)
    control = control.known(Piece(0, 120, complexity(4.4, 2.5)))         # as detection finds them
    control = control.all_known()
    step = control.next(workers=4)                                        # Encode(0, 31.25, …)
    control = control.begun(step)
    control = control.finished(Attempt(0, 31.25, 180_000, quality))
    ...                                                                   # until Done or Stop

It promises: the same calls give the same answers, and the order in which results come in changes
nothing; every piece is encoded, none more than `max_encodes` times; unless `strict`, no more than
`Goal.extra_frames` are encoded again; it always ends. There is no clock, no chance
and no file in here: bench/target_quality_sim.py and the encoding stage drive the same code.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from drapto.services.encoding.target_quality.allocation import (
    Allocation,
    allocate,
    each_at_target,
)
from drapto.services.encoding.target_quality.belief import FilmCurves, learn_curves
from drapto.services.encoding.target_quality.curves import Prior, crf_grid
from drapto.services.encoding.target_quality.film import Attempt, Piece
from drapto.services.encoding.target_quality.goal import Goal
from drapto.services.encoding.target_quality.outcome import kept, outcome, projected_bytes
from drapto.services.encoding.target_quality.pilots import (
    KNOWN_BEFORE_START,
    PILOTS,
    RESULTS_BEFORE_REST,
    choose_pilots,
    most_in_flight,
)
from drapto.services.encoding.target_quality.second import Second
from drapto.services.encoding.target_quality.steps import Done, Encode, Step, Stop, Wait, Why


@dataclass(frozen=True)
class Controller:
    """See the module's text. Every method returns a new controller."""

    goal: Goal
    prior: Prior
    pixels: int  # of a frame of the output
    film_frames: int  # all frames of the film, also those whose segments are not known yet
    pieces: tuple[Piece, ...] = ()  # by index
    complete: bool = False
    attempts: tuple[Attempt, ...] = ()  # by index, then in the order of encoding
    in_flight: tuple[Encode, ...] = ()  # by index

    def known(self, *pieces: Piece) -> Controller:
        """Segments were found. Errors: ValueError for one that is known already, or too late."""
        if self.complete:
            raise ValueError("all segments were said to be known")
        both = sorted((*self.pieces, *pieces), key=lambda piece: piece.index)
        if len({piece.index for piece in both}) != len(both):
            raise ValueError("a segment is known already")
        return replace(self, pieces=tuple(both))

    def all_known(self) -> Controller:
        """No segments will follow. Errors: ValueError where there are none at all."""
        if not self.pieces:
            raise ValueError("a film has at least one segment")
        return replace(self, complete=True)

    def begun(self, encode: Encode) -> Controller:
        """An answer of `next` is being carried out. Errors: ValueError."""
        if any(other.index == encode.index for other in self.in_flight):
            raise ValueError(f"segment {encode.index} is being encoded already")
        self._piece(encode.index)
        running = sorted((*self.in_flight, encode), key=lambda other: other.index)
        return replace(self, in_flight=tuple(running))

    def finished(self, attempt: Attempt) -> Controller:
        """A result is there; also one of an earlier run of the job. Errors: ValueError."""
        self._piece(attempt.index)
        attempts = list(self.attempts)
        insort(attempts, attempt, key=lambda other: other.index)
        running = tuple(other for other in self.in_flight if other.index != attempt.index)
        return replace(self, attempts=tuple(attempts), in_flight=running)

    def next(self, workers: int) -> Step:
        """What to do now, with up to `workers` encodes at once."""
        if (too_large := self._too_large()) is not None:
            return too_large
        if len(self.in_flight) >= workers:
            return Wait()
        waiting = self._waiting()
        if waiting:
            return self._first(waiting, workers)
        if not self.complete:
            return Wait()
        if not self.goal.strict and self._unmeasured():
            return Wait()
        step = Second(
            self.goal, self.pieces, self.attempts, self.in_flight, self.curves, self.allocation
        ).next()
        if step is not None:
            return step
        if self.in_flight:
            return Wait()
        return Done(outcome(self.goal, self.pieces, self.attempts, self.allocation))

    @cached_property
    def kept(self) -> Mapping[int, Attempt]:
        """The attempt to keep of every piece that has one, by index."""
        return kept(self.goal, self.attempts)

    @cached_property
    def curves(self) -> FilmCurves:
        """What is believed of every known piece."""
        grid = tuple(crf_grid(self.goal.lowest_crf, self.goal.highest_crf).tolist())
        return learn_curves(self.pieces, self.attempts, self.prior, grid, self.pixels)

    @cached_property
    def allocation(self) -> Allocation:
        """The CRF of every known piece, if all of them were encoded now."""
        return allocate(self.curves, self.goal)

    def _piece(self, index: int) -> Piece:
        for piece in self.pieces:
            if piece.index == index:
                return piece
        raise ValueError(f"segment {index} is not known")

    def _unmeasured(self) -> list[Piece]:
        measured = {attempt.index for attempt in self.attempts}
        return [piece for piece in self.pieces if piece.index not in measured]

    def _waiting(self) -> list[Piece]:
        running = {encode.index for encode in self.in_flight}
        return [piece for piece in self._unmeasured() if piece.index not in running]

    def _first(self, waiting: list[Piece], workers: int) -> Step:
        if not self.complete and len(self.pieces) < KNOWN_BEFORE_START:
            return Wait()
        finished = len(self.pieces) - len(self._unmeasured())
        if len(self.in_flight) >= most_in_flight(workers, len(self.pieces), finished):
            return Wait()
        open_ones = {piece.index for piece in waiting}
        pilots = [index for index in choose_pilots(self.pieces) if index in open_ones]
        if pilots and len(self.pieces) - len(waiting) < PILOTS:
            return self._encode(pilots[0], Why.PILOT)
        if finished < min(RESULTS_BEFORE_REST, len(self.pieces) - len(waiting)):
            return Wait()
        longest = max(waiting, key=lambda piece: (piece.frames, -piece.index))
        return self._encode(longest.index, Why.FIRST)

    def _encode(self, index: int, why: Why) -> Encode:
        row = next(row for row, piece in enumerate(self.pieces) if piece.index == index)
        crfs = each_at_target(self.curves, self.goal) if self.goal.strict else self.allocation.crfs
        return Encode(index, float(crfs[row]), why)

    def _too_large(self) -> Stop | None:
        """Stop as soon as even the least that the film can be expected to take is too much."""
        limit = self.goal.max_bytes
        if limit is None or not self.attempts:
            return None
        likely, least = self._projection
        return Stop(likely, limit) if least > limit else None

    @cached_property
    def _projection(self) -> tuple[int, int]:
        return projected_bytes(
            self.goal,
            self.pieces,
            self.attempts,
            self.curves,
            self.allocation,
            self.pixels,
            self.film_frames,
        )
