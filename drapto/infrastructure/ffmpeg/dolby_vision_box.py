"""Writes a Dolby Vision record into the sample entry of our own MP4 video track.

Neither PyAV nor an option of ffmpeg can set it on a stream that is copied; from the track's box it
goes on into Matroska, WebM and MP4 by itself. 'Dolby Vision Streams Within the ISO Base Media
File Format' 2.2, 3.2: the record is 24 bytes, in a box 'dvvC' for profiles above 7.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from drapto.core.bits import BitWriter
from drapto.core.media import DolbyVision

_PATH_TO_ENTRY = (b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01")
_STSD_HEAD = 16  # box header, version and flags, number of entries
_HEAD = 8
_RESERVED_BITS = 28 + 4 * 32


def add_record(path: Path, record: DolbyVision) -> None:
    """Add the box to the only track of `path`, whose 'moov' stands behind the media data.

    Errors: ValueError if that is not so; OSError.
    """
    with path.open("r+b") as file:
        at = _last_box(file, b"moov")
        file.seek(at)
        movie = file.read()
        file.seek(at)
        file.write(_with_box(movie, record_box(record)))


def record_box(record: DolbyVision) -> bytes:
    """The whole box: version 1.0, an RPU in every frame, no enhancement layer."""
    writer = BitWriter()
    writer.bits(1, 8)
    writer.bits(0, 8)
    writer.bits(record.profile, 7)
    writer.bits(record.level or 0, 6)
    writer.bits(0b101, 3)  # RPU, no enhancement layer, base layer
    writer.bits(record.compatibility_id or 0, 4)
    writer.bits(0, _RESERVED_BITS)
    data = writer.data()
    return (_HEAD + len(data)).to_bytes(4, "big") + b"dvvC" + data


def _last_box(file: BinaryIO, name: bytes) -> int:
    """Where the last box of the file begins, which must be this one."""
    at, kind = 0, b""
    while head := file.read(16):
        start, size, kind = at, int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < _HEAD:
            break
        at += size
        file.seek(at)
        if kind == name and not file.read(1):
            return start
        file.seek(at)
    raise ValueError(f"the track file ends with {kind!r}, not with {name!r}")


def _with_box(movie: bytes, box: bytes) -> bytes:
    """`movie` is the whole 'moov' box; every box around the new one grows with it."""
    grown = bytearray(movie)
    at, end = 0, len(movie)
    for name in (b"moov", *_PATH_TO_ENTRY):
        while movie[at + 4 : at + 8] != name:
            at += int.from_bytes(movie[at : at + 4], "big") or end
            if at >= end:
                raise ValueError(f"the track file has no {name!r}")
        size = int.from_bytes(movie[at : at + 4], "big")
        grown[at : at + 4] = (size + len(box)).to_bytes(4, "big")
        end = at + size
        at += _STSD_HEAD if name == b"stsd" else _HEAD
    return bytes(grown[:end]) + box + bytes(grown[end:])
