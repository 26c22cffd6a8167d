"""The reference processing unit (RPU) of Dolby Vision: the metadata of one frame.

    rpu = parse(data)            # data as in AV1: without HEVC's NAL header and prefix
    data == write(rpu)           # every bit is kept, and the checksum is made anew

The syntax is not public; this follows libavcodec's dovi_rpudec.c and libdovi (dovi_tool), of
which no package with Python bindings exists on PyPI. What those do not read either (other RPU
types, no sequence information, linear interpolation) is refused with BitsError.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum

from drapto.core.bits import BitReader, BitsError, BitWriter
from drapto.core.dolby_vision.display import Display, read_display, write_display
from drapto.core.dolby_vision.mapping import (
    Coding,
    Mapping,
    Residual,
    read_mapping,
    write_mapping,
)

_TYPE, _TYPE_BITS = 2, 6
_END = 0x80
_TAIL_BYTES = 5  # checksum and end
_SHORTEST = 6  # bytes: no RPU is shorter than its frame
_LONGEST = 1 << 14  # bytes; real ones have some hundreds
_FIXED_POINT, _FLOAT = 0, 1
_COMPRESSED = 1
_FLOAT_BITS = 32
_MOST_EXTRA_DEPTH_BITS = 8
_SIGNAL_BITS_OF_7 = 12


@dataclass(frozen=True)
class Depths:
    """What formats with 0 in their high bits say of sample sizes and layers."""

    base: int  # bits of a sample, minus 8
    enhancement: int  # the same in its low 8 bits; above them the extended mapping's number
    signal: int  # as `base`
    spatial_resampling: bool
    compression: int
    enhancement_resampling: bool
    no_residual: bool


@dataclass(frozen=True)
class Header:
    format: int
    profile: int
    level: int
    chroma_filter: bool
    number_type: int
    fraction_bits: int
    normalized: int
    full_range: bool
    depths: Depths | None

    @property
    def coding(self) -> Coding:
        depths = self.depths
        return Coding(
            fraction_bits=self.fraction_bits,
            is_fixed_point=self.number_type == _FIXED_POINT,
            base_bits=8 + (depths.base if depths else 2),
            enhancement_bits=8 + ((depths.enhancement & 0xFF) if depths else 2),
            has_residual=depths is not None and not depths.no_residual,
        )


@dataclass(frozen=True)
class Rpu:
    """`mapping` is that of the RPU numbered `previous` where it is None; `rest` is what stands
    before the checksum and is known to nobody."""

    header: Header
    previous: int
    mapping: Mapping | None
    display: Display | None
    rest: bytes = b""


def stands_alone(rpu: Rpu) -> bool:
    """False if it refers to another frame's RPU: 'the one before' is another one where frames
    are coded in another order."""
    return rpu.mapping is not None and (rpu.display is None or rpu.display.colour is not None)


class Layer(StrEnum):
    """What an enhancement layer holds: nothing but what the mapping needs (minimal), or the
    residual to 12 bits (full)."""

    NONE = "none"
    MINIMAL = "minimal"
    FULL = "full"


def layer_of(rpu: Rpu) -> Layer:
    """By the residual's parameters, as libdovi tells them apart."""
    if rpu.mapping is None or not rpu.mapping.residuals:
        return Layer.NONE
    nothing = Residual(0, ((1, 0), (0, 0), (0, 0)))
    return Layer.MINIMAL if set(rpu.mapping.residuals) == {nothing} else Layer.FULL


def profile_of(rpu: Rpu) -> int | None:
    """The profile of the HEVC stream it came in, as libavcodec's dovi_rpu.c guesses it."""
    depths = rpu.header.depths
    if rpu.header.profile == 0:
        return 5 if rpu.header.full_range else None
    if rpu.header.profile != 1 or depths is None:
        return None
    if depths.enhancement_resampling and not depths.no_residual:
        return 7 if depths.signal == _SIGNAL_BITS_OF_7 - 8 else 4
    return 8


