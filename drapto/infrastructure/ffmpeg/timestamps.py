"""Arithmetic on timestamps: sort them, repair them, fill the holes. Pure functions.

Arrays are int64 in the units of the stream's time base; `rows` are row numbers of a PacketTable
in display order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from drapto.core.media import Int64Array
from drapto.infrastructure.ffmpeg.packets import NO_PTS, PacketTable

DEFAULT_RATE = Fraction(25)  # frames per second; what libavformat's raw demuxers assume, too

# A decoding timestamp this much before its predecessor starts a new clock (joined recordings).
# Muxers' rounding stays far below, a broadcast's clock jumps by minutes.
JUMP_BACK_S = 1.0

# libavformat takes a fall of the 33-bit clock of MPEG streams for its overflow and adds 26.5 hours.
# A real overflow leaves no gap; so a gap of more than half of that is another recording, too.
_JUMP_AHEAD_S = 2**32 / 90_000
_MPEG_STREAMS = frozenset({"mpegts", "mpeg"})

_FIELDS_OF_A_FRAME = 2

# A last frame's duration beyond this many median frames is the container's mistake.
_LONGEST_LAST_FRAME = 10


@dataclass(frozen=True, eq=False)
class Timeline:
    """The shown rows in display order with strictly increasing timestamps.

    `own` says that these are the timestamps the demuxer reports. `restarts`: how often the
    clock starts anew.
    """

    rows: Int64Array
    pts: Int64Array
    time_base: Fraction
    own: bool
    synthetic: bool = False
    restarts: int = 0
    notes: tuple[str, ...] = field(default=())


def nominal_step(table: PacketTable, time_base: Fraction) -> int:
    """The distance of two frames at the nominal rate, at least one tick."""
    return max(1, round(1 / ((table.rate or DEFAULT_RATE) * time_base)))


def from_own(table: PacketTable) -> Timeline:
    """Every shown row has a timestamp: sort by it.

    Where decoding times jump back by more than a second, another recording was appended: what
    follows is moved to go on where the part before it ended. Equal timestamps are moved apart.
    """
    rows = np.flatnonzero(table.shown)
    pts = table.pts[rows].copy()
    notes: list[str] = []
    restarts = _restarts(table, rows)
    for start, stop in pairwise((*restarts, len(pts))):
        end = int(pts[:start].max()) + nominal_step(table, table.time_base)
        shift = end - int(pts[start:stop].min())
        pts[start:stop] += shift
        notes.append(
            f"the clock starts anew at frame {start}; what follows was moved by "
            f"{float(shift * table.time_base):.3f} s to go on where the part before ends"
        )
    order = np.argsort(pts, kind="stable")
    apart, moved = strictly_increasing(pts[order])
    if moved:
        notes.append(f"{count(moved, 'timestamp')} moved apart: equal to the one before")
    return Timeline(
        rows[order],
        apart,
        table.time_base,
        own=not notes,
        restarts=len(restarts),
        notes=tuple(notes),
    )


def _restarts(table: PacketTable, rows: Int64Array) -> list[int]:
    """Positions in `rows` (decode order) at which the decoding clock starts anew."""
    dts = table.dts[rows]
    known = np.flatnonzero(dts != NO_PTS)
    if len(known) < 2:
        return []
    steps_s = np.diff(dts[known]) * float(table.time_base)
    jumps = steps_s < -JUMP_BACK_S
    if table.format_name in _MPEG_STREAMS:
        jumps |= steps_s > _JUMP_AHEAD_S
    return [int(known[jump + 1]) for jump in np.flatnonzero(jumps)]


def from_slots(table: PacketTable, rows: Int64Array) -> Timeline:
    """AVI counts frames as they are stored: the i-th frame shown takes the i-th place."""
    slots, moved = strictly_increasing(np.sort(table.dts[rows]))
    own = not moved and bool(np.array_equal(table.pts[rows], slots))
    notes = () if own else ("the container stores no display order; it was read from the pictures",)
    return Timeline(rows, slots, table.time_base, own=own, notes=notes)


def from_rate(table: PacketTable, rows: Int64Array) -> Timeline:
    """No timestamps at all: an even grid at the nominal rate, exact in its own time base.

    Film in MPEG-2 may be stored at the rate of the display, its pictures asking to be shown for
    three fields and two in turn: then the grid is one of fields.
    """
    if (fields := _fields_shown(table)) is not None:
        return _from_fields(table, rows, fields)
    rate = table.rate or DEFAULT_RATE
    told = "as its headers say" if table.rate else "which is a guess: nothing in it says so"
    note = f"there are no timestamps; {float(rate):.5g} frames per second assumed, {told}"
    grid = np.arange(len(rows), dtype=np.int64)
    return Timeline(rows, grid, 1 / rate, own=False, synthetic=True, notes=(note,))


def _fields_shown(table: PacketTable) -> Int64Array | None:
    """How many fields every picture lasts, if some last longer than a frame: `repeat_first_field`
    of ISO/IEC 13818-2, which libavformat adds to a packet's duration. None: all the same."""
    if table.codec != "mpeg2video" or not table.duration.min():
        return None
    fields = np.round(2 * table.duration / table.duration.min()).astype(np.int64)
    return fields if fields.max() > _FIELDS_OF_A_FRAME else None


