"""What an RPU says for displays: the colour of the signal, and blocks of metadata by level.

Level 1 are the frame's luminances, 2 and 8 trims, 5 the active area, 6 the static HDR10 values.
Blocks of the second list came with content mapping 4.0. Only level 5 depends on the picture's
size, so it is the only one that is ever looked into.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drapto.core.bits import BitReader, BitsError, BitWriter
from drapto.core.crop_border import CropBorder

# YCC to RGB (9 coefficients, 3 offsets), RGB to LMS (9), EOTF with 3 parameters, bit depth,
# colour space, chroma format, range, lowest and highest PQ, diagonal.
_COLOUR_BITS = (*(16,) * 9, *(32,) * 3, *(16,) * 9, 16, 16, 16, 32, 5, 2, 2, 2, 12, 12, 10)
_COLOUR_SPACE = 26  # its place among them

_BT2020_TO_RGB = (9574, 0, 13802, 9574, -1540, -5348, 9574, 17610, 0)
_OFFSETS = (1 << 24, 1 << 27, 1 << 27)
_RGB_TO_LMS = (7222, 8771, 390, 2654, 12430, 1300, 0, 422, 15962)
"""The matrices of every profile 8.1 stream: BT.2020 limited range, in 1/8192 and 1/16384
(libdovi, profile81.rs)."""

_ACTIVE_AREA, _ACTIVE_AREA_BYTES, _OFFSET_BITS = 5, 7, 13
_MOST_BLOCKS = 254
_SECOND_LIST_BITS = 16  # no shorter list of 4.0 blocks exists (libdovi, vdr_dm_data.rs)


@dataclass(frozen=True)
class Block:
    level: int
    payload: bytes


@dataclass(frozen=True)
class Display:
    """`colour` is None where the stream leaves it out (compressed metadata); `blocks_40` is None
    where there is no second list."""

    affected: int
    current: int
    scene_refresh: int
    colour: tuple[int, ...] | None
    blocks: tuple[Block, ...]
    blocks_40: tuple[Block, ...] | None


def as_profile_81(display: Display) -> Display:
    """With the colour of a profile 8.1 stream."""
    if display.colour is None:
        return display
    matrices = (*_BT2020_TO_RGB, *_OFFSETS, *_RGB_TO_LMS)
    coded = [value % (1 << bits) for value, bits in zip(matrices, _COLOUR_BITS, strict=False)]
    colour = [*coded, *display.colour[len(coded) :]]
    colour[_COLOUR_SPACE] = 0
    return replace(display, colour=tuple(colour))


def cropped(display: Display, border: CropBorder) -> Display:
    """The active area counted from the edges of a picture that has lost `border`; an area that
    began inside of it now begins at the edge. Errors: BitsError."""
    blocks = [_moved(b, border) if b.level == _ACTIVE_AREA else b for b in display.blocks]
    return replace(display, blocks=tuple(blocks))


def _moved(block: Block, border: CropBorder) -> Block:
    if len(block.payload) != _ACTIVE_AREA_BYTES:
        raise BitsError(f"an active area of {len(block.payload)} bytes")
    reader, writer = BitReader(block.payload), BitWriter()
    for taken in (border.left, border.right, border.top, border.bottom):
        writer.bits(max(0, reader.bits(_OFFSET_BITS) - taken), _OFFSET_BITS)
    writer.bits(reader.bits(reader.left), 4)
    return Block(block.level, writer.data())


def read_display(reader: BitReader, *, compressed: bool) -> Display:
    """The last part of an RPU. Errors: BitsError."""
    affected, current, scene_refresh = reader.code(), reader.code(), reader.code()
    colour = None if compressed else tuple(map(reader.bits, _COLOUR_BITS))
    blocks = _read_blocks(reader)
    more = reader.left >= _SECOND_LIST_BITS
    return Display(
        affected=affected,
        current=current,
        scene_refresh=scene_refresh,
        colour=colour,
        blocks=blocks,
        blocks_40=_read_blocks(reader) if more else None,
    )


def write_display(writer: BitWriter, display: Display) -> None:
    for value in (display.affected, display.current, display.scene_refresh):
        writer.code(value)
    if display.colour is not None:
        for value, count in zip(display.colour, _COLOUR_BITS, strict=True):
            writer.bits(value, count)
    _write_blocks(writer, display.blocks)
    if display.blocks_40 is not None:
        _write_blocks(writer, display.blocks_40)


def _read_blocks(reader: BitReader) -> tuple[Block, ...]:
    count = reader.code()
    if count > _MOST_BLOCKS:
        raise BitsError(f"{count} blocks of metadata")
    reader.align()
    return tuple(_read_block(reader) for _ in range(count))


def _read_block(reader: BitReader) -> Block:
    length, level = reader.code(), reader.bits(8)
    return Block(level, reader.octets(length))


def _write_blocks(writer: BitWriter, blocks: tuple[Block, ...]) -> None:
    writer.code(len(blocks))
    writer.align()
    for block in blocks:
        writer.code(len(block.payload))
        writer.bits(block.level, 8)
        writer.octets(block.payload)
