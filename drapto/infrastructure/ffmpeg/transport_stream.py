"""Moves the clock of an MPEG-TS from given places on, and changes nothing else.

    move_clock(path, out, [(offset, ticks), …])

The copy has the same bytes in the same places but for the timestamps (PTS and DTS of every PES
packet, PCR) behind each offset, and the continuity counters of each PID, which go on there
instead of starting anew: a demuxer would take a jump of the counter for lost packets and mark
whole frames as damaged. Layout and numbers: ISO/IEC 13818-1, 2.4.3. Packets are 188 bytes long,
192 in Blu-ray's M2TS, 204 with error correction. Where packets are out of step, as behind a
recording that was cut off in the middle of one, the next that are in step are looked for.

Tests: tests/infrastructure/ffmpeg/test_transport_stream.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drapto.core.errors import InputError
from drapto.core.media import BoolArray, Int64Array
from drapto.infrastructure.ffmpeg.packets import Check, no_check

CLOCK_HZ = 90_000
CLOCK_TICKS = 1 << 33
"""After so many ticks the clock starts at 0 again: 26.5 hours."""

Bytes = npt.NDArray[np.uint8]

_SYNC = 0x47
_BODY = 188  # bytes of a packet without what some formats add
_SIZES = (188, 192, 204)
_IN_STEP = 5  # sync bytes that have to follow each other at the same distance
_CHUNK_BYTES = 32 << 20
_HEAD_BYTES = 1 << 20
_PIDS = 1 << 13

# Streams whose PES packets have no header with timestamps (table 2-21): program stream map,
# padding, private stream 2, ECM, EMM, DSM-CC, H.222.1 type E, program stream directory.
_HEADERLESS = np.array([0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF], dtype=np.uint8)


def move_clock(
    path: Path, out: Path, moves: Sequence[tuple[int, int]], check: Check = no_check
) -> None:
    """Copy `path`; from each (offset in bytes, ticks) on, `ticks` are added to every timestamp.

    Offsets ascend; ticks do not add up. Errors: InputError if a timestamp cannot be got at,
    OSError.
    """
    with path.open("rb") as source, out.open("wb") as target:
        size = packet_size(np.frombuffer(source.read(_HEAD_BYTES), dtype=np.uint8))
        if size is None:
            raise InputError(f"{path} is not an MPEG-TS whose packets can be told apart.")
        source.seek(0)
        counters = _Counters()
        at, rest = 0, b""
        while True:
            check()
            read = source.read(_CHUNK_BYTES)
            chunk = np.frombuffer(rest + read, dtype=np.uint8).copy()
            used = 0
            for first, packets in _in_step(chunk, size, last=not read):
                used = first + packets.size
                _move(packets, at + first, size, moves, counters, path)
            # What may be the beginning of a packet waits for the rest of it.
            used = len(chunk) if not read else max(used, len(chunk) - _IN_STEP * size)
            target.write(chunk[:used].tobytes())
            at, rest = at + used, chunk[used:].tobytes()
            if not read:
                return


def packet_size(head: Bytes) -> int | None:
    """The distance of packets: the first one at which sync bytes follow each other."""
    found = [(_next_in_step(head, size, 0), size) for size in _SIZES]
    starts = [(start, size) for start, size in found if start is not None]
    return min(starts)[1] if starts else None


def _in_step(chunk: Bytes, size: int, *, last: bool) -> Iterator[tuple[int, Bytes]]:
    """(position, packets) of every stretch of whole packets; views of shape (packets, size).

    The last packet of a file has its 188 bytes but may lack what a format adds; it is yielded
    without, as a stretch of its own.
    """
    start = _next_in_step(chunk, size, 0)
    while start is not None:
        count = (len(chunk) - start) // size
        packets = chunk[start : start + count * size].reshape(count, size)
        wrong = np.flatnonzero(packets[:, 0] != _SYNC)
        whole = int(wrong[0]) if len(wrong) else count
        if whole:
            yield start, packets[:whole]
        end = start + whole * size
        if last and not len(wrong) and len(chunk) - end >= _BODY and chunk[end] == _SYNC:
            yield end, chunk[end : end + _BODY].reshape(1, _BODY)
            return
        start = _next_in_step(chunk, size, end) if len(wrong) else None


def _next_in_step(chunk: Bytes, size: int, begin: int) -> int | None:
    """Where, from `begin` on, packets are in step."""
    usable = len(chunk) - begin - (_IN_STEP - 1) * size
    if usable <= 0:
        # Too little is left for so many: the end of the file, if it goes on in step.
        whole = len(chunk) - begin >= _BODY and (chunk[begin::size] == _SYNC).all()
        return begin if whole else None
    window = 1 << 16
    for low in range(begin, begin + usable, window):
        high = min(low + window, begin + usable)
        found = np.ones(high - low, dtype=np.bool_)
        for i in range(_IN_STEP):
            found &= chunk[low + i * size : high + i * size] == _SYNC
        if found.any():
            return low + int(np.argmax(found))
    return None


class _Counters:
    """The continuity counter of every PID: where it stands, and how it is turned."""

    def __init__(self) -> None:
        self.part = 0  # how many moves have begun
        self.last = np.full(_PIDS, -1, dtype=np.int64)
        self.turn = np.zeros(_PIDS, dtype=np.int64)
        self.new = np.zeros(_PIDS, dtype=np.bool_)  # not yet seen since the last move


def _move(
    packets: Bytes,
    at: int,
    size: int,
    moves: Sequence[tuple[int, int]],
    counters: _Counters,
    path: Path,
) -> None:
    """Change `packets`, the first of which is at `at` in the file, in place."""
    count = len(packets)
    # A packet belongs to what begins in it or before it: M2TS counts from 4 bytes before sync.
    borders = [min(count, max(0, -(-(offset - at) // size))) for offset, _ in moves]
    for part, (low, high) in enumerate(zip([0, *borders], [*borders, count], strict=True)):
        if low >= high:
            continue
        if part > counters.part:
            counters.part = part
            counters.new[:] = True
        rows = packets[low:high]
        _go_on_counting(rows, counters)
        if part:
            _move_pcr(rows, moves[part - 1][1])
            _move_pes(rows, moves[part - 1][1], path)


def _pid(packets: Bytes) -> Int64Array:
    return (packets[:, 1].astype(np.int64) & 0x1F) << 8 | packets[:, 2]


def _has_payload(packets: Bytes) -> BoolArray:
    return (packets[:, 3] & 0x10).astype(np.bool_)


def _go_on_counting(packets: Bytes, counters: _Counters) -> None:
    pid = _pid(packets)
    counter = packets[:, 3].astype(np.int64) & 0x0F
    seen, first = np.unique(pid, return_index=True)
    fresh = counters.new[seen]
    for one, row in zip(seen[fresh].tolist(), first[fresh].tolist(), strict=True):
        counters.new[one] = False
        if counters.last[one] >= 0:
            # Only packets with a payload are counted.
            wanted = counters.last[one] + int(_has_payload(packets)[row])
            counters.turn[one] = (wanted - counter[row]) % 16
    turned = (counter + counters.turn[pid]) % 16
    counters.last[pid] = turned  # of several, numpy keeps the last
    packets[:, 3] = packets[:, 3] & 0xF0 | turned.astype(np.uint8)


def _move_pcr(packets: Bytes, ticks: int) -> None:
    """The program clock reference, in the adaptation field: 33 bits of 90 kHz, and a remainder."""
    adapted = (packets[:, 3] & 0x20) != 0
    rows = np.flatnonzero(adapted & (packets[:, 4] >= 7) & ((packets[:, 5] & 0x10) != 0))
    field = packets[rows, 6:11].astype(np.int64)
    base = field[:, 0] << 25 | field[:, 1] << 17 | field[:, 2] << 9 | field[:, 3] << 1
    base = ((base | field[:, 4] >> 7) + ticks) % CLOCK_TICKS
    for place, shift in enumerate((25, 17, 9, 1)):
        packets[rows, 6 + place] = base >> shift & 0xFF
    packets[rows, 10] = (base & 1) << 7 | field[:, 4] & 0x7F


def _move_pes(packets: Bytes, ticks: int, path: Path) -> None:
    """Presentation and decoding timestamps in the headers of PES packets."""
    clear = (packets[:, 1] & 0x80 == 0) & (packets[:, 3] & 0xC0 == 0)  # no error, not scrambled
    rows = np.flatnonzero(clear & (packets[:, 1] & 0x40 != 0) & _has_payload(packets))
    adapted = (packets[rows, 3] & 0x20) != 0
    at = 4 + np.where(adapted, 1 + packets[rows, 4].astype(np.int64), 0)
    visible = at <= _BODY - 4
    rows, at = rows[visible], at[visible]
    begins = (packets[rows, at] == 0) & (packets[rows, at + 1] == 0) & (packets[rows, at + 2] == 1)
    headed = begins & ~np.isin(packets[rows, at + 3], _HEADERLESS)
    rows, at = rows[headed], at[headed]
    _require(bool((at <= _BODY - 9).all()), path)
    flags = np.where(packets[rows, at + 6] >> 6 == 0b10, packets[rows, at + 7] >> 6, 0)
    for place, stamped in ((9, flags >= 0b10), (14, flags == 0b11)):
        one, start = rows[stamped], at[stamped] + place
        _require(bool((start <= _BODY - 5).all()), path)
        _move_stamp(packets, one, start, ticks)


def _require(whole: bool, path: Path) -> None:
    if not whole:
        raise InputError(
            f"{path} holds several recordings one after the other, each with a clock of its own, "
            "which cannot be put on one: a timestamp is spread over two packets.",
            hint="Give it one clock first: ffmpeg -i INPUT -map 0 -c copy OUTPUT.mkv",
        )


def _move_stamp(packets: Bytes, rows: Int64Array, at: Int64Array, ticks: int) -> None:
    """33 bits in five bytes: 3, 15 and 15 of them, a marker bit after each."""
    parts = [packets[rows, at + i].astype(np.int64) for i in range(5)]
    value = (parts[0] >> 1 & 7) << 30 | parts[1] << 22 | parts[2] >> 1 << 15
    value = ((value | parts[3] << 7 | parts[4] >> 1) + ticks) % CLOCK_TICKS
    packets[rows, at] = parts[0] & 0xF1 | (value >> 30) << 1
    packets[rows, at + 1] = value >> 22 & 0xFF
    packets[rows, at + 2] = parts[2] & 1 | (value >> 15 & 0x7F) << 1
    packets[rows, at + 3] = value >> 7 & 0xFF
    packets[rows, at + 4] = parts[4] & 1 | (value & 0x7F) << 1