def _from_fields(table: PacketTable, rows: Int64Array, fields: Int64Array) -> Timeline:
    rate = 1 / (int(table.duration.min()) * table.time_base)
    ends = np.cumsum(fields[rows])
    note = (
        f"there are no timestamps; {float(rate):.5g} frames per second assumed, as its headers "
        "say, and pictures that ask to repeat a field are shown for longer"
    )
    starts = ends - fields[rows]
    base = 1 / (rate * _FIELDS_OF_A_FRAME)
    return Timeline(rows, starts, base, own=False, synthetic=True, notes=(note,))


def from_some(table: PacketTable, rows: Int64Array) -> Timeline:
    """Timestamps here and there: between two known ones frames are spread evenly, beyond the
    first and the last they follow the nominal rate."""
    pts = table.pts[rows]
    known = np.flatnonzero(pts != NO_PTS)
    step = float(1 / ((table.rate or DEFAULT_RATE) * table.time_base))  # rounded at the end only
    position = np.arange(len(rows))
    base = int(pts[known[0]])
    offset = np.interp(position, known, (pts[known] - base).astype(np.float64))
    offset[: known[0]] = (position[: known[0]] - known[0]) * step
    offset[known[-1] :] += (position[known[-1] :] - known[-1]) * step
    filled = np.round(offset).astype(np.int64) + base
    apart, _ = strictly_increasing(filled)
    note = f"{len(rows) - len(known)} of {len(rows)} timestamps are missing and were worked out"
    return Timeline(rows, apart, table.time_base, own=False, notes=(note,))


def strictly_increasing(pts: Int64Array) -> tuple[Int64Array, int]:
    """Each timestamp at least one tick after the one before; and how many had to be moved."""
    place = np.arange(len(pts), dtype=np.int64)
    apart = np.maximum.accumulate(pts - place) + place
    return apart, int(np.count_nonzero(apart != pts))


def durations(pts: Int64Array, last: int, fallback: int) -> Int64Array:
    """How long each frame is shown: until the next one. `last` is what the container says of
    the last frame, 0 if nothing; `fallback` is used where there is a single frame."""
    steps = np.diff(pts)
    median = int(np.median(steps)) if len(steps) else fallback
    if not 0 < last <= _LONGEST_LAST_FRAME * max(median, 1):
        last = median
    return np.append(steps, max(last, 1)).astype(np.int64)


def without(table: PacketTable, rows: Int64Array) -> PacketTable:
    """The table with `rows` marked as not shown."""
    shown = table.shown.copy()
    shown[rows] = False
    return replace(table, shown=shown)


def count(number: int, what: str) -> str:
    """'1 frame', '2 frames'."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
