"""Builders of files that name other files, as an attacker would have them opened.

Each takes the directory, the name of a file in it and a port of this machine, and returns a file
that makes an unguarded libav open that file or connect to that port.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.media.clips import ffmpeg, pattern, x264


@dataclass(frozen=True)
class Referring:
    """`unguarded` are options with which libav follows the reference; empty where it would not
    open or call anything, but listen itself."""

    name: str
    make: Callable[[str, int], bytes]
    unguarded: Sequence[str]


def _playlist(secret: str, port: int) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n".encode()


def _playlist_of_a_network(secret: str, port: int) -> bytes:
    return _playlist(f"http://127.0.0.1:{port}/a.ts", port)


def _disguised(make: Callable[[str, int], bytes]) -> Callable[[str, int], bytes]:
    """With a byte in a comment that keeps it from looking like text."""

    def made(secret: str, port: int) -> bytes:
        first, _, rest = make(secret, port).partition(b"\n")
        return first + b"\n#\x01\xff\n" + rest

    return made


def _concat(secret: str, port: int) -> bytes:
    return f"ffconcat version 1.0\nfile {secret}\n".encode()


def _dash(secret: str, port: int) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{secret}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()


def _session(secret: str, port: int) -> bytes:
    return (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    ).encode()


_ANYTHING = ("-protocol_whitelist", "file,http,tcp,udp,rtp,crypto,data")

FILES = (
    Referring("playlist.mkv", _playlist, ("-f", "hls", *_ANYTHING)),
    Referring("playlist.mp4", _disguised(_playlist), ("-f", "hls", *_ANYTHING)),
    Referring("network.ts", _playlist_of_a_network, ("-f", "hls", *_ANYTHING)),
    Referring("network.mkv", _disguised(_playlist_of_a_network), ("-f", "hls", *_ANYTHING)),
    Referring("script.mkv", _concat, ("-f", "concat", "-safe", "0", *_ANYTHING)),
    Referring("script.mp4", _disguised(_concat), ("-f", "concat", "-safe", "0", *_ANYTHING)),
    Referring("manifest.mp4", _dash, ("-f", "dash", *_ANYTHING)),
    Referring("session.mkv", _session, ()),
)


def refers_to_data(directory: Path, name: str) -> Path:
    """A MOV whose picture lies, as it says, in the file `name` beside it (a 'dref' of type
    'alis', QuickTime File Format Specification, Data Reference Atoms)."""
    whole, out = directory / "whole.mov", directory / "elsewhere.mov"
    ffmpeg(*pattern(24), *x264(), whole)
    data = whole.read_bytes()
    whole.unlink()
    out.write_bytes(replaced(data, ("moov", "trak", "mdia", "minf", "dinf", "dref"), _alias(name)))
    return out


def _alias(name: str) -> bytes:
    path = f"disk:{name}".encode()
    path += b"\0" * (len(path) % 2)
    record = struct.pack(">10xB27s12xB63s16xHH16x", 4, b"disk", len(name), name.encode(), 1, 1)
    record += struct.pack(">HH", 2, len(path)) + path + struct.pack(">HH", 0xFFFF, 0)
    entry = struct.pack(">I4sI", len(record) + 12, b"alis", 0) + record
    return struct.pack(">II", 0, 1) + entry


def replaced(data: bytes, names: Sequence[str], content: bytes) -> bytes:
    """The boxes `data`, with other content in the first one at the end of the path `names`."""
    out, place, done = b"", 0, False
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        inside = data[place + 8 : place + size]
        if kind == names[0].encode() and not done:
            inside = replaced(inside, names[1:], content) if names[1:] else content
            done = True
        out += struct.pack(">I4s", len(inside) + 8, kind) + inside
        place += size
    return out


def linked(directory: Path, name: str) -> Path:
    """A Matroska that says its next part is the file `name` (RFC 9559, section 17: linked
    segments), in place of the room that ffmpeg leaves in front of the tracks."""
    out = directory / "linked.mkv"
    ffmpeg(*pattern(24), *x264(), out)
    data = out.read_bytes()
    link = b"\x3e\x83\xbb" + bytes((0x80 | len(name),)) + name.encode()  # NextFilename
    link += b"\x3e\xb9\x23\x90" + b"\x01" * 16  # NextUUID
    link = b"\x15\x49\xa9\x66" + bytes((0x80 | len(link),)) + link  # a second Info
    place = data.index(b"\xec", 40)  # Void
    room = data[place + 1] & 0x7F if data[place + 1] & 0x80 else None
    header = 2
    if room is None:
        assert data[place + 1] == 0x01
        room, header = int.from_bytes(data[place + 2 : place + 9], "big"), 9
    left = header + room - len(link)
    assert left >= 2
    void = b"\xec" + bytes((0x80 | left - 2,)) + bytes(left - 2)
    out.write_bytes(data[:place] + link + void + data[place + header + room :])
    return out
