"""AV1 streams taken apart into their units (OBUs), and put together again with metadata.

AV1 Bitstream & Decoding Process Specification: 5.3 (header and size), 4.10.5 (leb128), 5.8
(metadata), 5.9.2 (the first bits of a frame header). Enough is read to tell hidden frames from
the one that a temporal unit shows; a packet of a container is one temporal unit.

A T.35 message stands right before the shown frame, behind hidden ones: a decoder gives it to the
next frame it begins (dav1d does), and the HDR10+ AV1 Metadata Handling Specification (2.2) wants
one before every frame that is shown, `show_existing_frame` included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drapto.core.bits import BitsError

SEQUENCE_HEADER, _FRAME_HEADER, _METADATA, _FRAME = 1, 3, 5, 6
_ITUT_T35 = 4  # metadata_type
_TRAILING = 0x80  # trailing_bits(): a one, then zeros
_LEB128_BYTES = 8


@dataclass(frozen=True)
class Obu:
    """`whole` is the unit as it stands in the stream, `payload` what follows header and size."""

    kind: int
    whole: bytes
    payload: bytes


def split(unit: bytes) -> list[Obu]:
    """The OBUs of a temporal unit. Errors: BitsError."""
    found = []
    at = 0
    while at < len(unit):
        obu = _read(unit, at)
        found.append(obu)
        at += len(obu.whole)
    return found


def metadata_of(unit: bytes) -> tuple[bytes, ...]:
    """The T.35 messages, country code first, that belong to the shown frame: those between it and
    the frame before it. Errors: BitsError."""
    obus = split(unit)
    shown = _shown_at(obus)
    messages: list[bytes] = []
    for obu in obus[:shown]:
        if obu.kind in (_FRAME, _FRAME_HEADER):
            messages.clear()  # what stood before a hidden frame is that frame's
        elif (message := _message(obu)) is not None:
            messages.append(message)
    return tuple(messages)


def with_metadata(unit: bytes, messages: Sequence[bytes], heads: tuple[bytes, ...] = ()) -> bytes:
    """The temporal unit with these T.35 messages for its shown frame.

    Messages that begin with one of `heads` are taken out wherever they stand: they are replaced.
    Errors: BitsError if the unit cannot be read or shows no frame.
    """
    obus = [obu for obu in split(unit) if not (heads and (_message(obu) or b"").startswith(heads))]
    shown = _shown_at(obus)
    if shown == len(obus):
        raise BitsError("a temporal unit that shows no frame")
    parts = [obu.whole for obu in obus]
    return b"".join([*parts[:shown], *map(metadata_obu, messages), *parts[shown:]])


def metadata_obu(message: bytes) -> bytes:
    """An OBU that carries a T.35 message."""
    payload = bytes((_ITUT_T35,)) + message + bytes((_TRAILING,))
    return bytes((_METADATA << 3 | 0b10,)) + _leb128(len(payload)) + payload


def has_film_grain(header: Obu) -> bool:
    """film_grain_params_present of a sequence header: its last bit before trailing_bits() (5.5.1).

    Errors: BitsError if it is empty.
    """
    bits = int.from_bytes(header.payload, "big")
    if not bits:
        raise BitsError("a sequence header without content")
    end = (bits & -bits).bit_length()  # of the one that trailing_bits() begins with
    return bool(bits >> end & 1)


def _message(obu: Obu) -> bytes | None:
    if obu.kind != _METADATA or obu.payload[:1] != bytes((_ITUT_T35,)):
        return None
    text = obu.payload[1:].rstrip(b"\x00")
    return text[:-1] if text.endswith(bytes((_TRAILING,))) else None


def _shown_at(obus: Sequence[Obu]) -> int:
    """Where the shown frame begins; the number of OBUs if there is none."""
    for place, obu in enumerate(obus):
        if obu.kind == SEQUENCE_HEADER and obu.payload and obu.payload[0] & 0x08:
            return next(  # reduced_still_picture_header: the only frame is shown
                (n for n, o in enumerate(obus) if o.kind in (_FRAME, _FRAME_HEADER)), len(obus)
            )
        if obu.kind in (_FRAME, _FRAME_HEADER) and obu.payload and _is_shown(obu.payload[0]):
            return place
    return len(obus)


def _is_shown(first: int) -> bool:
    """show_existing_frame (1), or else frame_type (2) and show_frame (1)."""
    return bool(first & 0x80 or first & 0x10)


def _read(unit: bytes, at: int) -> Obu:
    header = unit[at]
    if header & 0x80:
        raise BitsError("an OBU with its forbidden bit set")
    start = at + 1 + (header >> 2 & 1)
    end = len(unit)
    if header & 0b10:
        size, start = _read_leb128(unit, start)
        end = start + size
    if end > len(unit) or start > end:
        raise BitsError("an OBU that is longer than its temporal unit")
    return Obu(header >> 3 & 15, unit[at:end], unit[start:end])


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """(value, where what follows begins)"""
    value = 0
    for place in range(_LEB128_BYTES):
        if at + place >= len(data):
            break
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, at + place + 1
    raise BitsError("a size that does not end")


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
