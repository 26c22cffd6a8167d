"""Inverse telecine: what becomes of every frame, decided once for the whole film.

2:3 pulldown makes five frames of four pictures, AA BB BC CD DD in fields. Counted from the third,
the one to drop:

    frame of the five   0   1   2   3   4
    earlier field       B'  C   D   A   B      the first is that of the frame before
    later field         C   D   D'  A   B      the third is that of the frame before
    weaves better with  before  before  itself  itself  itself

Where pictures move, that is plain to see. Where they stand still, were drawn twice or drown in
coding noise, single frames say little and the rhythm of the frames around them says the rest: so
the most likely course of the whole film is looked for (Viterbi's algorithm over six states: one for
each place of the repeat in five frames, and one for video, which has none). A frame that clearly
shows something new is never dropped, whatever the rhythm says.

Tests: tests/services/detection/test_pulldown.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import FieldOrder
from drapto.core.deinterlacing import Deinterlacing, Method
from drapto.core.source import FieldSeries
from drapto.services.detection.scenes import runs

_CYCLE = 5  # frames of 2:3 pulldown
_VIDEO = _CYCLE  # the state without a rhythm
_AROUND = 4  # frames on either side that say how much the film moves here

# Ratios of a field's change to the usual one around it. Measured on two pans of 240 pictures, one
# with grain of 3 codes, telecined and coded by x264 as fields: by coding noise alone a repeated
# field changes by 0.1 and 0.3 at crf 16 (medians; 0.47 at most), by 0.3 and 0.4 at crf 24, and by
# 0.6 to 0.9 from crf 32 on. Nine in ten of the new ones change by more than 0.8 up to crf 24, and
# by more than 0.7 at crf 40.
_REPEATED, _NEW = 0.5, 0.9
# In the same films a repeated field never changed by more than 1.3 to 3.1 times the median of all
# repeated ones: 1.5 times that median may be coding noise, and 3 times that again is none.
_NOISE, _FAR = 1.5, 3.0
# Choices, in 8-bit codes, held by the films of tests/services/detection/test_pulldown.py.
_MOVING_CODES = 1.0  # with less change around it, nothing can be told from a ratio
_STILL_CODES = 0.75  # a change that nobody sees and no coder keeps
_CLEAR_FIT, _FIT_CODES = 0.3, 1.0  # share of both misfits, and codes, that tell which fits

# Costs, of which the proportions alone count: choices, held by the same films.
_AGAINST = 1.0  # one thing seen that does not go with the state
_LOSING = 10.0  # dropping what shows something new
_TURNING = 8.0  # a new rhythm: two cycles of video must not look cheaper as film

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def inverse_telecine(fields: FieldSeries, order: FieldOrder) -> Deinterlacing:
    """Which frames are dropped, which are woven, and which lie outside of any rhythm."""
    if len(fields) < _CYCLE:
        return Deinterlacing(method=Method.IVTC, field_order=order, loose=_all_of(fields))
    seen = _Seen(fields)
    rhythm = _likeliest_rhythm(seen)
    place = (np.arange(len(fields)) - rhythm) % _CYCLE
    place[rhythm == _VIDEO] = -1
    drop = (place == 0) & ~seen.shows_new
    weave = place == 1
    # Where a film or a rhythm begins, the field that belongs to this one is not there.
    weave[0] = False
    weave[1:] &= (rhythm[1:] == rhythm[:-1]) & (drop[:-1] | ~seen.fits_itself[1:])
    loose = (rhythm == _VIDEO) | (place == 0) & ~drop | (place == 1) & ~weave
    return Deinterlacing(
        method=Method.IVTC,
        field_order=order,
        dropped=tuple(np.flatnonzero(drop).tolist()),
        woven=tuple(np.flatnonzero(weave).tolist()),
        loose=runs(loose),
    )


def _all_of(fields: FieldSeries) -> tuple[tuple[int, int], ...]:
    return ((0, len(fields)),) if len(fields) else ()


class _Seen:
    """What single frames tell, and nothing where they do not."""

    def __init__(self, fields: FieldSeries) -> None:
        earlier, later = fields.earlier_change, fields.later_change
        usual_earlier, usual_later = _usual(earlier), _usual(later)
        moves = (usual_earlier >= _MOVING_CODES) & (usual_later >= _MOVING_CODES)
        self.earlier_repeats = moves & (earlier < _REPEATED * usual_earlier)
        self.later_repeats = moves & (later < _REPEATED * usual_later)
        least, most = (f(fields.own_misfit, fields.before_misfit) for f in (np.minimum, np.maximum))
        clear = (most >= _FIT_CODES) & (most - least >= _CLEAR_FIT * (most + least))
        self.fits_before = clear & (fields.own_misfit > fields.before_misfit)
        self.fits_itself = clear & (fields.own_misfit < fields.before_misfit)
        noise = max(_STILL_CODES, _NOISE * _median(earlier[self.earlier_repeats]))
        usually = (earlier > noise) & (earlier >= _NEW * usual_earlier)
        self.shows_new = usually | (earlier > _FAR * noise)
        self.shows_new[0] = True

    def against(self) -> Floats:
        """How much speaks against each frame of the five, shape (5, frames)."""
        rows = (
            (self.fits_itself, self.later_repeats),
            (self.fits_itself, self.earlier_repeats),
            (self.fits_before, self.earlier_repeats),
            (self.fits_before,),
            (self.fits_before,),
        )
        return np.stack([np.sum(row, axis=0) for row in rows]).astype(np.float64)


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _usual(change: Floats) -> Floats:
    """The median change of the frames around each one, itself left out, unknown ones too."""
    known = np.where(np.isfinite(change), change, np.nan)
    padded = np.pad(known, _AROUND, constant_values=np.nan)
    shifts = [shift for shift in range(2 * _AROUND + 1) if shift != _AROUND]
    around = np.stack([padded[shift : shift + len(change)] for shift in shifts])
    around[:, np.isnan(around).all(axis=0)] = 0.0
    return np.asarray(np.nanmedian(around, axis=0), dtype=np.float64)


def _likeliest_rhythm(seen: _Seen) -> Ints:
    """The state of every frame on the cheapest way through the film, shape (frames,)."""
    costs = _costs(seen)
    frames, states = costs.shape
    came_from = np.zeros((frames, states), dtype=np.int8)
    total = np.zeros(states)
    total[:_CYCLE] = _AGAINST  # where nothing tells, there is no rhythm
    stay = np.arange(states)
    for n in range(frames):
        cheapest = int(np.argmin(total))
        turned = total[cheapest] + _TURNING
        came_from[n] = np.where(total <= turned, stay, cheapest)
        total = np.minimum(total, turned) + costs[n]
    rhythm = np.zeros(frames, dtype=np.int64)
    state = int(np.argmin(total))
    for n in range(frames - 1, -1, -1):
        rhythm[n] = state
        state = int(came_from[n, state])
    return rhythm


def _costs(seen: _Seen) -> Floats:
    """Of every frame in every state, shape (frames, 6)."""
    frames = len(seen.shows_new)
    against = _AGAINST * seen.against()
    against[0] += _LOSING * seen.shows_new
    costs = np.zeros((frames, _CYCLE + 1))
    numbers = np.arange(frames)
    for state in range(_CYCLE):
        costs[:, state] = against[(numbers - state) % _CYCLE, numbers]
    video = seen.fits_before.astype(int) + seen.earlier_repeats + seen.later_repeats
    costs[:, _VIDEO] = video * _AGAINST
    return costs
