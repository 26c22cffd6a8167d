"""What the controller answers: one step at a time, and the outcome at the end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drapto.services.encoding.target_quality.film import Attempt


class Why(StrEnum):
    """Why a piece is encoded."""

    PILOT = "pilot"  # to learn the film
    FIRST = "first"  # its turn
    FLOOR = "floor"  # again: it fell below the floor
    POOLED = "pooled"  # again: the film as a whole missed the target
    STRICT = "strict"  # again: it missed the target by itself


@dataclass(frozen=True)
class Encode:
    """Encode segment `index` at `crf`, measure it, and say so with `finished`."""

    index: int
    crf: float
    why: Why


@dataclass(frozen=True)
class Wait:
    """Nothing to do until a result, or another piece, is there."""


@dataclass(frozen=True)
class Stop:
    """The output would not be small enough: end all encodes, keep the source."""

    projected_bytes: int
    max_bytes: int


@dataclass(frozen=True)
class Outcome:
    """`chosen`: the attempt to keep of every piece, by index. `notes`: sentences for the user."""

    chosen: tuple[Attempt, ...]
    mean: float
    harmonic: float
    p5: float
    size_bytes: int
    extra_frames: int  # encoded more than once
    reached: bool  # the target; in strict mode by every piece
    off_target: tuple[int, ...]  # strict: indexes further than 0.5 from the target
    below_floor: tuple[int, ...]  # indexes
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """Every piece is encoded, and nothing that is allowed would better the result."""

    outcome: Outcome


Step = Encode | Wait | Stop | Done
