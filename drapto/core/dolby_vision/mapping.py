"""How an RPU maps the base layer to the full signal: curves, and the residual of a second layer.

Read and written bit for bit. Coefficients are kept as they are coded: a whole part as the number
of its Exp-Golomb code, and a fraction. The names follow the RPU syntax as libavcodec's
dovi_rpudec.c and libdovi read it; Dolby's own document is not public.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drapto.core.bits import BitReader, BitsError, BitWriter

_COMPONENTS = 3
_MOST_PIVOTS = 9  # libavutil/dovi_meta.h: AV_DOVI_MAX_PIECES + 1
_POLYNOMIAL, _MMR = 0, 1
_MMR_TERMS = 7
_LINEAR_DEADZONE = 0
_CODE_OF_ONE = 1  # se(v): codes 0, 1, 2, 3 are the numbers 0, 1, -1, 2
_FLOAT_ONE = 0x3F800000  # 1.0 in IEEE 754, 32 bits

Coefficient = tuple[int, int]  # whole part (as coded; 0 where numbers are floats), fraction


@dataclass(frozen=True)
class Coding:
    """How the header says that numbers are written."""

    fraction_bits: int
    is_fixed_point: bool
    base_bits: int  # of the base layer's samples
    enhancement_bits: int
    has_residual: bool


@dataclass(frozen=True)
class Piece:
    """One piece of a curve: a polynomial, or a multivariate regression."""

    method: int
    order: int
    coefficients: tuple[Coefficient, ...]


@dataclass(frozen=True)
class Residual:
    """One component's non-linear quantiser of the enhancement layer."""

    offset: int
    coefficients: tuple[Coefficient, Coefficient, Coefficient]  # maximum, slope, threshold


@dataclass(frozen=True)
class Mapping:
    """`pivots` are differences as coded; `pieces` lie between them. Residuals: 3, or none."""

    number: int
    color_space: int
    chroma_format: int
    pivots: tuple[tuple[int, ...], ...]
    residual_pivots: tuple[int, int] | None
    partitions: tuple[int, int]
    pieces: tuple[tuple[Piece, ...], ...]
    residuals: tuple[Residual, ...] = ()


def without_residual(mapping: Mapping, coding: Coding) -> Mapping:
    """The mapping of a base layer that is the whole signal: it changes nothing."""
    unity = (_CODE_OF_ONE, 0) if coding.is_fixed_point else (0, _FLOAT_ONE)
    straight = Piece(_POLYNOMIAL, 1, ((0, 0), unity))
    return replace(
        mapping,
        pivots=((0, (1 << coding.base_bits) - 1),) * _COMPONENTS,
        residual_pivots=None,
        partitions=(0, 0),
        pieces=((straight,),) * _COMPONENTS,
        residuals=(),
    )


def read_mapping(reader: BitReader, coding: Coding) -> Mapping:
    """Errors: BitsError."""
    number, color_space, chroma_format = reader.code(), reader.code(), reader.code()
    pivots = tuple(_read_pivots(reader, coding) for _ in range(_COMPONENTS))
    residual_pivots = None
    if coding.has_residual:
        if reader.bits(3) != _LINEAR_DEADZONE:
            raise BitsError("a residual of an unknown kind")
        residual_pivots = reader.bits(coding.base_bits), reader.bits(coding.base_bits)
    partitions = reader.code(), reader.code()
    pieces = tuple(
        tuple(_read_piece(reader, coding) for _ in range(len(edges) - 1)) for edges in pivots
    )
    residuals = [_read_residual(reader, coding) for _ in range(_COMPONENTS * coding.has_residual)]
    return Mapping(
        number=number,
        color_space=color_space,
        chroma_format=chroma_format,
        pivots=pivots,
        residual_pivots=residual_pivots,
        partitions=partitions,
        pieces=pieces,
        residuals=tuple(residuals),
    )


def write_mapping(writer: BitWriter, mapping: Mapping, coding: Coding) -> None:
    for value in (mapping.number, mapping.color_space, mapping.chroma_format):
        writer.code(value)
    for edges in mapping.pivots:
        writer.code(len(edges) - 2)
        for edge in edges:
            writer.bits(edge, coding.base_bits)
    if mapping.residual_pivots is not None:
        writer.bits(_LINEAR_DEADZONE, 3)
        for edge in mapping.residual_pivots:
            writer.bits(edge, coding.base_bits)
    for count in mapping.partitions:
        writer.code(count)
    for pieces in mapping.pieces:
        for piece in pieces:
            _write_piece(writer, piece, coding)
    for residual in mapping.residuals:
        writer.bits(residual.offset, coding.enhancement_bits)
        for coefficient in residual.coefficients:
            _write_coefficient(writer, coefficient, coding)


def _read_pivots(reader: BitReader, coding: Coding) -> tuple[int, ...]:
    count = reader.code() + 2
    if count > _MOST_PIVOTS:
        raise BitsError(f"a curve of {count} pivots")
    return tuple(reader.bits(coding.base_bits) for _ in range(count))


def _read_piece(reader: BitReader, coding: Coding) -> Piece:
    method = reader.code()
    if method == _POLYNOMIAL:
        order = reader.code() + 1
        if order > 2:
            raise BitsError(f"a polynomial of order {order}")
        if order == 1 and reader.flag():
            raise BitsError("a curve of straight pieces, which nobody is known to write")
        count = order + 1
    elif method == _MMR:
        order = reader.bits(2) + 1
        if order > 3:
            raise BitsError(f"a regression of order {order}")
        count = 1 + _MMR_TERMS * order
    else:
        raise BitsError(f"a curve of the unknown kind {method}")
    return Piece(method, order, tuple(_read_coefficient(reader, coding) for _ in range(count)))


def _write_piece(writer: BitWriter, piece: Piece, coding: Coding) -> None:
    writer.code(piece.method)
    if piece.method == _MMR:
        writer.bits(piece.order - 1, 2)
    else:
        writer.code(piece.order - 1)
        if piece.order == 1:
            writer.flag(False)
    for coefficient in piece.coefficients:
        _write_coefficient(writer, coefficient, coding)


def _read_residual(reader: BitReader, coding: Coding) -> Residual:
    offset = reader.bits(coding.enhancement_bits)
    first, second, third = (_read_coefficient(reader, coding) for _ in range(3))
    return Residual(offset, (first, second, third))


def _read_coefficient(reader: BitReader, coding: Coding) -> Coefficient:
    whole = reader.code() if coding.is_fixed_point else 0
    return whole, reader.bits(coding.fraction_bits)


def _write_coefficient(writer: BitWriter, coefficient: Coefficient, coding: Coding) -> None:
    whole, fraction = coefficient
    if coding.is_fixed_point:
        writer.code(whole)
    writer.bits(fraction, coding.fraction_bits)
