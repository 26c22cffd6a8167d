"""Finds where one MPEG-TS recording ends and the next begins (`cat a.ts b.ts > c.ts`).

There the clock of all tracks jumps, back to an earlier time or hours ahead. In an MPEG-TS the
order of the bytes says what belongs together: ISO/IEC 13818-1 (2.4.3.5) forbids timestamps of
the old clock behind the first byte of the new one, and joining files cannot mix them. So a join
is a position in the file, and one shift for every timestamp behind it puts all tracks on the
clock of what stands before it. `transport_stream.py` carries that out.

    joins = find_joins(path, stream_index)

Where the picture leaps ahead and the sound goes on, pictures are missing: that is a hole and no
join. Where the picture falls back and the sound goes on, nobody can tell what is right: no join
either. Tests: tests/infrastructure/ffmpeg/test_joins.py.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drapto.core.media import BoolArray, Int64Array
from drapto.infrastructure.ffmpeg.opening import open_input
from drapto.infrastructure.ffmpeg.packets import NO_PTS, PACKETS_PER_CHECK, Check, no_check
from drapto.infrastructure.ffmpeg.timestamps import JUMP_BACK_S, nominal_step
from drapto.infrastructure.ffmpeg.transport_stream import CLOCK_HZ, CLOCK_TICKS

if TYPE_CHECKING:
    from drapto.infrastructure.ffmpeg.packets import PacketTable

LEAP_AHEAD_S = 10.0
"""A leap of this much is no hole any more. ffmpeg's own limit (-dts_delta_threshold)."""

_BACK, _AHEAD = round(-JUMP_BACK_S * CLOCK_HZ), round(LEAP_AHEAD_S * CLOCK_HZ)

# Sound that moves by less than this at a jump of the picture goes on as if there were none.
_STEADY = CLOCK_HZ // 2

# Sound may last this much longer than the picture before a join, or begin earlier after it: a few
# of its frames. What overlaps is cut off. With more of it the picture waits, so none is lost.
_OVERLAP = CLOCK_HZ // 10

# Sound that is further than this from the picture is not there at the join: it ended before, or
# belongs to another programme.
_NEAR = round(LEAP_AHEAD_S * CLOCK_HZ)

# Frames at either side of a join that are looked at for the last and the first one shown: no
# codec reorders further than 16, a field counts as half a frame.
_EDGE = 64


@dataclass(frozen=True)
class Join:
    """What stands behind `offset` in the file is of another recording. Ticks of 1/90000 s."""

    offset: int  # bytes; at or before the first packet with a timestamp of the new clock
    packet: int  # of the video, in decode order: the first one behind the join
    jump: int  # the new recording's first frame minus the end of the old one, by the source
    shift: int  # to be added to every timestamp behind the join, up to the next one


_Row = tuple[int | None, int | None, int | None, int]
"""Of one packet: its position in the file, pts, dts (or else pts) and duration."""


@dataclass(frozen=True)
class _Track:
    """The packets of one track, in decode order."""

    position: list[int]  # bytes; of the PES packet it begins in
    pts: list[int]
    dts: list[int]
    duration: list[int]

    @classmethod
    def of(cls, rows: list[_Row]) -> _Track:
        """Only the first frame of a PES packet has a position, and often a timestamp."""
        positions = _filled([row[0] for row in rows])
        dts = _filled([row[2] for row in rows])
        pts = [at if row[1] is None else row[1] for row, at in zip(rows, dts, strict=True)]
        return cls(list(accumulate(positions, max)), pts, dts, [row[3] for row in rows])

    def end(self, stop: int, first: int) -> int:
        """When the last of the packets [first, stop) stops being shown, by the raw clock."""
        at = range(max(first, stop - _EDGE), stop)
        base = self.dts[stop - 1]
        return base + max(_signed(self.pts[i] + self.duration[i] - base) for i in at)

    def start(self, first: int, stop: int) -> int:
        """When the first of the packets [first, stop) is shown, by the raw clock."""
        at = range(first, min(stop, first + _EDGE))
        base = self.dts[first]
        return base + min(_signed(self.pts[i] - base) for i in at)


def clock_jumps(table: PacketTable) -> bool:
    """Whether the decoding clock of an MPEG-TS's video falls back or leaps ahead anywhere: the
    cheap question before `find_joins`."""
    known = table.dts[table.dts != NO_PTS]
    if table.format_name != "mpegts" or len(known) < 2:
        return False
    return bool(_jumps(np.diff(known)).any())


