"""How much the step to a frame looks like a cut.

`CutScorer` is what an implementation must provide; the contract suite is
tests/services/detection/test_cut_scoring.py, which a new one has to join. A scorer sees a bounded
window of thumbnails and decides nothing else: that cuts keep apart, what becomes of black, and what
is reported as a flash is `CutDetector`'s.

`ClassicalScorer` tells a cut from what resembles one by the distances of cut_window.py:

- A cut stands out from its neighbours. Fast motion, dissolves and fades spread their change
  over many frames; the distance is taken relative to the upper quartile around it.
- A flash returns: if a frame soon after looks like the one before, nothing was cut.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from drapto.services.detection.cut_window import FLAT_CUT_CHANGE, CutFrame, CutWindow

_MIN_CHANGE = 2.5  # mean absolute difference in 8-bit codes, see cut_window._SAME_CHANGE
# Neighbouring frames of real shots stay under 0.09 in 99 of 100, pans and flashes too; pairs
# across shots exceed 0.2 in 99 of 100.
_MIN_DISTANCE = 0.17
ISOLATED_DISTANCE = 0.13  # enough for a large change in a still neighbourhood
_ISOLATED_RATIO = 8.0
SAME_DISTANCE, _RETURN_DISTANCE = 0.12, 0.2
_LOCAL_WEIGHT = 1.5
_ORDINARY = 0.7  # quantile of the steps around: what counts as ordinary here
_LEAST_OF_USUAL = 0.5  # a cut changes at least this share of what motion around it does
_SMALL_CHANGE, _BIG_CHANGE = 12.0, 30.0  # of a burst of motion, of half a cut
FLASH_RISE = 12.0  # codes of mean luma


class CutScorer(Protocol):
    """Contract suite: tests/services/detection/test_cut_scoring.py.

    Both methods are asked of a `number` with a frame before it in the window. They answer from the
    frames in the window alone, none later than `number` + `look_ahead`; the same frames always get
    the same answer.
    """

    def score(self, window: CutWindow, number: int) -> float:
        """How much the step to `number` looks like a cut: finite, 0 (not at all) or more.

        Of several steps within `window.gap`, only the one with the highest score can be a cut.
        """
        ...

    def is_cut(self, window: CutWindow, number: int) -> bool:
        """Whether the step to `number` is a cut, unless a step near it scores higher."""
        ...


class ClassicalScorer:
    """See the module's text. Thresholds come from composed films: see bench/cuts.py."""

    def score(self, window: CutWindow, number: int) -> float:
        """How far the step to `number` stands out from the steps around it; 0 if it is small."""
        frame, step = window[number], 0.0
        if frame.change >= _MIN_CHANGE:
            step = window.step(number)
        if step < ISOLATED_DISTANCE:
            return 0.0
        around = window.others(number, window.look_ahead)
        if not around:
            return step
        ordinary = float(np.quantile([window.step(n) for n in around], _ORDINARY))
        score = step - _LOCAL_WEIGHT * ordinary - _burst(window, number)
        usual = float(np.quantile([window[n].change for n in around], _ORDINARY))
        if frame.change < _LEAST_OF_USUAL * usual:
            return 0.0
        if frame.flat or window[number - 1].flat:
            # Nothing to correlate at one end: only a change larger than those around counts.
            score *= min(1.0, max(0.0, frame.change - usual) / FLAT_CUT_CHANGE)
        return max(0.0, score)

    def is_cut(self, window: CutWindow, number: int) -> bool:
        """Whether the step is large, unusual here, and no end of a flash."""
        least = ISOLATED_DISTANCE if _is_isolated(window, number) else _MIN_DISTANCE
        return self.score(window, number) >= least and not _returns(window, number)


def _is_isolated(window: CutWindow, number: int) -> bool:
    change = window[number].change
    around = [window[n].change for n in window.others(number, window.look_ahead)]
    return change > _SMALL_CHANGE and change > _ISOLATED_RATIO * max(around, default=0.0)


def _burst(window: CutWindow, number: int) -> float:
    """A burst of motion in front of an even ground (something leaps away) makes two or three
    large steps of few changed pixels; a cut makes one, or changes most of the picture."""
    neighbour = max((window.step(n) for n in window.others(number, 2)), default=0.0)
    weight = (_BIG_CHANGE - window[number].change) / (_BIG_CHANGE - _SMALL_CHANGE)
    return neighbour * min(1.0, max(0.0, weight))


def _returns(window: CutWindow, number: int) -> bool:
    """Whether the picture before `number` comes back within the look-ahead, or was left
    within it: both ends of a flash."""
    before, frame = window[number - 1], window[number]
    for n in window.after(number):
        if window.distance(number - 1, n) < _return_limit(before, frame, window[n]):
            return True
    for n in window.before(number):
        if window.distance(n, number) < _return_limit(window[n], before, frame):
            return True
    return False


def _return_limit(before: CutFrame, between: CutFrame, after: CutFrame) -> float:
    """Looser where the light went and came back, which pictures of two shots rarely do."""
    level = (before.mean + after.mean) / 2
    went = abs(between.mean - level) > 2 * FLASH_RISE
    back = abs(before.mean - after.mean) < FLASH_RISE
    return _RETURN_DISTANCE if went and back else SAME_DISTANCE
