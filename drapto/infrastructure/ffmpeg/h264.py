"""The few bits of an H.264 stream that say where pictures begin and in what order they show.

libavformat gives the two fields of a field-coded picture as two packets; a decoder gives one
frame. And it marks every recovery point as a key frame, though after some of them (periodic
intra refresh) the picture is whole only many frames later. Both are visible in the slice
headers (ITU-T H.264, 7.3.2.1.1, 7.3.2.2 and 7.3.3), and so is the picture order count, which a
stream without timestamps is put in order by. Nothing here raises on damaged data: what cannot
be read is taken for an ordinary frame without a count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drapto.core.bits import BitReader, BitsError

_SLICE, _IDR_SLICE, _SPS, _PPS = 1, 5, 7, 8
_INTRA_SLICE_TYPES = (2, 4)  # I and SI, modulo 5
# Profiles whose SPS carries the chroma format and scaling lists (7.3.2.1.1).
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_HEADER_BYTES = 64  # enough of a slice or PPS for the fields that are read
_SPS_BYTES = 4096  # with all lists and cycles in their longest form, far less
# The largest values that the standard allows (7.4.2.1.1 and 7.4.2.2).
_MAX_SPS, _MAX_PPS, _MAX_LOG2, _MAX_CYCLE = 31, 255, 12, 255


@dataclass(frozen=True)
class Sps:
    frame_mbs_only: bool
    frame_num_bits: int
    separate_planes: bool
    order_type: int
    order_bits: int  # of pic_order_cnt_lsb, with order_type 0


@dataclass(frozen=True)
class Slice:
    is_idr: bool
    is_intra: bool
    frame_num: int
    is_field: bool
    is_bottom: bool
    is_reference: bool
    sps: Sps
    order_lsb: int  # pic_order_cnt_lsb; 0 with another order_type


class Bits(BitReader):
    """Reads the payload of a NAL unit, the emulation prevention bytes taken out."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data.replace(b"\x00\x00\x03", b"\x00\x00"))

    def unsigned(self, most: int = 2**32) -> int:
        """ue(v). BitsError above `most`: then it is no such field."""
        value = self.code()
        if value > most:
            raise BitsError(f"{value} is out of range")
        return value

    def signed(self) -> int:
        """se(v)."""
        code = self.code()
        return (code + 1) // 2 if code % 2 else -(code // 2)


