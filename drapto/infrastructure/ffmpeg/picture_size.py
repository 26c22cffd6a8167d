"""How big the pictures of a stream are, by the headers of its key frames.

A broadcast or a call may change its picture size midway. Only whether it changes matters here,
so the coded size, which counts whole blocks, is enough. Codecs that are not read give None.
"""

from __future__ import annotations

from drapto.infrastructure.ffmpeg.h264 import Bits, H264Pictures
from drapto.infrastructure.ffmpeg.hevc import HevcPictures

_SEQUENCE_HEADER = b"\x00\x00\x01\xb3"
_VP8_START = b"\x9d\x01\x2a"
_VP9_SYNC = 0x498342
_VP9_RGB = 7  # color_space


class PictureSizes:
    """Follows the key frames of one stream; `take` is given each of them in turn."""

    def __init__(self, codec: str, extradata: bytes | None, h264: H264Pictures | None) -> None:
        self._codec = codec
        self._h264 = h264
        self._hevc = HevcPictures(extradata) if codec == "hevc" else None
        self._size: tuple[int, int] | None = None

    def changed(self, packet: bytes) -> bool:
        """Whether this key frame has another size than the one before."""
        try:
            size = self._read(packet)
        except IndexError:
            return False
        before = self._size
        self._size = size or before
        return before is not None and size is not None and size != before

    def _read(self, packet: bytes) -> tuple[int, int] | None:
        if self._h264 is not None:
            slices = self._h264.slices(packet)
            return slices[0].sps.size if slices else None
        if self._hevc is not None:
            picture = self._hevc.picture(packet)
            return None if picture is None else picture.size
        if self._codec in ("mpeg1video", "mpeg2video"):  # ISO/IEC 13818-2, 6.2.2.1
            at = packet.find(_SEQUENCE_HEADER)
            both = int.from_bytes(packet[at + 4 : at + 7], "big")
            return (both >> 12, both & 0xFFF) if at >= 0 else None
        if self._codec == "vp8" and packet[3:6] == _VP8_START:  # RFC 6386, 9.1
            width, height = packet[6] | packet[7] << 8, packet[8] | packet[9] << 8
            return width & 0x3FFF, height & 0x3FFF
        return _vp9_size(Bits(packet[:32])) if self._codec == "vp9" else None


def _vp9_size(bits: Bits) -> tuple[int, int] | None:
    """VP9 bitstream specification, 6.2: uncompressed_header, color_config, frame_size."""
    bits.bits(2)
    profile = bits.bits(1) | bits.bits(1) << 1
    if profile == 3:
        bits.bits(1)
    if bits.bits(1) or bits.bits(1):  # an existing frame, or no key frame
        return None
    bits.bits(2)  # show_frame, error_resilient_mode
    if bits.bits(24) != _VP9_SYNC:
        return None
    if profile >= 2:
        bits.bits(1)
    if bits.bits(3) == _VP9_RGB:
        bits.bits(1 if profile & 1 else 0)
    else:
        bits.bits(4 if profile & 1 else 1)
    return bits.bits(16) + 1, bits.bits(16) + 1
