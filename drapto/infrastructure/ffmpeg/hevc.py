"""The few bits of an HEVC stream that say in what order its pictures are shown.

ITU-T H.265, 7.3.1.2 (NAL unit header), 7.3.2.2 and 7.3.2.3 (parameter sets), 7.3.6.1 (slice
segment header), 8.3.1 (picture order count). Nothing here raises on damaged data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drapto.core.bits import BitsError
from drapto.infrastructure.ffmpeg.h264 import Bits, nals_by_length, nals_by_start_code

_SPS, _PPS = 33, 34
_FIRST_NON_VCL = 32
_IDR = range(19, 21)
_BLA_OR_IDR = range(16, 21)
_IRAP = range(16, 24)
# Types 0 to 15 whose pictures others of the same sub-layer may not refer to (even numbers),
# and leading pictures (6 to 9): none of them anchors the counts that follow.
_LEADING = range(6, 10)
_HEADER_BYTES = 96
_SPS_BYTES = 4096
_MAX_SPS, _MAX_PPS, _MAX_LOG2 = 15, 63, 12  # that the standard allows (7.4.3.2.1 and 7.4.3.3.1)


@dataclass(frozen=True)
class Picture:
    """The first slice of a picture."""

    restarts: bool  # IDR or BLA: counts start anew and nothing is shown across it
    is_anchor: bool
    order_lsb: int
    order_bits: int


@dataclass(frozen=True)
class _Sps:
    order_bits: int
    separate_planes: bool


@dataclass(frozen=True)
class _Pps:
    sps: int
    output_flag: bool
    extra_bits: int


class HevcPictures:
    """Follows the packets of one stream. `extradata`: an hvcC record or start codes."""

    def __init__(self, extradata: bytes | None) -> None:
        self._sps: dict[int, _Sps] = {}
        self._pps: dict[int, _Pps] = {}
        self._length_bytes = 0
        data = extradata or b""
        if len(data) > 22 and data[:3] not in (b"\x00\x00\x01", b"\x00\x00\x00"):
            self._length_bytes = (data[21] & 3) + 1
            self._read_record(data)
        else:
            for nal in nals_by_start_code(data):
                self._read_parameters(nal)

    def picture(self, packet: bytes) -> Picture | None:
        for nal in self._nals(packet):
            if len(nal) < 3:
                continue
            if nal[0] >> 1 & 63 < _FIRST_NON_VCL:
                return self._picture(nal)
            self._read_parameters(nal)
        return None

    def _nals(self, packet: bytes) -> Iterator[bytes]:
        if self._length_bytes:
            return nals_by_length(packet, self._length_bytes)
        return nals_by_start_code(packet)

    def _read_record(self, record: bytes) -> None:
        """hvcC: ISO/IEC 14496-15, 8.3.3.1."""
        at = 23
        for _ in range(record[22]):
            count, at = int.from_bytes(record[at + 1 : at + 3], "big"), at + 3
            for _ in range(count):
                size = int.from_bytes(record[at : at + 2], "big")
                self._read_parameters(record[at + 2 : at + 2 + size])
                at += 2 + size

    def _read_parameters(self, nal: bytes) -> None:
        try:
            kind = nal[0] >> 1 & 63
            if kind == _SPS:
                number, sps = _sps(Bits(nal[2:_SPS_BYTES]))
                self._sps[number] = sps
            elif kind == _PPS:
                bits = Bits(nal[2:_HEADER_BYTES])
                number, of = bits.unsigned(_MAX_PPS), bits.unsigned(_MAX_SPS)
                bits.bits(1)
                self._pps[number] = _Pps(of, bool(bits.bits(1)), bits.bits(3))
        except (BitsError, IndexError):  # or nothing at all
            return

    def _picture(self, nal: bytes) -> Picture | None:
        kind, temporal_id = nal[0] >> 1 & 63, (nal[1] & 7) - 1
        try:
            bits = Bits(nal[2:_HEADER_BYTES])
            if not bits.bits(1):
                return None  # not the first slice: the picture's beginning is lost
            if kind in _IRAP:
                bits.bits(1)
            pps = self._pps[bits.unsigned()]
            sps = self._sps[pps.sps]
            bits.bits(pps.extra_bits)
            bits.unsigned()  # slice_type
            if pps.output_flag:
                bits.bits(1)
            if sps.separate_planes:
                bits.bits(2)
            lsb = 0 if kind in _IDR else bits.bits(sps.order_bits)
        except (BitsError, KeyError):
            return None
        return Picture(
            restarts=kind in _BLA_OR_IDR,
            is_anchor=temporal_id == 0
            and kind not in _LEADING
            and not (kind < 16 and kind % 2 == 0),
            order_lsb=lsb,
            order_bits=sps.order_bits,
        )


def _sps(bits: Bits) -> tuple[int, _Sps]:
    bits.bits(4)
    sub_layers = bits.bits(3)
    bits.bits(1)
    bits.bits(96)  # general profile, tier and level
    present = [(bits.bits(1), bits.bits(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.bits(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.bits(88 * has_profile + 8 * has_level)
    number = bits.unsigned(_MAX_SPS)
    separate_planes = bits.unsigned() == 3 and bool(bits.bits(1))
    bits.unsigned()  # width and height
    bits.unsigned()
    if bits.bits(1):
        for _ in range(4):
            bits.unsigned()
    bits.unsigned()  # bit depths
    bits.unsigned()
    return number, _Sps(bits.unsigned(_MAX_LOG2) + 4, separate_planes)
