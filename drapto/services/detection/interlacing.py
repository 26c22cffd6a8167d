"""Progressive, interlaced, telecined or mixed: from the pixels, flags only as a hint.

`InterlacingDetector` looks at groups of consecutive frames, a dozen out of every 72, in three
upright strips at full vertical size. For each frame it compares how well lines weave: its own
two fields, and each of its fields with the other field of the frame before (the idea of
FFmpeg's idet filter; the decision rules here are our own).

- Moving progressive film weaves best with itself, and both other pairings, a frame apart, are
  about alike.
- Interlaced video: the field that comes first in time weaves with the frame before's second
  field as well as with its own partner; the other pairing, three fields apart, is far worse.
- Telecine (2:3 pulldown) repeats a field: one field stands still while the other moves, in two
  of five frames, always the same two. Camera video never does that. Where coding noise hides it,
  the two other pairings still show the rhythm: in two of five frames they are alike, as in film,
  and in the three between them one is better, always the same one.

Fine detail that moves up or down lies between these: a picture moved by whole lines can weave
better with the frame before than movement to the side ever would. So a frame must fit one
picture in all three numbers, or it says nothing; frames that contradict each other (a field
order that changes, a repeated field out of step) say nothing either; and where too little is
left, the flags decide. Where the flags say interlaced, less is asked of the pixels to agree.
Films whose truth is known: tests/services/detection/test_interlacing.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from statistics import fmean

import numpy as np

from drapto.core.analysis import FieldOrder, Interlacing
from drapto.core.features import U8, CombFeatures, FeatureBackend
from drapto.core.source import LumaFrame

# Thresholds without a unit are ratios. They were chosen on patterns of lavfi, scrolled in every
# direction, at 64x36 to 320x180, and on camera clips; each as progressive film, as fields of
# either order and with pulldown. No progressive one of them is called anything else.
PERIOD, _GROUP = 72, 12  # frames; 12 hold two whole five-frame telecine cycles
_STRIP_PX = 64
_MIN_WEAVE = 0.6  # 8-bit codes by which weaves must differ to tell anything
_MOVING = 1.25  # the worst weave over the best, in a frame that tells anything
_APART = 1.15  # between two weaves that are not alike
# Where the better of the two other pairings lies between the frame's own weave (0) and the worse
# one (1): 1 for film and 0 for fields that move to the side.
_LIKE_FILM, _LIKE_FIELDS = 0.5, 0.15
_STILL_FIELD = 0.25  # change of a repeated field over that of the other
_MIN_FIELD_CHANGE = 0.8  # 8-bit codes, of the field that moves beside a repeated one
_MIN_CHANGE = 0.4  # 8-bit codes, of both fields: something moves
_MIN_VOTES = 3
_MIN_SHARE = 0.3  # of moving frames that tell the field order, for interlaced
_ONE_SIDED = 0.85  # of the votes for a field order; of repeated fields in step with pulldown
_CYCLE = 5  # frames of 2:3 pulldown
_MIXED_FRAMES = 3  # of the five whose fields are of two pictures, or beside such a one
_MIN_CYCLES = 2
_MIN_LEAN, _LEANS_MORE = 0.01, 1.3  # of a frame that leans; times that of one that does not
_LIKE_FLAGGED_FIELDS = 0.3  # as _LIKE_FIELDS, where the flags say interlaced
_CLEAR = 0.7  # of a group's votes
_MAJORITY = 0.85  # of groups, or of flags


class _Sight(Enum):
    """What a frame in which something moves looks like."""

    PROGRESSIVE = auto()
    TOP_FIRST = auto()
    BOTTOM_FIRST = auto()
    TOP_REPEATED = auto()
    BOTTOM_REPEATED = auto()
    UNCLEAR = auto()


@dataclass(frozen=True)
class _Frame:
    """What one frame looked like beside the one before. `sight` None: nothing moves."""

    number: int
    sight: _Sight | None
    comb: CombFeatures
    flag: Interlacing

    @property
    def lean(self) -> float:
        """How much better the top field goes with what was before than the bottom field, -1..1."""
        both = self.comb.top_first + self.comb.bottom_first
        return (self.comb.bottom_first - self.comb.top_first) / both if both else 0.0

    @property
    def is_whole(self) -> bool:
        """Its fields go with each other better than with any before."""
        return self.comb.own < min(self.comb.top_first, self.comb.bottom_first)


_Seen = Sequence[tuple[int, _Sight]]  # (frame number, what was seen), moving frames only
_REPEATED = (_Sight.TOP_REPEATED, _Sight.BOTTOM_REPEATED)
# In 2:3 pulldown the field that comes second is repeated two frames after the other one.
_SECOND_AFTER_FIRST = 2
_KINDS = {
    _Sight.PROGRESSIVE: Interlacing.PROGRESSIVE,
    _Sight.TOP_FIRST: Interlacing.TOP_FIELD_FIRST,
    _Sight.BOTTOM_FIRST: Interlacing.BOTTOM_FIELD_FIRST,
}
_ORDERS = {
    Interlacing.TOP_FIELD_FIRST: FieldOrder.TOP_FIRST,
    Interlacing.BOTTOM_FIELD_FIRST: FieldOrder.BOTTOM_FIRST,
}


@dataclass
class InterlacingDetector:
    """`observe` every frame in order, then `decide`, and `field_order` once that is decided."""

    backend: FeatureBackend
    _previous: U8 | None = None
    _frames: list[_Frame] = field(default_factory=list)
    _flagged: Counter[Interlacing] = field(default_factory=Counter)
    _kinds: Counter[Interlacing] = field(default_factory=Counter)  # of groups that are over
    _group: list[_Frame] = field(default_factory=list)
    so_far: Interlacing | None = None  # after the first group

    def observe(self, frame: LumaFrame) -> None:
        self._flagged[_flag_of(frame)] += 1
        if frame.number % PERIOD == _GROUP:
            self._close_group()
        if frame.number % PERIOD >= _GROUP or frame.damaged:
            self._previous = None
            return
        strips = _strips(frame)
        before, self._previous = self._previous, strips
        if before is None or before.shape != strips.shape or len(strips) < 8:
            return
        comb = self.backend.comb(strips, before)
        seen = _Frame(frame.number, _see(comb), comb, _flag_of(frame))
        self._frames.append(seen)
        self._group.append(seen)

    def _close_group(self) -> None:
        """Whoever wants to begin early cannot wait for `decide`."""
        kind = _kind_of(self._group)
        if kind is not None:
            self._kinds[kind] += 1
        self._group = []
        self.so_far = _most(self._kinds or self._flagged)

    def decide(self) -> Interlacing:
        """The verdict. Without enough movement to see, the stream's flags decide."""
        if _is_pulldown(_moving(self._frames)):
            return Interlacing.TELECINED
        kinds = Counter(kind for group in _groups(self._frames) if (kind := _kind_of(group)))
        if kinds:
            return _most(kinds)
        return _kind_of(self._frames) or _most(self._flagged)

    def field_order(self) -> FieldOrder | None:
        """By the fields that were seen, else by the flags; None if neither tells."""
        votes = Counter(o for group in _groups(self._frames) if (o := _order_of(group)))
        votes = votes or Counter(o for o in (_order_of(self._frames),) if o)
        if not votes:
            votes += Counter({o: self._flagged[kind] for kind, o in _ORDERS.items()})
        return votes.most_common(1)[0][0] if votes else None


