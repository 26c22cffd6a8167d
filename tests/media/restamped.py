"""Files whose packets carry other timestamps than they should.

No muxer writes a timestamp that falls, so a Matroska file is taken apart and put together again:
every block in a cluster of its own (RFC 9559), whose timestamp may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.media.ebml import (
    CLUSTER,
    INFO,
    SEGMENT,
    TIMESTAMP,
    TRACKS,
    element,
    elements,
    file_of,
    inside,
)

_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
_KEPT = frozenset({INFO, TRACKS})

Move = Callable[[int, int], int]
"""(number of the packet in its track, its time in ms) -> the time in ms it is to carry."""


def restamped(source: Path, out: Path, move: Move, *, track: int = 2) -> Path:
    """A copy of the Matroska file `source` in which packets of `track` (from 1) are moved."""
    data = source.read_bytes()
    body = b""
    numbers: dict[int, int] = {}
    for ident, payload in inside(data, SEGMENT):
        if ident in _KEPT:
            body += element(ident, payload)
        elif ident == CLUSTER:
            for block_id, block, at_ms in _blocks(payload):
                place = block.find(b"\xa1", 0, 3) + 1 if block_id == _BLOCK_GROUP else 0
                if place:  # the block of a group, whose size takes one or two bytes
                    place += 1 if block[place] & 0x80 else 2
                number = numbers.get(block[place] & 0x7F, 0)
                numbers[block[place] & 0x7F] = number + 1
                moved_ms = move(number, at_ms) if block[place] & 0x7F == track else at_ms
                alone = block[: place + 1] + bytes(2) + block[place + 3 :]
                stamp = element(TIMESTAMP, moved_ms.to_bytes(8, "big"))
                body += element(CLUSTER, stamp + element(block_id, alone))
    out.write_bytes(file_of(data, body))
    return out


def _blocks(cluster: bytes) -> Iterator[tuple[int, bytes, int]]:
    start_ms = 0
    for ident, payload in elements(cluster):
        if ident == TIMESTAMP:
            start_ms = int.from_bytes(payload, "big")
        elif ident in (_SIMPLE_BLOCK, _BLOCK_GROUP):
            block = payload
            if ident == _BLOCK_GROUP:
                block = next(inner for i, inner in elements(payload) if i == _BLOCK)
            yield ident, payload, start_ms + int.from_bytes(block[1:3], "big", signed=True)


def restamped_ts(source: Path, out: Path, *, packet: int, by_s: int, pid: int = 0x101) -> Path:
    """A copy of the MPEG-TS `source` in which PES packet `packet` of `pid` carries a PTS (33 bits
    of 90 kHz, ISO/IEC 13818-1) that is `by_s` later."""
    data = bytearray(source.read_bytes())
    seen = -1
    for at in range(0, len(data), 188):
        begins = data[at + 1] & 0x40
        if not begins or (data[at + 1] & 0x1F) << 8 | data[at + 2] != pid:
            continue
        seen += 1
        payload = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if seen == packet:
            stamp = payload + 9
            parts = data[stamp : stamp + 5]
            pts = (parts[0] >> 1 & 7) << 30 | parts[1] << 22 | (parts[2] >> 1) << 15
            pts |= parts[3] << 7 | parts[4] >> 1
            pts += by_s * 90_000
            bits = (parts[0] >> 4) << 36 | (pts >> 30 & 7) << 33 | 1 << 32
            bits |= (pts >> 15 & 0x7FFF) << 17 | 1 << 16 | (pts & 0x7FFF) << 1 | 1
            data[stamp : stamp + 5] = bits.to_bytes(5, "big")
    out.write_bytes(data)
    return out
