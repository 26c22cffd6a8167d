"""Cuts and flashes, decided as the frames come, with a bounded look-ahead.

`CutDetector.push` takes one frame's thumbnail and returns the cuts that have become final; a
cut is the number of the first frame after it. The decision about frame t needs no frame later
than t + look_ahead (a quarter of a second), so encoding can start behind the analysis. The
same frames always give the same cuts.

How a cut is told from what resembles one:

- The measure is 1 - the best normalised cross-correlation between two thumbnails over all
  shifts of up to a quarter of the picture (Lewis 1995, 'Fast Normalized Cross-Correlation').
  Correlation does not see gain or offset, so fades and flashes change little; taking the best
  shift follows pans.
- A cut stands out from its neighbours. Fast motion, dissolves and fades spread their change
  over many frames; the measure is taken relative to the upper quartile around it.
- A flash returns: if a frame soon after looks like the one before, nothing was cut. Such bright
  runs are reported as flashes.
- Picture, fade to black, fade from black, another picture: one cut, at the first frame that is
  not black.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from drapto.services.detection.features import U8

# Mean absolute differences (8-bit codes) under which two thumbnails are the same picture.
# Frames of one quiet shot differ by 0.4 in the median, cuts by more than 9 in 99 of 100.
_MIN_CHANGE = 2.5
_SAME_CHANGE = 1.5
# 1 - correlation. Neighbouring frames of real shots stay under 0.09 in 99 of 100, pans and
# flashes too; pairs across shots exceed 0.2 in 99 of 100.
_MIN_DISTANCE = 0.17
_ISOLATED_DISTANCE = 0.13  # enough for a large change in a still neighbourhood
_ISOLATED_RATIO = 8.0
_SAME_DISTANCE, _RETURN_DISTANCE = 0.12, 0.2
_LOCAL_WEIGHT = 1.5
_ORDINARY = 0.7  # quantile of the steps around: what counts as ordinary here
_LEAST_OF_USUAL = 0.5  # a cut changes at least this share of what motion around it does
# A thumbnail whose luma deviates less than this has no structure to correlate.
_FLAT_DEVIATION = 3.0
_SURE_DEVIATION = 9.0  # from here on, correlation is not disturbed by rounding and noise
_FLAT_CUT_CHANGE = 25.0  # two flat pictures this many codes apart are surely different
_SMALL_CHANGE, _BIG_CHANGE = 12.0, 30.0  # of a burst of motion, of half a cut
_FLASH_RISE = 12.0  # codes of mean luma
_LOOK_AHEAD_S = 0.25
_MIN_GAP_S = 0.1


@dataclass
class _Frame:
    thumb: U8
    mean: float
    deviation: float
    black: bool
    change: float = 0.0  # to the frame before
    distance: float | None = None  # to the frame before; computed when first needed

    @property
    def flat(self) -> bool:
        return self.deviation < _FLAT_DEVIATION


@dataclass
class CutDetector:
    """Feed every frame once, in order, with `push`; then call `finish`."""

    frame_rate: Fraction
    flashes: list[int] = field(default_factory=list)  # frames of flashes that are final
    _window: deque[_Frame] = field(default_factory=deque)
    _first: int = 0  # number of the window's first frame
    _count: int = 0
    _decided: int = 0  # frames before this one are decided
    _last_cut: int | None = None
    _before_black: list[_Frame] | None = None  # pictures from before the black run we are in
    _cut_to_black: bool = False  # whether that run began with a cut

    def __post_init__(self) -> None:
        rate = float(self.frame_rate)
        self.look_ahead = min(max(3, round(rate * _LOOK_AHEAD_S)), 30)
        self._gap = max(2, round(rate * _MIN_GAP_S))

    def push(self, thumb: U8, *, mean: float, deviation: float, black: bool) -> list[int]:
        """Cuts that this frame makes final, ascending."""
        import cv2

        frame = _Frame(thumb, mean, deviation, black)
        if self._window:
            frame.change = cv2.norm(thumb, self._window[-1].thumb, cv2.NORM_L1) / thumb.size
        self._window.append(frame)
        self._count += 1
        return self._decide(self._count - self.look_ahead)

    def finish(self) -> list[int]:
        """The cuts of the last frames; no push may follow."""
        return self._decide(self._count)

    def _decide(self, end: int) -> list[int]:
        """Decide frames up to `end`; frames after the window's end count as not there."""
        cuts = []
        while self._decided < end:
            number = self._decided
            if number > 0 and self._is_cut(number):
                cuts.append(number)
                self._last_cut = number
            self._note_flash(number)
            self._decided += 1
            while self._first < self._decided - self.look_ahead - 1:
                self._window.popleft()
                self._first += 1
        return cuts

    def _at(self, number: int) -> _Frame:
        return self._window[number - self._first]

    def _around(self, number: int, reach: int) -> range:
        """Frame numbers within `reach` of `number` that have a frame before them in the window."""
        first = max(self._first + 1, number - reach)
        return range(first, min(self._count, number + reach + 1))

    def _is_cut(self, number: int) -> bool:
        if self._last_cut is not None and number - self._last_cut <= self._gap:
            return False
        black, was_black = self._at(number).black, self._at(number - 1).black
        if was_black and not black and self._before_black is not None:
            source, self._before_black = self._before_black, None
            if not self._cut_to_black:
                return self._leaves_black(number, source)
        found = self._stands_out(number) and not self._returns(number)
        if black and not was_black:
            self._before_black = self._clear(range(self._first, number))
            self._cut_to_black = found
        return found

    def _stands_out(self, number: int) -> bool:
        """Whether the step to `number` is large, unusual here, and the largest hereabouts."""
        score = self._score(number)
        if score < (_ISOLATED_DISTANCE if self._is_isolated(number) else _MIN_DISTANCE):
            return False
        rivals = [(self._score(n), -n) for n in self._around(number, self._gap)]
        return max(rivals) == (score, -number)

    def _is_isolated(self, number: int) -> bool:
        change = self._at(number).change
        around = [self._at(n).change for n in self._around(number, self.look_ahead) if n != number]
        return change > _SMALL_CHANGE and change > _ISOLATED_RATIO * max(around, default=0.0)

    def _clear(self, numbers: range) -> list[_Frame]:
        """Those of these frames that have structure to compare."""
        frames = [self._at(n) for n in numbers]
        return [f for f in frames if not f.black and f.deviation >= 1.5 * _FLAT_DEVIATION]

    def _leaves_black(self, number: int, before: list[_Frame]) -> bool:
        """Whether the picture that follows the black is another than the one before it."""
        after = self._clear(range(number, min(self._count, number + self.look_ahead + 1)))
        pairs = [_distance(a, b) for a in before for b in after]
        return bool(pairs) and min(pairs) >= _ISOLATED_DISTANCE

    def _score(self, number: int) -> float:
        """How far the step to `number` stands out from the steps around it; 0 if it is small."""
        if self._at(number).change < _MIN_CHANGE or self._step(number) < _ISOLATED_DISTANCE:
            return 0.0
        around = [n for n in self._around(number, self.look_ahead) if n != number]
        if not around:
            return self._step(number)
        ordinary = float(np.quantile([self._step(n) for n in around], _ORDINARY))
        score = self._step(number) - _LOCAL_WEIGHT * ordinary - self._burst(number)
        frame, change = self._at(number), self._at(number).change
        usual = float(np.quantile([self._at(n).change for n in around], _ORDINARY))
        if change < _LEAST_OF_USUAL * usual:
            return 0.0
        if frame.flat or self._at(number - 1).flat:
            # Nothing to correlate at one end: only a change larger than those around counts.
            score *= min(1.0, max(0.0, change - usual) / _FLAT_CUT_CHANGE)
        return max(0.0, score)

    def _burst(self, number: int) -> float:
        """A burst of motion in front of an even ground (something leaps away) makes two or three
        large steps of few changed pixels; a cut makes one, or changes most of the picture."""
        near = [n for n in self._around(number, 2) if n != number]
        neighbour = max((self._step(n) for n in near), default=0.0)
        weight = (_BIG_CHANGE - self._at(number).change) / (_BIG_CHANGE - _SMALL_CHANGE)
        return neighbour * min(1.0, max(0.0, weight))

    def _step(self, number: int) -> float:
        frame = self._at(number)
        if frame.distance is None:
            frame.distance = _distance(self._at(number - 1), frame)
        return frame.distance

    def _returns(self, number: int) -> bool:
        """Whether the picture before `number` comes back within the look-ahead, or was left
        within it: both ends of a flash."""
        before, frame = self._at(number - 1), self._at(number)
        for n in range(number + 1, min(self._count, number + self.look_ahead + 1)):
            if _same(before, self._at(n), _return_limit(before, frame, self._at(n))):
                return True
        for n in range(max(self._first, number - self.look_ahead - 1), number - 1):
            if _same(self._at(n), frame, _return_limit(self._at(n), before, frame)):
                return True
        return False

    def _note_flash(self, number: int) -> None:
        """Mark a bright run that starts at `number` and ends within the look-ahead."""
        if number == 0 or (self.flashes and self.flashes[-1] >= number):
            return
        before = self._at(number - 1)
        if self._at(number).mean - before.mean < _FLASH_RISE:
            return
        peak = before.mean
        for n in range(number, min(self._count, number + self.look_ahead + 1)):
            frame = self._at(n)
            peak = max(peak, frame.mean)
            if frame.mean - before.mean < 0.35 * (peak - before.mean):
                if _same(before, frame):
                    self.flashes.extend(range(number, n))
                return