def _groups(frames: Sequence[_Frame]) -> Iterable[list[_Frame]]:
    groups: dict[int, list[_Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.number // PERIOD, []).append(frame)
    return groups.values()


def _moving(frames: Sequence[_Frame]) -> _Seen:
    return [(frame.number, frame.sight) for frame in frames if frame.sight is not None]


def _order_of(group: Sequence[_Frame]) -> FieldOrder | None:
    """By the rhythm of pulldown where it shows, else by what weaves with what."""
    seen = _moving(group)
    if _is_pulldown(seen):
        beats = {field_repeated: _beat(seen, field_repeated) for field_repeated in _REPEATED}
        after = (beats[_Sight.BOTTOM_REPEATED] - beats[_Sight.TOP_REPEATED]) % _CYCLE
        return FieldOrder.TOP_FIRST if after == _SECOND_AFTER_FIRST else FieldOrder.BOTTOM_FIRST
    kind = _kind_of(group)
    if kind is Interlacing.TELECINED:
        return _pulldown_by_weaves(group)
    return None if kind is None else _ORDERS.get(kind)


def _beat(seen: _Seen, field_repeated: _Sight) -> int:
    """In which frame of the five this field is repeated most often."""
    phases = Counter(number % _CYCLE for number, sight in seen if sight is field_repeated)
    return phases.most_common(1)[0][0]


def _pulldown_by_weaves(group: Sequence[_Frame]) -> FieldOrder | None:
    """The field order if the pairings show pulldown's rhythm: three frames of five lean."""
    by_phase = [[f for f in group if f.number % _CYCLE == phase] for phase in range(_CYCLE)]
    if min(map(len, by_phase)) < _MIN_CYCLES:
        return None
    leans = [fmean(frame.lean for frame in frames) for frames in by_phase]
    for first in range(_CYCLE):
        places = [(first + step) % _CYCLE for step in range(_CYCLE)]
        leaning, whole = places[:_MIXED_FRAMES], places[_MIXED_FRAMES:]
        sign = 1 if leans[first] > 0 else -1
        least = min(sign * leans[place] for place in leaning)
        most = max(abs(f.lean) for place in whole for f in by_phase[place])
        alike = all(f.is_whole for place in whole for f in by_phase[place])
        same_way = min(sign * f.lean for place in leaning for f in by_phase[place]) > 0
        if alike and same_way and least >= max(_MIN_LEAN, _LEANS_MORE * most):
            return FieldOrder.TOP_FIRST if sign > 0 else FieldOrder.BOTTOM_FIRST
    return None


def _fields_by_flag(group: Sequence[_Frame]) -> Interlacing | None:
    """The field order that the flags name, if the pairings of the whole group lean that way."""
    flagged = Counter(frame.flag for frame in group)
    kind, count = flagged.most_common(1)[0] if flagged else (Interlacing.PROGRESSIVE, 0)
    if kind not in _ORDERS or count < _MAJORITY * len(group) or len(group) < _GROUP // 2:
        return None
    own = fmean(frame.comb.own for frame in group)
    near, far = (
        fmean(frame.comb.top_first for frame in group),
        fmean(frame.comb.bottom_first for frame in group),
    )
    if kind is Interlacing.BOTTOM_FIELD_FIRST:
        near, far = far, near
    agrees = far >= _MOVING * own and near - own <= _LIKE_FLAGGED_FIELDS * (far - own)
    return kind if agrees and far - own >= _MIN_WEAVE else None


def _most(kinds: Counter[Interlacing]) -> Interlacing:
    """The kind of nearly all, or mixed. Of nothing: progressive."""
    if not kinds:
        return Interlacing.PROGRESSIVE
    kind, count = kinds.most_common(1)[0]
    return kind if count >= _MAJORITY * kinds.total() else Interlacing.MIXED


def _flag_of(frame: LumaFrame) -> Interlacing:
    if not frame.interlaced:
        return Interlacing.PROGRESSIVE
    return Interlacing.TOP_FIELD_FIRST if frame.top_field_first else Interlacing.BOTTOM_FIELD_FIRST


def _kind_of(group: Sequence[_Frame]) -> Interlacing | None:
    """What frames close together say; None if too few of them say anything."""
    seen = _moving(group)
    if _is_pulldown(seen) or _pulldown_by_weaves(group) is not None:
        return Interlacing.TELECINED
    if (flagged := _fields_by_flag(group)) is not None:
        return flagged
    votes = Counter(sight for _, sight in seen if sight in _KINDS)
    orders = votes[_Sight.TOP_FIRST], votes[_Sight.BOTTOM_FIRST]
    if max(orders) < _ONE_SIDED * sum(orders) or sum(orders) < _MIN_SHARE * len(seen):
        del votes[_Sight.TOP_FIRST], votes[_Sight.BOTTOM_FIRST]
    if votes.total() < _MIN_VOTES:
        return None
    sight, count = votes.most_common(1)[0]
    return _KINDS[sight] if count >= _CLEAR * votes.total() else Interlacing.MIXED


def _is_pulldown(seen: _Seen) -> bool:
    """Whether fields are repeated in the one rhythm of 2:3 pulldown.

    Each field has one frame of every five in which it is repeated. A horizontal edge that creeps
    over the lines changes one field and then the other as well, but in no such rhythm.
    """
    repeats = [(number % _CYCLE, sight) for number, sight in seen if sight in _REPEATED]
    beats = dict[_Sight, int]()  # which frame of the five
    in_step = 0
    for field_repeated in _REPEATED:
        phases = Counter(phase for phase, sight in repeats if sight is field_repeated)
        if not phases:
            return False
        beats[field_repeated], count = phases.most_common(1)[0]
        in_step += count
    on_beat = sum(number % _CYCLE in beats.values() for number, _ in seen)
    return (
        len(set(beats.values())) == len(_REPEATED)
        and in_step >= _MIN_VOTES
        and in_step >= _ONE_SIDED * max(len(repeats), on_beat)
        and len(seen) >= 1.5 * len(repeats)  # both fields move in three frames of five
    )


def _see(comb: CombFeatures) -> _Sight | None:
    """What one frame looks like; None if nothing moves in it."""
    least, most = sorted((comb.top_change, comb.bottom_change))
    if most >= _MIN_FIELD_CHANGE and least < _STILL_FIELD * most:
        top_stands = comb.top_change < comb.bottom_change
        return _Sight.TOP_REPEATED if top_stands else _Sight.BOTTOM_REPEATED
    weaves = (comb.own, comb.top_first, comb.bottom_first)
    if max(weaves) < _MOVING * min(weaves) or max(weaves) - min(weaves) < _MIN_WEAVE:
        return _Sight.UNCLEAR if least >= _MIN_CHANGE else None
    near, far = sorted((comb.top_first, comb.bottom_first))
    if near > _APART * comb.own and near - comb.own >= _LIKE_FILM * (far - comb.own):
        return _Sight.PROGRESSIVE
    if far > _APART * max(near, comb.own) and near - comb.own <= _LIKE_FIELDS * (far - comb.own):
        return _Sight.TOP_FIRST if near == comb.top_first else _Sight.BOTTOM_FIRST
    return _Sight.UNCLEAR


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