def checksum(data: bytes) -> int:
    """CRC-32/MPEG-2 (polynomial 0x04C11DB7, not reflected), by zlib's reflected one."""
    reflected = zlib.crc32(data.translate(_REVERSED)) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def parse(data: bytes) -> Rpu:
    """Errors: BitsError, also where the checksum is wrong."""
    if not _SHORTEST <= len(data) <= _LONGEST or data[-1] != _END:
        raise BitsError(f"no RPU: {len(data)} bytes that do not end as one does")
    if checksum(data[:-_TAIL_BYTES]) != int.from_bytes(data[-_TAIL_BYTES:-1], "big"):
        raise BitsError("the RPU's checksum is wrong: it is damaged")
    reader = BitReader(data[:-_TAIL_BYTES])
    header = _read_header(reader)
    has_display, uses_previous = reader.flag(), reader.flag()
    previous, mapping = 0, None
    if uses_previous:
        previous = reader.code()
    else:
        mapping = read_mapping(reader, header.coding)
    display = None
    if has_display:
        compressed = header.depths is not None and header.depths.compression == _COMPRESSED
        display = read_display(reader, compressed=compressed)
    reader.align()
    rest = reader.octets(reader.left // 8)
    return Rpu(header, previous, mapping, display, rest)


def write(rpu: Rpu) -> bytes:
    """Errors: BitsError if a value does not fit into its place."""
    writer = BitWriter()
    _write_header(writer, rpu.header)
    writer.flag(rpu.display is not None)
    writer.flag(rpu.mapping is None)
    if rpu.mapping is None:
        writer.code(rpu.previous)
    else:
        write_mapping(writer, rpu.mapping, rpu.header.coding)
    if rpu.display is not None:
        write_display(writer, rpu.display)
    writer.align()
    writer.octets(rpu.rest)
    data = writer.data()
    return data + checksum(data).to_bytes(4, "big") + bytes((_END,))


def _read_header(reader: BitReader) -> Header:
    if reader.bits(_TYPE_BITS) != _TYPE:
        raise BitsError("an RPU of an unknown type")
    form, profile, level = reader.bits(11), reader.bits(4), reader.bits(4)
    if not reader.flag():
        raise BitsError("an RPU without sequence information")
    chroma_filter, number_type = reader.flag(), reader.bits(2)
    if number_type == _FIXED_POINT:
        fraction_bits = reader.code()
        if fraction_bits > _FLOAT_BITS:
            raise BitsError(f"fractions of {fraction_bits} bits")
    elif number_type == _FLOAT:
        fraction_bits = _FLOAT_BITS
    else:
        raise BitsError("numbers of an unknown kind")
    return Header(
        format=form,
        profile=profile,
        level=level,
        chroma_filter=chroma_filter,
        number_type=number_type,
        fraction_bits=fraction_bits,
        normalized=reader.bits(2),
        full_range=reader.flag(),
        depths=None if form & 0x700 else _read_depths(reader),
    )


def _read_depths(reader: BitReader) -> Depths:
    depths = Depths(
        base=reader.code(),
        enhancement=reader.code(),
        signal=reader.code(),
        spatial_resampling=reader.flag(),
        compression=reader.bits(3),
        enhancement_resampling=reader.flag(),
        no_residual=reader.flag(),
    )
    if max(depths.base, depths.enhancement & 0xFF, depths.signal) > _MOST_EXTRA_DEPTH_BITS:
        raise BitsError("samples of more than 16 bits")
    return depths


def _write_header(writer: BitWriter, header: Header) -> None:
    writer.bits(_TYPE, _TYPE_BITS)
    writer.bits(header.format, 11)
    writer.bits(header.profile, 4)
    writer.bits(header.level, 4)
    writer.flag(True)
    writer.flag(header.chroma_filter)
    writer.bits(header.number_type, 2)
    if header.number_type == _FIXED_POINT:
        writer.code(header.fraction_bits)
    writer.bits(header.normalized, 2)
    writer.flag(header.full_range)
    depths = header.depths
    if depths is None:
        return
    for value in (depths.base, depths.enhancement, depths.signal):
        writer.code(value)
    writer.flag(depths.spatial_resampling)
    writer.bits(depths.compression, 3)
    writer.flag(depths.enhancement_resampling)
    writer.flag(depths.no_residual)
