"""Cuts and flashes, decided as the frames come, with a bounded look-ahead.

`CutDetector.push` takes one frame's thumbnail and returns the cuts that have become final; a
cut is the number of the first frame after it. The decision about frame t needs no frame later
than t + look_ahead (a quarter of a second), so encoding can start behind the analysis. The
same frames always give the same cuts.

How much a step looks like a cut is a `CutScorer`'s to say (cut_scoring.py). What is decided here:

- Cuts keep a tenth of a second apart; of the steps that close together, the highest score wins.
- Picture, fade to black, fade from black, another picture: one cut, at the first frame that is
  not black.
- Bright runs after which the picture from before comes back are no cuts but reported as flashes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from drapto.core.features import U8
from drapto.services.detection.cut_scoring import (
    FLASH_RISE,
    ISOLATED_DISTANCE,
    SAME_DISTANCE,
    ClassicalScorer,
    CutScorer,
)
from drapto.services.detection.cut_window import CutFrame, CutWindow, distance

_LOOK_AHEAD_S = 0.25
_MIN_GAP_S = 0.1
_FLASH_END = 0.35  # a flash is over when this share of its rise in light is left


@dataclass
class CutDetector:
    """Feed every frame once, in order, with `push`; then call `finish`."""

    frame_rate: Fraction
    scorer: CutScorer = field(default_factory=ClassicalScorer)
    flashes: list[int] = field(default_factory=list)  # frames of flashes that are final
    _decided: int = 0  # frames before this one are decided
    _last_cut: int | None = None
    _before_black: list[CutFrame] | None = None  # pictures from before the black run we are in
    _cut_to_black: bool = False  # whether that run began with a cut

    def __post_init__(self) -> None:
        rate = float(self.frame_rate)
        look_ahead = min(max(3, round(rate * _LOOK_AHEAD_S)), 30)
        self._window = CutWindow(look_ahead, gap=max(2, round(rate * _MIN_GAP_S)))

    @property
    def look_ahead(self) -> int:
        return self._window.look_ahead

    def push(self, thumb: U8, *, mean: float, deviation: float, black: bool) -> list[int]:
        """Cuts that this frame makes final, ascending."""
        self._window.append(CutFrame(thumb, mean, deviation, black))
        return self._decide(self._window.end - self.look_ahead)

    def finish(self) -> list[int]:
        """The cuts of the last frames; no push may follow."""
        return self._decide(self._window.end)

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
            self._window.forget(self._decided - self.look_ahead - 1)
        return cuts

    def _is_cut(self, number: int) -> bool:
        window = self._window
        if self._last_cut is not None and number - self._last_cut <= window.gap:
            return False
        black, was_black = window[number].black, window[number - 1].black
        if was_black and not black and self._before_black is not None:
            source, self._before_black = self._before_black, None
            if not self._cut_to_black:
                return self._leaves_black(number, source)
        found = self.scorer.is_cut(window, number) and self._leads(number)
        if black and not was_black:
            self._before_black = window.clear(range(window.first, number))
            self._cut_to_black = found
        return found

    def _leads(self, number: int) -> bool:
        """Whether no step hereabouts scores higher, and none before this one as high."""
        score, steps = self.scorer.score, self._window.steps(number, self._window.gap)
        return max(steps, key=lambda n: (score(self._window, n), -n)) == number

    def _leaves_black(self, number: int, before: list[CutFrame]) -> bool:
        """Whether the picture that follows the black is another than the one before it."""
        after = self._window.clear([number, *self._window.after(number)])
        pairs = [distance(a, b) for a in before for b in after]
        return bool(pairs) and min(pairs) >= ISOLATED_DISTANCE

    def _note_flash(self, number: int) -> None:
        """Mark a bright run that starts at `number` and ends within the look-ahead."""
        window = self._window
        if number == 0 or (self.flashes and self.flashes[-1] >= number):
            return
        before = window[number - 1]
        if window[number].mean - before.mean < FLASH_RISE:
            return
        peak = window[number].mean
        for n in window.after(number):
            frame = window[n]
            peak = max(peak, frame.mean)
            if frame.mean - before.mean < _FLASH_END * (peak - before.mean):
                if window.distance(number - 1, n) < SAME_DISTANCE:
                    self.flashes.extend(range(number, n))
                return