class H264Pictures:
    """Follows the packets of one stream in decode order.

    `extradata` is the codec's, in either of its forms: an avcC record or start codes.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._sps: dict[int, Sps] = {}
        self._pps: dict[int, int] = {}
        self._length_bytes = 0  # 0: NAL units are separated by start codes
        self._open_field: Slice | None = None
        data = extradata or b""
        if len(data) > 6 and data[0] == 1:
            self._length_bytes = (data[4] & 3) + 1
            self._read_record(data)
        else:
            for nal in nals_by_start_code(data):
                self._read_parameters(nal)

    @property
    def may_have_fields(self) -> bool:
        """False if the stream is known to hold whole frames only."""
        return not self._sps or any(not sps.frame_mbs_only for sps in self._sps.values())

    def slices(self, packet: bytes) -> list[Slice]:
        found = []
        for nal in self._nals(packet):
            kind = nal[0] & 31
            if kind in (_SPS, _PPS):
                self._read_parameters(nal)
            elif kind in (_SLICE, _IDR_SLICE):
                parsed = self._slice(nal)
                if parsed is not None:
                    found.append(parsed)
        return found

    def is_second_field(self, slices: list[Slice]) -> bool:
        """Whether a packet only completes the frame that the packet before it began."""
        first = self._open_field
        self._open_field = None
        if not slices or not slices[0].is_field:
            return False
        if any(s.is_bottom != slices[0].is_bottom for s in slices):
            return False  # both fields in one packet
        now = slices[0]
        if (
            first is not None
            and first.frame_num == now.frame_num
            and first.is_bottom != now.is_bottom
            and not now.is_idr
        ):
            return True
        self._open_field = now
        return False

    @staticmethod
    def is_clean_start(slices: list[Slice]) -> bool:
        """Whether a decoder that starts here shows a whole picture at once."""
        return not slices or any(s.is_idr for s in slices) or slices[0].is_intra

    def _nals(self, packet: bytes) -> Iterator[bytes]:
        if not self._length_bytes:
            yield from nals_by_start_code(packet)
            return
        yield from nals_by_length(packet, self._length_bytes)

    def _read_record(self, record: bytes) -> None:
        """avcC: ISO/IEC 14496-15, 5.3.3.1."""
        at = 5
        for mask in (31, 255):
            if at >= len(record):
                return
            count, at = record[at] & mask, at + 1
            for _ in range(count):
                size = int.from_bytes(record[at : at + 2], "big")
                if size:
                    self._read_parameters(record[at + 2 : at + 2 + size])
                at += 2 + size

    def _read_parameters(self, nal: bytes) -> None:
        try:
            if nal[0] & 31 == _SPS:
                number, sps = _sps(Bits(nal[1:_SPS_BYTES]))
                self._sps[number] = sps
            elif nal[0] & 31 == _PPS:
                bits = Bits(nal[1:_HEADER_BYTES])
                number = bits.unsigned(_MAX_PPS)
                self._pps[number] = bits.unsigned(_MAX_SPS)
        except (BitsError, IndexError):  # or nothing at all
            return

    def _slice(self, nal: bytes) -> Slice | None:
        try:
            bits = Bits(nal[1:_HEADER_BYTES])
            bits.unsigned()  # first_mb_in_slice
            kind = bits.unsigned()
            sps = self._sps[self._pps[bits.unsigned()]]
            if sps.separate_planes:
                bits.bits(2)
            frame_num = bits.bits(sps.frame_num_bits)
            is_field = not sps.frame_mbs_only and bool(bits.bits(1))
            is_bottom = is_field and bool(bits.bits(1))
            if nal[0] & 31 == _IDR_SLICE:
                bits.unsigned()  # idr_pic_id
            order_lsb = bits.bits(sps.order_bits) if sps.order_type == 0 else 0
        except (BitsError, KeyError):
            return None
        return Slice(
            is_idr=nal[0] & 31 == _IDR_SLICE,
            is_intra=kind % 5 in _INTRA_SLICE_TYPES,
            frame_num=frame_num,
            is_field=is_field,
            is_bottom=is_bottom,
            is_reference=bool(nal[0] >> 5 & 3),
            sps=sps,
            order_lsb=order_lsb,
        )


def nals_by_length(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """NAL units of a packet in MP4 or Matroska: each after its length."""
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if size:
            yield data[at : at + size]
        at += size


def nals_by_start_code(data: bytes) -> Iterator[bytes]:
    """NAL units of a bare stream: each between start codes."""
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        following = data.find(b"\x00\x00\x01", at + 3)
        nal = data[at + 3 : following if following >= 0 else len(data)]
        if nal:
            yield nal
        at = following


class OrderCount:
    """Picture order counts from their low bits (8.2.1.1; H.265, 8.3.1 is the same rule)."""

    def __init__(self) -> None:
        self._msb = self._lsb = 0

    def next(self, lsb: int, bits: int, *, restart: bool, is_anchor: bool) -> int:
        """`is_anchor`: the following counts are near this one's."""
        if restart:
            self._msb = self._lsb = 0
        span = 1 << bits
        msb = self._msb
        if lsb < self._lsb and self._lsb - lsb >= span // 2:
            msb += span
        elif lsb > self._lsb and lsb - self._lsb > span // 2:
            msb -= span
        if is_anchor:
            self._msb, self._lsb = msb, lsb
        return msb + lsb


def _sps(bits: Bits) -> tuple[int, Sps]:
    profile = bits.bits(8)
    bits.bits(16)  # constraint flags and level
    number = bits.unsigned(_MAX_SPS)
    separate_planes = False
    if profile in _HIGH_PROFILES:
        chroma = bits.unsigned()
        separate_planes = chroma == 3 and bool(bits.bits(1))
        bits.unsigned()  # bit depths
        bits.unsigned()
        bits.bits(1)
        if bits.bits(1):
            for position in range(8 if chroma != 3 else 12):
                if bits.bits(1):
                    _skip_scaling_list(bits, 16 if position < 6 else 64)
    frame_num_bits = bits.unsigned(_MAX_LOG2) + 4
    order_type = bits.unsigned()
    order_bits = 0
    if order_type == 0:
        order_bits = bits.unsigned(_MAX_LOG2) + 4
    elif order_type == 1:
        bits.bits(1)
        bits.signed()
        bits.signed()
        for _ in range(bits.unsigned(_MAX_CYCLE)):
            bits.signed()
    bits.unsigned()  # max_num_ref_frames
    bits.bits(1)
    bits.unsigned()  # width and height in macroblocks
    bits.unsigned()
    sps = Sps(bool(bits.bits(1)), frame_num_bits, separate_planes, order_type, order_bits)
    return number, sps


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last
