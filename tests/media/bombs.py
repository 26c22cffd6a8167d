"""Builders of small files that claim to be, or become, very big."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tests.media.clips import ffmpeg, pattern, x264
from tests.media.referring import replaced


def png(path: Path, width: int, height: int, *, rows: int) -> Path:
    """A black picture; of a big one `rows` may be fewer than its header says."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + width * 3)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def huge_picture(directory: Path, side: int = 16_000) -> Path:
    """A Matroska of one PNG as its video: 0.8 GB when it is decoded."""
    picture = png(directory / "huge.png", side, side, rows=min(side, 4000))
    out = directory / "huge_picture.mkv"
    ffmpeg("-f", "png_pipe", "-i", picture, "-c", "copy", out)
    picture.unlink()
    return out


def huge_cover(directory: Path, side: int = 16_000) -> Path:
    """An ordinary Matroska with such a picture for its cover."""
    picture = png(directory / "cover.png", side, side, rows=64)
    out = directory / "huge_cover.mkv"
    tags = ("-metadata:s:t", "mimetype=image/png", "-metadata:s:t", "filename=cover.png")
    ffmpeg(*pattern(24), *x264(), "-attach", picture, *tags, out)
    picture.unlink()
    return out


def many_samples(directory: Path, samples: int = 80_000_000) -> Path:
    """An MP4 of some kilobytes, one fragment of which says that it holds so many frames of equal
    size and duration: the table of them takes 24 bytes each."""
    whole, out = directory / "whole.mp4", directory / "many_samples.mp4"
    ffmpeg(*pattern(24), *x264(bframes=0), "-movflags", "+frag_keyframe+empty_moov", whole)
    data = whole.read_bytes()
    whole.unlink()
    has_offset = 1
    run = struct.pack(">III", has_offset, samples, 0)
    out.write_bytes(replaced(data, ("moof", "traf", "trun"), run))
    return out


def many_streams(directory: Path, streams: int = 1_000_000) -> Path:
    """A Matroska that announces so many tracks."""
    whole, out = directory / "whole.mkv", directory / "many_streams.mkv"
    ffmpeg(*pattern(2, size="64x64"), *x264(), whole)
    data = whole.read_bytes()
    whole.unlink()
    track = b"\xd7\x81\x01\x73\xc5\x81\x01\x83\x81\x11\x86\x86S_TEXT"  # number, uid, type, codec
    track = b"\xae" + bytes((0x80 | len(track),)) + track
    head = data[: data.index(b"\x18\x53\x80\x67")]
    tracks = track * streams
    inside = b"\x16\x54\xae\x6b\x08" + len(tracks).to_bytes(7, "big") + tracks
    inside = inside.replace(b"\x6b\x08", b"\x6b\x01", 1)
    out.write_bytes(head + b"\x18\x53\x80\x67\x01" + len(inside).to_bytes(7, "big") + inside)
    return out
