"""What is asked for: the quality, how it is pooled, and what may be spent on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drapto.core.quality import Pool

MAX_VMAF = 100.0
CRF_STEP = 0.25  # SVT-AV1 takes quarters
FLOOR_BELOW_TARGET = 6.0  # VMAF: 6 is one 'just noticeable difference' (Netflix, 2018)
STRICT_TOLERANCE = 0.5  # VMAF
# Films of fewer pieces than the first number may have so many of them encoded again in any case.
SHORT_FILMS = ((4, 4), (8, 2))
POOLED_TOLERANCE = 0.25  # VMAF; what lies within is not worth another encode


@dataclass(frozen=True)
class Goal:
    """Errors: ValueError for what cannot be asked for."""

    target: float  # VMAF
    pool: Pool = Pool.MEAN
    floor: float | None = None  # least mean VMAF of a segment; None: target - 6
    strict: bool = False  # every segment within +-0.5 of the target; `max_extra` does not count
    max_extra: float = 0.10  # share of the film's frames that may be encoded again
    max_encodes: int = 4  # of one segment, the first included
    lowest_crf: float = 12.0
    highest_crf: float = 55.0
    max_bytes: int | None = None  # of the whole film's video; more than this is no saving

    def __post_init__(self) -> None:
        if not 0 < self.target <= MAX_VMAF:
            raise ValueError(f"the target VMAF must be above 0 and at most 100, not {self.target}")
        if not 0 <= self.max_extra <= 1:
            raise ValueError(f"max_extra is a share of 0 to 1, not {self.max_extra}")
        if self.max_encodes < 1:
            raise ValueError("every segment must be encoded at least once")
        if not 0 < self.lowest_crf < self.highest_crf:
            raise ValueError(f"no CRF lies from {self.lowest_crf} to {self.highest_crf}")
        if any(crf % CRF_STEP for crf in (self.lowest_crf, self.highest_crf)):
            raise ValueError("the limits of the CRF must be whole quarters")

    def extra_frames(self, pieces: Sequence[int]) -> int:
        """How many frames may be encoded again in a film of pieces of so many frames.

        A tenth of a film of few pieces is less than one of them, and its first encodes are guesses:
        so one piece may be in any case, and of a short film more.
        """
        if not self.max_extra:
            return 0
        least = next((again for fewer, again in SHORT_FILMS if len(pieces) < fewer), 1)
        return max(int(self.max_extra * sum(pieces)), least * max(pieces))

    @property
    def lowest_scene(self) -> float:
        """VMAF that no segment's mean may fall below; never above the target."""
        floor = self.target - FLOOR_BELOW_TARGET if self.floor is None else self.floor
        return min(floor, self.target)
