"""Dynamic HDR metadata written bit by bit: the encoder at hand cannot add it."""

from __future__ import annotations

from pathlib import Path

import av

from tests.media.clips import ffmpeg, hdr10

_PREFIX_SEI = 39  # HEVC NAL unit type (ITU-T H.265, table 7-1)
_SLICES = range(32)


def hdr10_plus(directory: Path) -> Path:
    """As `hdr10`, with an HDR10+ message (SMPTE ST 2094-40, application 4) in every picture."""
    out = directory / "hdr10_plus.mkv"
    plain = hdr10(directory, "hdr10_plain.mkv")
    unit = _sei(_hdr10_plus_message())
    with av.open(f"file:{plain}") as container, av.open(f"file:{out}", "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        for packet in container.demux(stream):
            if packet.size:
                marked = av.Packet(_with_unit(bytes(packet), unit))
                marked.stream, marked.time_base = copy, packet.time_base
                marked.pts, marked.dts, marked.duration = packet.pts, packet.dts, packet.duration
                marked.is_keyframe = packet.is_keyframe
                target.mux(marked)
    return out


def _hdr10_plus_message() -> bytes:
    """An ITU-T T.35 message: country 0xB5, provider 0x003C, oriented code 1, application 4."""
    bits = f"{1:02b}{400:027b}{0:01b}"  # one window, 400 cd/m², no actual peak luminance
    for value in (11000, 12000, 13000, 9000):  # maxscl of R, G, B; average of the maxima
        bits += f"{value:017b}"
    bits += f"{1:04b}{50:07b}{8000:017b}{10:010b}"  # one percentile; bright pixels
    bits += "0" + "0" + "0"  # no mastering peak, tone mapping or saturation
    bits += "0" * (-len(bits) % 8)
    return b"\xb5\x00\x3c\x00\x01\x04\x01" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _sei(message: bytes) -> bytes:
    payload = bytes((4, len(message))) + message + b"\x80"  # type 4: user data by T.35
    escaped = bytearray()
    zeros = 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes((_PREFIX_SEI << 1, 1)) + bytes(escaped)


def _with_unit(packet: bytes, unit: bytes) -> bytes:
    """Insert a NAL unit before the first slice; units have 4-byte lengths before them."""
    at = 0
    while packet[at + 4] >> 1 & 63 not in _SLICES:
        at += 4 + int.from_bytes(packet[at : at + 4], "big")
    return packet[:at] + len(unit).to_bytes(4, "big") + unit + packet[at:]


def dolby_vision(directory: Path) -> Path:
    """As `hdr10`, in MP4, with a Dolby Vision record (profile 8.1, level 6) but no RPU.

    It is the 'dvvC' box of 'Dolby Vision Streams Within the ISO Base Media File Format' 2.0,
    section 3.2.
    """
    out = directory / "dolby_vision.mp4"
    plain = hdr10(directory, "hdr10_plain.mkv")
    ffmpeg("-i", plain, "-c", "copy", "-tag:v", "hvc1", out)
    profile, level, rpu, enhancement, base, compatibility = 8, 6, 1, 0, 1, 1
    bits = f"{profile:07b}{level:06b}{rpu}{enhancement}{base}{compatibility:04b}{0:028b}"
    record = b"\x01\x00" + int(bits, 2).to_bytes(6, "big") + bytes(16)
    box = (8 + len(record)).to_bytes(4, "big") + b"dvvC" + record
    out.write_bytes(_with_box(out.read_bytes(), box))
    return out


def _with_box(movie: bytes, box: bytes) -> bytes:
    """Add `box` to the sample entry of the first track; 'moov' comes after the media data."""
    grown = bytearray(movie)
    at, end = 0, len(movie)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1"):
        while movie[at + 4 : at + 8] != name:
            at += int.from_bytes(movie[at : at + 4], "big")
            assert at < end, name
        size = int.from_bytes(movie[at : at + 4], "big")
        grown[at : at + 4] = (size + len(box)).to_bytes(4, "big")
        end = at + size
        at += 16 if name == b"stsd" else 8
    return bytes(grown[:end]) + box + bytes(grown[end:])
