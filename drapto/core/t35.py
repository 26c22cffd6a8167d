"""Metadata of one frame as video streams carry it: ITU-T T.35 messages.

A message is a country code, a provider code and what the provider makes of the rest. Two kinds
concern us: HDR10+ (SMPTE ST 2094-40 in the syntax of CTA-861, annex S) and the reference
processing unit (RPU) of Dolby Vision, which AV1 carries inside an EMDF container
(ETSI TS 102 366, annex H, with fixed values; so do ffmpeg's libavcodec/dovi_rpuenc.c and
dovi_tool).

No package on PyPI reads or writes these; ffmpeg knows them only inside its encoders.
"""

from __future__ import annotations

from drapto.core.bits import BitReader, BitsError, BitWriter

_COUNTRY_US = 0xB5
HDR10_PLUS_HEAD = bytes.fromhex("b5003c000104")
"""Country, provider (Samsung), provider-oriented code, application identifier 4. The byte that
follows is the application's version."""

DOLBY_VISION_HEAD = bytes.fromhex("b5003b00000800")
"""Country, provider (Dolby), provider-oriented code."""

_EMDF_HEAD, _EMDF_HEAD_BITS = 0x01BE6841, 27
"""Version 0, key 6, payload 31 + 225, and no options but that an unknown one is to be dropped."""

_EMDF_TAIL, _EMDF_TAIL_BITS = 0x400, 17  # the end mark and an empty protection field
_LONGEST_RPU = 1 << 16  # what two groups of 8 bits can say; real ones are below 2 KiB


def is_hdr10_plus(message: bytes) -> bool:
    return message.startswith(HDR10_PLUS_HEAD)


def is_dolby_vision(message: bytes) -> bool:
    return message.startswith(DOLBY_VISION_HEAD)


def fits(rpu: bytes) -> bool:
    """Whether `wrap_rpu` takes this RPU."""
    return 0 < len(rpu) < _LONGEST_RPU


def wrap_rpu(rpu: bytes) -> bytes:
    """The message that carries this RPU (which begins with its type, not with the prefix 0x19 of
    HEVC). Errors: BitsError if it is too long."""
    if not fits(rpu):
        raise BitsError(f"an RPU of {len(rpu)} bytes")
    writer = BitWriter()
    writer.octets(DOLBY_VISION_HEAD)
    writer.bits(_EMDF_HEAD, _EMDF_HEAD_BITS)
    if len(rpu) > 0xFF:  # variable_bits(8): groups of 8 bits, each followed by 'more to come'
        writer.bits((len(rpu) >> 8) - 1, 8)
        writer.flag(True)
    writer.bits(len(rpu) & 0xFF, 8)
    writer.flag(False)
    writer.octets(rpu)
    writer.bits(_EMDF_TAIL, _EMDF_TAIL_BITS)
    writer.align(fill=1)
    return writer.data()


def unwrap_rpu(message: bytes) -> bytes:
    """The RPU inside a message. Errors: BitsError."""
    if not is_dolby_vision(message):
        raise BitsError("not a Dolby Vision message")
    reader = BitReader(message[len(DOLBY_VISION_HEAD) :])
    if reader.bits(_EMDF_HEAD_BITS) != _EMDF_HEAD:
        raise BitsError("an EMDF container of another kind")
    size = reader.bits(8)
    if reader.flag():
        size = (size + 1 << 8) + reader.bits(8)
        if reader.flag():
            raise BitsError("an RPU of more than 64 KiB")
    rpu = reader.octets(size)
    if reader.bits(_EMDF_TAIL_BITS) != _EMDF_TAIL:
        raise BitsError("an EMDF container without an end")
    return rpu