def _return_limit(before: _Frame, between: _Frame, after: _Frame) -> float:
    """Looser where the light went and came back, which pictures of two shots rarely do."""
    level = (before.mean + after.mean) / 2
    went = abs(between.mean - level) > 2 * _FLASH_RISE
    back = abs(before.mean - after.mean) < _FLASH_RISE
    return _RETURN_DISTANCE if went and back else _SAME_DISTANCE


def _same(a: _Frame, b: _Frame, limit: float = _SAME_DISTANCE) -> bool:
    return _distance(a, b) < limit


def _distance(a: _Frame, b: _Frame) -> float:
    """0 (one picture, perhaps moved or lit otherwise) to 1 (nothing in common)."""
    import cv2

    change = cv2.norm(a.thumb, b.thumb, cv2.NORM_L1) / a.thumb.size
    if change < _SAME_CHANGE:
        return 0.0
    if a.flat and b.flat:
        return min(1.0, change / _FLAT_CUT_CHANGE)
    if a.flat or b.flat:
        return 1.0
    whole, part = a.thumb, _inner(b.thumb)
    if not _has_structure(part):
        whole, part = b.thumb, _inner(a.thumb)
    if not _has_structure(part):
        whole, part = a.thumb, b.thumb
    found = cv2.matchTemplate(whole, part, cv2.TM_CCOEFF_NORMED)
    best = float(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0).max())
    distance = 1.0 - min(max(best, 0.0), 1.0)
    # Two faint pictures correlate badly by noise alone; what they differ by in light is certain.
    faint = max(a.deviation, b.deviation) - _FLAT_DEVIATION
    trust = min(1.0, faint / (_SURE_DEVIATION - _FLAT_DEVIATION))
    return max(distance * trust, min(distance, change / _FLAT_CUT_CHANGE))


def _has_structure(thumb: U8) -> bool:
    import cv2

    return float(cv2.meanStdDev(thumb)[1][0, 0]) >= _FLAT_DEVIATION


def _inner(thumb: U8) -> U8:
    """The middle: it can be found again wherever it moved within the margins around it."""
    height, width = thumb.shape
    margin_y, margin_x = height // 5, width // 4
    return thumb[margin_y : height - margin_y, margin_x : width - margin_x]
