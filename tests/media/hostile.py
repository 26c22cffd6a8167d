"""Builders of damaged, joined and misleading files."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from tests.media import clips
from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.film import BITEXACT

TS_PACKET_BYTES = 188
TS_CLOCK_WRAP_S = 2**33 / 90000  # MPEG-TS timestamps are 33 bits of a 90 kHz clock


def cut_off(path: Path, share: float) -> Path:
    """The first `share` of a file's bytes, beside it."""
    out = path.with_name(f"cut_off_{path.name}")
    data = path.read_bytes()
    out.write_bytes(data[: int(len(data) * share)])
    return out


def begins_between_key_frames(directory: Path) -> Path:
    """MPEG-TS as a receiver records it: it starts in the middle of a GOP."""
    whole = clips.simple(directory, "received.ts", frames=96)
    data = whole.read_bytes()
    out = directory / "midway.ts"
    start = len(data) // 5 // TS_PACKET_BYTES * TS_PACKET_BYTES
    out.write_bytes(data[start:])
    return out


def open_start(directory: Path, codec: str = "hevc") -> Path:
    """Matroska whose first packet is the key frame of an open GOP: the pictures shown before
    it refer to a GOP that is not there."""
    whole = clips.open_gop_hevc(directory) if codec == "hevc" else clips.open_gop(directory)
    out = directory / f"open_start_{codec}.mkv"
    copy_packets(whole, out, first_key=1)
    return out


def headless(directory: Path) -> Path:
    """Matroska that begins with packets no decoder can use: its first key frame is missing."""
    whole = clips.silent(directory, "with_head.mkv", frames=72)
    out = directory / "headless.mkv"
    copy_packets(whole, out, skip=3)
    return out


def copy_packets(source: Path, out: Path, *, skip: int = 0, first_key: int = 0) -> None:
    """Copy the video packets, leaving out the first `skip`, or those before a key frame."""
    with (
        av.open(f"file:{source}") as container,
        av.open(f"file:{out}", "w", options=BITEXACT) as target,
    ):
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        keys = -1
        for number, packet in enumerate(container.demux(stream)):
            if not packet.size:
                continue
            keys += packet.is_keyframe
            if number >= skip and keys >= first_key:
                packet.stream = copy
                target.mux(packet)


def joined_ts(directory: Path, *, first_s: str = "0") -> Path:
    """Two silent recordings of 2 s in one MPEG-TS, one after the other: the clock starts anew.

    The first begins at `first_s`. From 62 on libavformat takes the fall for an overflow.
    """
    first, second = directory / "first.ts", directory / "second.ts"
    ffmpeg(*pattern(48), *x264(), "-output_ts_offset", first_s, first)
    ffmpeg(*pattern(48), *x264(), second)
    out = directory / "joined.ts"
    out.write_bytes(first.read_bytes() + second.read_bytes())
    return out


def joined_ps(directory: Path) -> Path:
    """Three silent recordings of 1 s in one MPEG-PS, each with an earlier clock than the last."""
    out, part = directory / "joined.mpg", directory / "part.mpg"
    data = b""
    for start_s in ("20", "10", "0"):
        ffmpeg(*pattern(24), "-c:v", "mpeg2video", "-bf", "2", "-output_ts_offset", start_s, part)
        data += part.read_bytes()
    out.write_bytes(data)
    return out


def wrapped_ts(directory: Path) -> Path:
    """MPEG-TS of 4 s whose 33-bit clock wraps to zero after about 2 s."""
    out = directory / "wrapped.ts"
    offset = str(TS_CLOCK_WRAP_S - 3.4)
    ffmpeg(*pattern(96), *tone(4), *x264(), "-c:a", "aac", "-output_ts_offset", offset, out)
    return out


def equal_timestamps(directory: Path) -> Path:
    """FLV in which every fourth frame carries the timestamp of the one before it."""
    whole = clips.silent(directory, "even.flv", frames=48)
    out = directory / "equal.flv"
    with av.open(f"file:{whole}") as container, av.open(f"file:{out}", "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copy
                frame = round((packet.pts or 0) * 24 / 1000)
                packet.pts = round((frame - (frame % 4 == 3)) * 1000 / 24) + 83
                packet.time_base = Fraction(1, 1000)
                target.mux(packet)
    return out


def rare_timestamps(directory: Path) -> Path:
    """MPEG-PS with one timestamp a GOP, as on many discs; 3 s at 25 fps, MPEG-2, B-frames."""
    out = directory / "rare.mpg"
    stream = directory / "rare.m2v"
    coded = "-c:v mpeg2video -q:v 6 -bf 2 -g 12 -pix_fmt yuv420p -f mpeg2video"
    ffmpeg(*pattern(75, rate="25"), *coded.split(), stream)
    out.write_bytes(_program_stream(stream.read_bytes()))
    return out


def _program_stream(data: bytes) -> bytes:
    """Pack an MPEG-2 stream: one PES timestamp for each sequence header (ISO/IEC 13818-1)."""
    cuts = [i for i in range(len(data)) if data[i : i + 4] == b"\x00\x00\x01\xb3"] + [len(data)]
    out = bytearray()
    frames = 0
    for start, end in pairwise(cuts):
        group = data[start:end]
        picture = group.index(b"\x00\x00\x01\x00")
        place = int.from_bytes(group[picture + 4 : picture + 6], "big") >> 6  # in display order
        pts = 90000 + (frames + place) * 3600
        first = True
        out += _pack_header(max(0, pts - 45000))
        for at in range(0, len(group), 2000):
            out += _pes(group[at : at + 2000], pts if first else None)
            first = False
        frames += group.count(b"\x00\x00\x01\x00")
    return bytes(out + b"\x00\x00\x01\xb9")


def _pack_header(clock: int) -> bytes:
    bits = 0b01 << 46 | (clock >> 30 & 7) << 43 | 1 << 42 | (clock >> 15 & 0x7FFF) << 27
    bits |= 1 << 26 | (clock & 0x7FFF) << 11 | 1 << 10 | 0 << 1 | 1
    rate = (50000 << 2 | 3).to_bytes(3, "big")
    return b"\x00\x00\x01\xba" + bits.to_bytes(6, "big") + rate + b"\xf8"


def _pes(payload: bytes, pts: int | None) -> bytes:
    stamp = b""
    if pts is not None:
        bits = 0b0010 << 36 | (pts >> 30 & 7) << 33 | 1 << 32 | (pts >> 15 & 0x7FFF) << 17
        stamp = (bits | 1 << 16 | (pts & 0x7FFF) << 1 | 1).to_bytes(5, "big")
    header = bytes((0x80, 0x80 if stamp else 0, len(stamp))) + stamp
    size = (len(header) + len(payload)).to_bytes(2, "big")
    return b"\x00\x00\x01\xe0" + size + header + payload


def with_hole(path: Path, out: Path, *, share: float = 0.03) -> Path:
    """A copy in MP4, whose index still lists every frame, with zeros in the middle of the data."""
    ffmpeg("-i", path, "-map", "0:v", "-c", "copy", out)
    data = bytearray(out.read_bytes())
    size = int(len(data) * share)
    middle = len(data) // 2
    data[middle : middle + size] = bytes(size)
    out.write_bytes(data)
    return out
