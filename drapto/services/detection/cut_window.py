"""The frames around a step that may be a cut, and how much two thumbnails have in common.

`CutWindow` holds a bounded run of a film's frames and names them by their numbers in the film; the
step to frame t is what lies between the frames t - 1 and t. `CutDetector` fills it, a `CutScorer`
reads it.

The distance of two thumbnails is 1 - the best normalised cross-correlation between them over all
shifts of up to a quarter of the picture (Lewis 1995, 'Fast Normalized Cross-Correlation').
Correlation does not see gain or offset, so fades and flashes change little; taking the best shift
follows pans.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from drapto.core.features import U8

# Mean absolute difference (8-bit codes) under which two thumbnails are the same picture. Frames
# of one quiet shot differ by 0.4 in the median, cuts by more than 9 in 99 of 100.
_SAME_CHANGE = 1.5
# A thumbnail whose luma deviates less than this has no structure to correlate.
_FLAT_DEVIATION = 3.0
_SURE_DEVIATION = 9.0  # from here on, correlation is not disturbed by rounding and noise
FLAT_CUT_CHANGE = 25.0  # two flat pictures this many codes apart are surely different


@dataclass
class CutFrame:
    """A frame as the scorers see it.

    thumb: (h, w) uint8, at most 64x40. mean, deviation: of its luma, in 8-bit codes. black: whether
    nothing can be seen on it. change: mean absolute difference, in codes, to the thumbnail before.
    """

    thumb: U8
    mean: float
    deviation: float
    black: bool
    change: float = 0.0
    # To the frame so many places before this one; computed when first needed.
    distances: dict[int, float] = field(default_factory=dict)

    @property
    def flat(self) -> bool:
        return self.deviation < _FLAT_DEVIATION

    @property
    def clear(self) -> bool:
        """Whether there is structure to compare, and enough of it to be sure."""
        return not self.black and self.deviation >= 1.5 * _FLAT_DEVIATION


@dataclass
class CutWindow:
    """Frames [first, end) of a film.

    look_ahead: of how many frames after t a decision about the step to t may know. gap: after a
    cut, no other one is made for this many frames.
    """

    look_ahead: int
    gap: int
    first: int = 0
    end: int = 0
    _frames: deque[CutFrame] = field(default_factory=deque)

    def __getitem__(self, number: int) -> CutFrame:
        return self._frames[number - self.first]

    def append(self, frame: CutFrame) -> None:
        import cv2

        if self._frames:
            before = self._frames[-1]
            frame.change = cv2.norm(frame.thumb, before.thumb, cv2.NORM_L1) / frame.thumb.size
        self._frames.append(frame)
        self.end += 1

    def forget(self, before: int) -> None:
        """Let go of the frames with a number under `before`."""
        while self.first < before:
            self._frames.popleft()
            self.first += 1

    def steps(self, number: int, reach: int) -> range:
        """The steps within `reach` of the one to `number`, itself among them."""
        first = max(self.first + 1, number - reach)
        return range(first, min(self.end, number + reach + 1))

    def others(self, number: int, reach: int) -> list[int]:
        return [n for n in self.steps(number, reach) if n != number]

    def before(self, number: int) -> range:
        """Frames that were left within the look-ahead, without the one just before `number`."""
        return range(max(self.first, number - self.look_ahead - 1), number - 1)

    def after(self, number: int) -> range:
        """Frames that follow `number` within the look-ahead."""
        return range(number + 1, min(self.end, number + self.look_ahead + 1))

    def clear(self, numbers: Iterable[int]) -> list[CutFrame]:
        """Those of these frames that can be compared with surety."""
        return [frame for frame in map(self.__getitem__, numbers) if frame.clear]

    def step(self, number: int) -> float:
        """The distance of frame `number` to the one before it."""
        return self.distance(number - 1, number)

    def distance(self, earlier: int, later: int) -> float:
        """See `distance`; kept, as decisions near each other ask for the same pairs."""
        known = self[later].distances
        if later - earlier not in known:
            known[later - earlier] = distance(self[earlier], self[later])
        return known[later - earlier]


def distance(a: CutFrame, b: CutFrame) -> float:
    """0 (one picture, perhaps moved or lit otherwise) to 1 (nothing in common)."""
    import cv2

    change = cv2.norm(a.thumb, b.thumb, cv2.NORM_L1) / a.thumb.size
    if change < _SAME_CHANGE:
        return 0.0
    if a.flat and b.flat:
        return min(1.0, change / FLAT_CUT_CHANGE)
    if a.flat or b.flat:
        return 1.0
    whole, part = a.thumb, _inner(b.thumb)
    if not _has_structure(part):
        whole, part = b.thumb, _inner(a.thumb)
    if not _has_structure(part):
        whole, part = a.thumb, b.thumb
    found = cv2.matchTemplate(whole, part, cv2.TM_CCOEFF_NORMED)
    best = float(found.max())
    if not isfinite(best):  # no structure in some part of the whole
        best = float(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0).max())
    apart = 1.0 - min(max(best, 0.0), 1.0)
    # Two faint pictures correlate badly by noise alone; what they differ by in light is certain.
    faint = max(a.deviation, b.deviation) - _FLAT_DEVIATION
    trust = min(1.0, faint / (_SURE_DEVIATION - _FLAT_DEVIATION))
    return max(apart * trust, min(apart, change / FLAT_CUT_CHANGE))


def _has_structure(thumb: U8) -> bool:
    import cv2

    return float(cv2.meanStdDev(thumb)[1][0, 0]) >= _FLAT_DEVIATION


def _inner(thumb: U8) -> U8:
    """The middle: it can be found again wherever it moved within the margins around it."""
    height, width = thumb.shape
    margin_y, margin_x = height // 5, width // 4
    return thumb[margin_y : height - margin_y, margin_x : width - margin_x]
