"""Gives the tracks of a Matroska file language tags of RFC 5646, which libavformat cannot write.

It writes whatever it is told is a track's language, so it is told something as long as the two
elements that belong there, the old code and the tag. They take that place in the finished file,
of which nothing has to move.

    language_to_write("por", "pt-BR")                 # what libavformat is told
    write_language_tags(path, [("por", "pt-BR")])     # once it is done

Tests: tests/infrastructure/ffmpeg/test_language_tags.py.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from drapto.infrastructure.ffmpeg.ebml import MalformedError, payload_at
from drapto.infrastructure.ffmpeg.matroska import LANGUAGE, LANGUAGE_BCP47, place_of_tracks

_HEADER = "...."  # the bytes of an identifier and a length
_CRC_32 = b"\xbf\x84"  # the element that may stand before all others, and its length
_CRC_BYTES = 4


def language_to_write(language: str | None, tag: str) -> str:
    """What libavformat is to write for a track; `tag` has fewer than 100 characters."""
    return f"{language or 'und'}{_HEADER}{tag}"


def write_language_tags(path: Path, languages: Iterable[tuple[str | None, str]]) -> None:
    """Put both elements where `language_to_write` made room; `languages`: codes and tags.

    If the room is not found the file stays as it is, for the validation to see. Errors: OSError.
    """
    wanted = list(languages)
    if not wanted:
        return
    with path.open("r+b") as file:
        try:
            place, length = place_of_tracks(file, os.fstat(file.fileno()).st_size)
            tracks = payload_at(file, place, length)
        except MalformedError:
            return
        for language, tag in wanted:
            room = _element(LANGUAGE, language_to_write(language, tag))
            both = _element(LANGUAGE, language or "und") + _element(LANGUAGE_BCP47, tag)
            tracks = tracks.replace(room, both)
        file.seek(place)
        file.write(_checked(tracks))


def _element(ident: int, value: str) -> bytes:
    """An element of fewer than 127 bytes, so that its length takes one."""
    payload = value.encode()
    return ident.to_bytes(3, "big") + bytes([0x80 | len(payload)]) + payload


def _checked(payload: bytes) -> bytes:
    """With its checksum renewed, if it begins with one (RFC 8794, section 11.3.1)."""
    if not payload.startswith(_CRC_32):
        return payload
    rest = payload[len(_CRC_32) + _CRC_BYTES :]
    return _CRC_32 + zlib.crc32(rest).to_bytes(_CRC_BYTES, "little") + rest
