"""Reads EBML, the form of Matroska files (RFC 8794), out of bytes that strangers wrote.

Every length is held against what is there, and nothing is read without limit: what makes no
sense raises MalformedError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

HEADER, SEGMENT = 0x1A45DFA3, 0x18538067  # a Matroska file is one of each
MOST_BYTES = 16 << 20  # of one element; the chapters and tracks of a film take some kilobytes
MOST_ELEMENTS = 10_000  # on one level


class MalformedError(Exception):
    """The bytes are no EBML, or more than is reasonable."""


def children(file: BinaryIO, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Identifier, place and length of each payload from `at` on, without reading them. An
    element of unknown length reaches to `end`."""
    for _ in range(MOST_ELEMENTS):
        if at >= end:
            return
        file.seek(at)
        head = file.read(12)  # an identifier takes at most 4 bytes, a length 8
        ident, begin = _identifier(head, 0)
        length, begin = _length(head, begin)
        at += begin
        yield ident, at, end - at if length is None else length
        at = end if length is None else at + length


def payload_at(file: BinaryIO, place: int, length: int) -> bytes:
    if length > MOST_BYTES:
        raise MalformedError
    file.seek(place)
    data = file.read(length)
    if len(data) < length:
        raise MalformedError
    return data


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifier and payload of one level."""
    at = 0
    for _ in range(MOST_ELEMENTS):
        if at >= len(data):
            return
        ident, at = _identifier(data, at)
        length, at = _length(data, at)
        if length is None or at + length > len(data):
            raise MalformedError
        yield ident, data[at : at + length]
        at += length
    raise MalformedError


def first(data: bytes, wanted: int) -> bytes:
    """The payload of the first element of a kind; empty if there is none."""
    return next((payload for ident, payload in elements(data) if ident == wanted), b"")


def number(payload: bytes) -> int:
    if len(payload) > 8:
        raise MalformedError
    return int.from_bytes(payload, "big")


def text(payload: bytes) -> str:
    """UTF-8, which a zero byte may end before its time."""
    return payload.split(b"\0")[0].decode("utf-8", "replace")


def _identifier(data: bytes, at: int) -> tuple[int, int]:
    """An identifier with its length marker, and where it ends."""
    if at >= len(data) or data[at] < 0x10:
        raise MalformedError
    end = at + 9 - data[at].bit_length()
    return int.from_bytes(data[at:end], "big"), end


def _length(data: bytes, at: int) -> tuple[int | None, int]:
    """A length without its marker, and where it ends; None: unknown, all its bits are set."""
    if at >= len(data) or not data[at]:
        raise MalformedError
    end = at + 9 - data[at].bit_length()
    if end > len(data):
        raise MalformedError
    every = (1 << 7 * (end - at)) - 1
    value = int.from_bytes(data[at:end], "big") & every
    return None if value == every else value, end
