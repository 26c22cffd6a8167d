"""Finds the dynamic metadata in the packets of HEVC, H.264 and AV1. Nothing is decoded.

HEVC and H.264 carry HDR10+ in SEI messages (ITU-T H.265, D.2.6) and HEVC a Dolby Vision RPU as
the NAL unit of type 62 that ends a picture; AV1 carries both as metadata OBUs. Damage is no
error: what cannot be read is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator

from drapto.core import t35
from drapto.core.bits import BitsError
from drapto.core.dynamic_metadata import NOTHING, FrameMetadata
from drapto.infrastructure.ffmpeg.h264 import nals_by_start_code
from drapto.infrastructure.ffmpeg.obu import metadata_of

Extract = Callable[[bytes], FrameMetadata]
"""From a packet to what it carries; packets are given in decode order."""

_HEVC_RPU = 62
_HEVC_KINDS = frozenset({39, 40, _HEVC_RPU})  # and SEI messages before and behind the picture
_H264_KINDS = frozenset({6})  # SEI messages
_USER_DATA_T35 = 4  # payloadType
_RPU_PREFIX = 0x19


def extractor(codec: str, extradata: bytes | None) -> Extract | None:
    """None for a codec that is not known to carry any."""
    record = extradata or b""
    if codec == "hevc":
        return _Hevc(_length_bytes(record, at=21))
    if codec == "h264":
        length_bytes = _length_bytes(record, at=4)
        return lambda packet: _of_h264(_nals(packet, length_bytes, 0, _H264_KINDS))
    return _of_av1 if codec == "av1" else None


class _Hevc:
    """A picture without an HDR10+ message has that of the picture decoded before it, as
    libavcodec's decoder has it: some encoders write one for each scene only."""

    def __init__(self, length_bytes: int) -> None:
        self._length_bytes = length_bytes
        self._last: bytes | None = None

    def __call__(self, packet: bytes) -> FrameMetadata:
        rpu = own = None
        for nal in _nals(packet, self._length_bytes, 1, _HEVC_KINDS):
            if nal[0] >> 1 & 63 == _HEVC_RPU:
                rpu = _rpu(nal[2:]) or rpu
            else:
                own = _hdr10_plus(nal[2:]) or own
        self._last = own or self._last
        return FrameMetadata(self._last, rpu, inherited=own is None and self._last is not None)


def _of_h264(nals: Iterable[bytes]) -> FrameMetadata:
    for nal in nals:
        if message := _hdr10_plus(nal[1:]):
            return FrameMetadata(message)
    return NOTHING


def _of_av1(packet: bytes) -> FrameMetadata:
    try:
        messages = metadata_of(packet)
    except BitsError:
        return NOTHING
    hdr10_plus = rpu = None
    for message in messages:
        if t35.is_hdr10_plus(message):
            hdr10_plus = message
        elif t35.is_dolby_vision(message):
            try:
                rpu = t35.unwrap_rpu(message)
            except BitsError:
                continue
    return FrameMetadata(hdr10_plus, rpu)


def _length_bytes(record: bytes, at: int) -> int:
    """How long the lengths before NAL units are; 0: start codes stand there."""
    has_record = len(record) > at and record[:3] not in (b"\0\0\1", b"\0\0\0")
    return (record[at] & 3) + 1 if has_record else 0


def _nals(packet: bytes, length_bytes: int, shift: int, kinds: Container[int]) -> Iterator[bytes]:
    """The NAL units of these types; the type is the six or five bits from `shift` on. Others, which
    are nearly all of the packet, are not even copied."""
    mask = 31 if shift == 0 else 63
    if not length_bytes:
        yield from (n for n in nals_by_start_code(packet) if n[0] >> shift & mask in kinds)
        return
    at, end = 0, len(packet)
    while at + length_bytes < end:
        size = int.from_bytes(packet[at : at + length_bytes], "big")
        at += length_bytes
        if size and packet[at] >> shift & mask in kinds:
            yield packet[at : at + size]
        at += size


def _plain(nal: bytes) -> bytes:
    """Without emulation prevention bytes."""
    return nal.replace(b"\0\0\3", b"\0\0")


def _rpu(nal: bytes) -> bytes | None:
    data = _plain(nal).rstrip(b"\0")
    return data[1:] if data[:1] == bytes((_RPU_PREFIX,)) else None


def _hdr10_plus(nal: bytes) -> bytes | None:
    """The HDR10+ message among those of an SEI unit (7.3.5: type and size in steps of 255)."""
    if t35.HDR10_PLUS_HEAD not in nal:  # holds no two zeros, so nothing is put between them
        return None
    data = _plain(nal)
    at = 0
    while at + 2 <= len(data):
        kind, at = _stepped(data, at)
        size, at = _stepped(data, at)
        message, at = data[at : at + size], at + size
        if kind == _USER_DATA_T35 and at <= len(data) and t35.is_hdr10_plus(message):
            return message
    return None


def _stepped(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(data) and data[at] == 0xFF:
        value += 255
        at += 1
    return value + (data[at] if at < len(data) else 0), at + 1