def find_joins(
    path: Path, stream_index: int, table: PacketTable, check: Check = no_check
) -> tuple[Join, ...]:
    """Every join in the order of the file. `table` is that of the video. Errors: InputError."""
    step = nominal_step(table, table.time_base)
    tracks = _read_tracks(path, stream_index, step, check)
    video = tracks.pop(stream_index)
    others = list(tracks.values())
    offsets = list(_offsets(video, others))
    joins: list[Join] = []
    shift = 0
    for place, (offset, packet) in enumerate(offsets):
        low = offsets[place - 1][0] if place else 0
        high = offsets[place + 1][0] if place + 1 < len(offsets) else 1 << 62
        jump, moved = _moves(video, others, low, offset, high)
        if moved is None:
            continue
        shift += moved
        joins.append(Join(offset, packet, jump, shift))
    return tuple(joins)


def _read_tracks(path: Path, stream_index: int, step: int, check: Check) -> dict[int, _Track]:
    """The main video and every audio track; `step` for video packets without a duration."""
    import av

    with open_input(path) as container:
        wanted = [s for s in container.streams if s.index == stream_index or s.type == "audio"]
        rows: dict[int, list[_Row]] = {stream.index: [] for stream in wanted}
        try:
            for number, packet in enumerate(container.demux(*wanted)):
                if number % PACKETS_PER_CHECK == 0:
                    check()
                if packet.size:
                    usual = step if packet.stream_index == stream_index else 0
                    dts = packet.pts if packet.dts is None else packet.dts
                    row = packet.pos, packet.pts, dts, packet.duration or usual
                    rows[packet.stream_index].append(row)
        except (av.error.FFmpegError, OSError, ValueError):
            pass  # read as far as it goes; the notes of the frame index say why
    return {index: _Track.of(found) for index, found in rows.items()}


def _offsets(video: _Track, others: list[_Track]) -> Iterator[tuple[int, int]]:
    """(bytes, video packet) of every jump of the video's clock.

    Sound of the new recording may stand before its first picture; so the first jump of any
    track since the last picture of the old one is where it begins.
    """
    dts = np.array(video.dts, dtype=np.int64)
    steps = _signed_all(dts[1:] - dts[:-1])
    for row in (np.flatnonzero(_jumps(steps)) + 1).tolist():
        begin, end = video.position[row - 1], video.position[row]
        for track in others:
            first = max(1, bisect_right(track.position, begin))
            for i in range(first, bisect_right(track.position, end)):
                if abs(_signed(track.dts[i] - track.dts[i - 1])) > -_BACK:
                    end = min(end, track.position[i])
                    break
        yield end, row


def _moves(
    video: _Track, others: list[_Track], low: int, offset: int, high: int
) -> tuple[int, int | None]:
    """How far the source jumps at `offset`, and by how much what follows has to be moved, against
    what stands before it; None if this is no join. `low`, `high`: the joins around it."""
    sides = _sides(video, low, offset, high)
    if sides is None:
        return 0, None
    old, new = sides
    jump = _signed(new - old)
    moved = -jump
    for track in others:
        sides = _sides(track, low, offset, high)
        if sides is None:
            continue
        needed = _signed(sides[0] - sides[1])
        if abs(needed) < _STEADY:
            return jump, None
        there = all(abs(_signed(a - b)) <= _NEAR for a, b in zip(sides, (old, new), strict=True))
        if there and needed > -jump + _OVERLAP:
            moved = max(moved, needed)
    return jump, moved


def _sides(track: _Track, low: int, offset: int, high: int) -> tuple[int, int] | None:
    """When the track ends before `offset` and begins after it; None if it is on one side only."""
    first, middle, stop = (bisect_left(track.position, at) for at in (low, offset, high))
    if not first < middle < stop:
        return None
    return track.end(middle, first), track.start(middle, stop)


def _filled(values: list[int | None]) -> list[int]:
    """What is missing is as the one before, at the start as the first that is there."""
    first = next((value for value in values if value is not None), 0)
    return list(accumulate(values, _or_last, initial=first))[1:]


def _or_last(last: int, value: int | None) -> int:
    return last if value is None else value


def _jumps(steps: Int64Array) -> BoolArray:
    return (steps < _BACK) | (steps > _AHEAD)


def _signed(ticks: int) -> int:
    """The way from one time to another on a clock that wraps: the shorter one."""
    return (ticks + CLOCK_TICKS // 2) % CLOCK_TICKS - CLOCK_TICKS // 2


def _signed_all(ticks: Int64Array) -> Int64Array:
    return (ticks + CLOCK_TICKS // 2) % CLOCK_TICKS - CLOCK_TICKS // 2
