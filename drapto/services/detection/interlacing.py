"""Progressive, interlaced, telecined or mixed: from the pixels, flags only as a hint.

`InterlacingDetector` looks at groups of consecutive frames, a dozen out of every 72, in three
upright strips at full vertical size. For each frame it compares how well lines weave: its own
two fields, and each of its fields with the other field of the frame before (the idea of
FFmpeg's idet filter; the decision rules here are our own).

- Moving progressive film weaves best with itself.
- Interlaced video: the field that comes first in time weaves with the frame before's second
  field as well as with its own partner, the other pairing, three fields apart, far worse.
- Telecine (2:3 pulldown) repeats a field: one field stands still while the other moves, in two
  of five frames. Camera video never does that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from drapto.core.analysis import Interlacing
from drapto.core.interfaces import LumaFrame
from drapto.services.detection.features import U8, CombFeatures, FeatureBackend

_PERIOD, _GROUP = 72, 12  # frames; 12 hold two whole five-frame telecine cycles
_STRIP_PX = 64
_MIN_WEAVE = 0.6  # 8-bit codes by which weaves must differ to mean movement
_MOVING = 1.25  # the worst weave over the best, in a frame with movement
_APART = 1.15  # between two weaves that are not alike
_STILL_FIELD = 0.25  # change of a repeated field over that of the other
_MIN_FIELD_CHANGE = 0.8  # 8-bit codes
_MIN_VOTES = 3
_REPEAT_SHARE = 0.2  # of moving frames; 2:3 pulldown has 0.4
_MAJORITY = 0.85

_PROGRESSIVE, _TOP, _BOTTOM, _REPEAT = "progressive", "top", "bottom", "repeat"


@dataclass
class InterlacingDetector:
    """`observe` every frame in order, then `decide`."""

    backend: FeatureBackend
    _previous: U8 | None = None
    _groups: dict[int, Counter[str]] = field(default_factory=dict)
    _flagged: Counter[str] = field(default_factory=Counter)

    def observe(self, frame: LumaFrame) -> None:
        if frame.interlaced:
            self._flagged[_TOP if frame.top_field_first else _BOTTOM] += 1
        else:
            self._flagged[_PROGRESSIVE] += 1
        if frame.number % _PERIOD >= _GROUP or frame.damaged:
            self._previous = None
            return
        strips = _strips(frame)
        before, self._previous = self._previous, strips
        if before is None or before.shape != strips.shape or len(strips) < 8:
            return
        vote = _vote(self.backend.comb(strips, before))
        if vote is not None:
            self._groups.setdefault(frame.number // _PERIOD, Counter())[vote] += 1

    def decide(self) -> Interlacing:
        """The verdict. Without enough movement to see, the stream's flags decide."""
        kinds = Counter[Interlacing]()
        for votes in self._groups.values():
            if votes.total() >= _MIN_VOTES:
                kinds[_kind_of(votes)] += 1
        if not kinds:
            whole = sum(self._groups.values(), Counter[str]())
            if whole.total() >= _MIN_VOTES:
                return _kind_of(whole)
            return self._by_flags()
        kind, count = kinds.most_common(1)[0]
        return kind if count >= _MAJORITY * kinds.total() else Interlacing.MIXED

    def _by_flags(self) -> Interlacing:
        flag, count = (self._flagged or Counter([_PROGRESSIVE])).most_common(1)[0]
        if count < _MAJORITY * self._flagged.total():
            return Interlacing.MIXED
        return _ORDERS.get(flag, Interlacing.PROGRESSIVE)


_ORDERS = {_TOP: Interlacing.TOP_FIELD_FIRST, _BOTTOM: Interlacing.BOTTOM_FIELD_FIRST}


def _kind_of(votes: Counter[str]) -> Interlacing:
    total = votes.total()
    if votes[_REPEAT] >= _REPEAT_SHARE * total:
        return Interlacing.TELECINED
    flag, count = votes.most_common(1)[0]
    if count < 0.7 * total:
        return Interlacing.MIXED
    return _ORDERS.get(flag, Interlacing.PROGRESSIVE)


def _vote(comb: CombFeatures) -> str | None:
    """What one frame says; None if nothing moves in it or it cannot be told."""
    least, most = sorted((comb.top_change, comb.bottom_change))
    if most >= _MIN_FIELD_CHANGE and least < _STILL_FIELD * most:
        return _REPEAT
    weaves = (comb.own, comb.top_first, comb.bottom_first)
    if max(weaves) < _MOVING * min(weaves) or max(weaves) - min(weaves) < _MIN_WEAVE:
        return None
    if comb.own * _APART < min(comb.top_first, comb.bottom_first):
        return _PROGRESSIVE
    if comb.top_first * _APART < comb.bottom_first:
        return _TOP
    if comb.bottom_first * _APART < comb.top_first:
        return _BOTTOM
    return None


def _strips(frame: LumaFrame) -> U8:
    """Three upright strips side by side as 8 bit, full height (made even), copied."""
    full = frame.full
    height, width = full.shape[0] // 2 * 2, full.shape[1]
    if width <= 3 * _STRIP_PX:
        picked = full[:height]
    else:
        starts = [width * i // 4 - _STRIP_PX // 2 for i in (1, 2, 3)]
        picked = np.concatenate([full[:height, x : x + _STRIP_PX] for x in starts], axis=1)
    if frame.bit_depth > 8:
        picked = picked >> (frame.bit_depth - 8)
    return picked.astype(np.uint8)
