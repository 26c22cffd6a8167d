"""H.264 and HEVC parameter sets from a configuration record, ready to stand in the stream.

Needed only where segments of one file were encoded with different parameter sets: an MP4
sample entry holds one set, so each key frame then carries its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_LENGTH_BYTES = 4  # what x264, x265 and libavformat write before every NAL unit


@dataclass(frozen=True)
class ParameterSets:
    """`units` are whole NAL units without length or start code."""

    units: tuple[bytes, ...]

    def prefixed(self, packet: bytes) -> bytes:
        """The packet (length-prefixed NAL units) with the sets before it."""
        return b"".join(struct.pack(">I", len(unit)) + unit for unit in self.units) + packet

    @classmethod
    def parse(cls, codec: str, record: bytes) -> ParameterSets:
        """From an avcC or hvcC record (ISO/IEC 14496-15). Errors: ValueError."""
        try:
            if codec == "h264":
                return cls(_from_avcc(record))
            if codec == "hevc":
                return cls(_from_hvcc(record))
        except (IndexError, struct.error) as error:
            raise ValueError(f"the {codec} configuration record is cut short") from error
        raise ValueError(f"{codec} has no parameter sets to move")


def _from_avcc(record: bytes) -> tuple[bytes, ...]:
    if record[0] != 1 or (record[4] & 3) + 1 != _LENGTH_BYTES:
        raise ValueError("not an avcC record with four length bytes")
    units: list[bytes] = []
    at = 5
    for mask in (0x1F, 0xFF):  # SPS, then PPS
        count = record[at] & mask
        at += 1
        for _ in range(count):
            at = _take(record, at, units)
    return tuple(units)


def _from_hvcc(record: bytes) -> tuple[bytes, ...]:
    if record[0] != 1 or (record[21] & 3) + 1 != _LENGTH_BYTES:
        raise ValueError("not an hvcC record with four length bytes")
    units: list[bytes] = []
    at = 23
    for _ in range(record[22]):
        (count,) = struct.unpack_from(">H", record, at + 1)
        at += 3
        for _ in range(count):
            at = _take(record, at, units)
    return tuple(units)


def _take(record: bytes, at: int, units: list[bytes]) -> int:
    (length,) = struct.unpack_from(">H", record, at)
    end = at + 2 + int(length)
    if end > len(record):
        raise IndexError(end)
    units.append(record[at + 2 : end])
    return end
