"""Which timestamps of an audio track can be true, and where the sound belongs whose cannot.

A gap in the timestamps is kept, as silence, however long it is, wherever the sound after it can
belong to the film. A damaged file says other things: one flipped bit moves a packet by hours. So
a packet's timestamp is believed if both of these hold:

- it lies in the film's window: no later than the end of the picture, or than the track's own
  sound lasts from the start of the picture if that is longer, and no earlier than the same counted
  backwards, with MARGIN_S at both ends. So silence never fills a track far beyond the picture.
  (A track that lies outside the window altogether has a clock of its own, which is believed;
  its window is as long as its sound.)
- it is one of the longest run of packets, in stored order, whose timestamps never fall: a packet
  that leaps ahead and is followed by one that takes up where it left off is not before a gap.

Every other packet is placed at the end of the packet before it: its sound is played where it
stands in the file. Packets that follow each other keep their distance to each other. Once the
timestamps can be believed again, the sound is where they say. Timestamps that fall back and
then run on into believed ones are no leap but an overlap, and stay as they are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from drapto.core.media import BoolArray, Int64Array, Value

HOLE_S = 0.02
"""Smallest jump that is a hole and not rounding: below the shortest common packet (AAC at
48 kHz: 21 ms), so that one lost packet is filled, and above what bad muxers round (10 ms)."""

MARGIN_S = 60.0
"""How far sound may lie outside the picture: more than any container's rounding or a player's
delay, and little enough that a wrong guess costs a minute of silence and not hours."""


class Leap(Value):
    """Packets whose timestamps cannot be true and have to be lessened by `ticks`."""

    packet: int  # number of the first one in its track, from 0, in stored order
    packets: int
    ticks: int  # timestamp minus place, in the track's time base
    at_s: float  # where the sound of the first one is placed, on the source's clock
    said_s: float  # what its timestamp says

    def __str__(self) -> str:
        which = f"packet {self.packet}"
        if self.packets > 1:
            which = f"packets {self.packet} to {self.packet + self.packets - 1}"
        return f"{which}, at {self.at_s:.3f} s, timed {self.said_s:.3f} s"


class Picture(NamedTuple):
    """When the main video is shown, in seconds of the source's clock."""

    start_s: Fraction
    end_s: Fraction


def find_leaps(
    pts: Int64Array, duration: Int64Array, time_base: Fraction, picture: Picture
) -> tuple[Leap, ...]:
    """The leaps of one track, in order. `pts` and `duration` hold every packet in stored order,
    shape (packets,), in `time_base` units; a duration of 0 is not known."""
    if not len(pts):
        return ()
    duration = _known(pts, duration)
    low, high = _window(pts, duration, time_base, picture)
    inside = (pts >= low) & (pts <= high)
    if bool(inside.all()) and not bool(np.any(np.diff(pts) < 0)):
        return ()
    believed = _longest_rising(pts, inside)
    walk = _Walk(pts, pts + duration, HOLE_S / float(time_base), high)
    offsets = np.zeros(len(pts), dtype=np.int64)
    for first, end in _runs(~believed):
        walk.place(first, end, offsets)
    return tuple(_leaps(pts, offsets, time_base))


def on_clock(pts: Int64Array, leaps: Iterable[Leap], skipped: int = 0) -> Int64Array:
    """`pts` with the leaps taken out; its first packet is number `skipped` of the track."""
    placed = pts.copy()
    for leap in leaps:
        first = max(0, leap.packet - skipped)
        placed[first : max(0, leap.packet + leap.packets - skipped)] -= leap.ticks
    return placed


class _Walk:
    """Places runs of packets that are not believed, from the first to the last."""

    def __init__(self, pts: Int64Array, ends: Int64Array, hole: float, high: int) -> None:
        self._pts, self._ends, self._hole, self._high = pts, ends, hole, high

    def place(self, first: int, end: int, offsets: Int64Array) -> None:
        """Fill in `offsets[first:end]`, timestamp minus place."""
        pts, ends = self._pts, self._ends
        after = int(pts[end]) if end < len(pts) else None  # the next that is believed
        stretches = self._stretches(first, end)
        if first:
            at = int(ends[first - 1] - offsets[first - 1])
        else:
            assert after is not None, "a track has at least one packet that is believed"
            at = after - sum(int(ends[b - 1] - pts[a]) for a, b in stretches)
        offset: int | None = None
        for start, stop in stretches:
            overlaps = (
                after is not None and stop == end and abs(ends[stop - 1] - after) <= self._hole
            )
            if overlaps and ends[stop - 1] >= at:
                return
            begins = int(pts[start])
            latest = after if after is not None else self._high
            if offset is None or not at - self._hole <= begins - offset <= latest:
                offset = begins - at
            offsets[start:stop] = offset if abs(offset) > self._hole else 0
            at = int(ends[stop - 1]) - int(offsets[stop - 1])

    def _stretches(self, first: int, end: int) -> list[tuple[int, int]]:
        """The parts of a run in which every packet follows on the one before it."""
        jumps = np.abs(self._pts[first + 1 : end] - self._ends[first : end - 1]) > self._hole
        borders = [first, *(first + 1 + np.flatnonzero(jumps)).tolist(), end]
        return list(pairwise(borders))


def _known(pts: Int64Array, duration: Int64Array) -> Int64Array:
    """Durations, with the usual step between packets where there is none."""
    steps = np.diff(pts)
    rising = steps[steps > 0]
    usual = int(np.median(rising)) if len(rising) else 0
    return np.where(duration > 0, duration, usual).astype(np.int64)


def _window(
    pts: Int64Array, duration: Int64Array, time_base: Fraction, picture: Picture
) -> tuple[int, int]:
    length, margin = int(duration.sum()), round(MARGIN_S / time_base)
    start, end = round(picture.start_s / time_base), round(picture.end_s / time_base)
    low, high = min(start, end - length) - margin, max(end, start + length) + margin
    first = int(pts.min())
    if first > high or int(pts.max()) < low:
        return first, first + length + margin
    if not bool(np.any((pts >= low) & (pts <= high))):  # all of it is wild: believe the first
        return first, first
    return low, high


def _longest_rising(pts: Int64Array, inside: BoolArray) -> BoolArray:
    """Marks one longest run of packets `inside` whose timestamps never fall (patience sorting)."""
    tails: list[int] = []  # the smallest last timestamp of a run of each length
    ends: list[int] = []  # the packet that has it
    before = np.full(len(pts), -1, dtype=np.int64)
    values = pts.tolist()
    for number in np.flatnonzero(inside).tolist():
        length = bisect_right(tails, values[number])
        before[number] = ends[length - 1] if length else -1
        if length == len(tails):
            tails.append(values[number])
            ends.append(number)
        else:
            tails[length], ends[length] = values[number], number
    marked = np.zeros(len(pts), dtype=np.bool_)
    number = ends[-1]
    while number >= 0:
        marked[number] = True
        number = int(before[number])
    return marked


def _runs(marked: BoolArray) -> Iterator[tuple[int, int]]:
    """First and end of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _leaps(pts: Int64Array, offsets: Int64Array, time_base: Fraction) -> Iterator[Leap]:
    borders = [0, *(1 + np.flatnonzero(np.diff(offsets))).tolist(), len(offsets)]
    for first, end in pairwise(borders):
        ticks = int(offsets[first])
        if ticks:
            said = int(pts[first])
            yield Leap(
                packet=first,
                packets=end - first,
                ticks=ticks,
                at_s=float((said - ticks) * time_base),
                said_s=float(said * time_base),
            )
