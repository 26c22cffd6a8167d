"""HEVC whose every frame has its own HDR10+ message and Dolby Vision RPU, written by our own
writers and read by libavcodec: what a decoder makes of them is the proof that they are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import av

from drapto.core import hdr10_plus as h10
from drapto.core.bits import BitWriter
from drapto.core.dolby_vision.display import Block, Display
from drapto.core.dolby_vision.mapping import Mapping, Piece, Residual
from drapto.core.dolby_vision.rpu import Depths, Header, Rpu, write
from tests.media.clips import ffmpeg, hdr10, hlg, pattern, tagged, x265

_PREFIX_SEI, _RPU, _ENHANCEMENT = 39, 62, 63  # NAL unit types; the last two are unspecified
_T35_MESSAGE = 4

PerFrame = Callable[[int], bytes | None]
"""From a frame's number, in the order they are shown, to what it carries."""


def nothing(_frame: int) -> bytes | None:
    return None


def message(frame: int, windows: tuple[h10.Window, ...] = ()) -> bytes:
    """An HDR10+ message; those of different frames differ."""
    statistics = h10.Statistics(
        max_rgb=(1000 + frame, 2000, 3000),
        average=700 + frame,
        percentiles=((1, 3), (50, 98 + frame), (99, 11810)),
        bright_fraction=frame % 1000,
    )
    curve = h10.Curve((500, 600), (100, 200 + frame % 500, 900), 12)
    return h10.write(
        h10.Hdr10Plus(
            version=1,
            windows=windows,
            target_luminance=400,
            target_peaks=None,
            statistics=(statistics,) * (1 + len(windows)),
            mastering_peaks=None,
            curves=(curve,) * (1 + len(windows)),
        )
    )


def window(left: int, top: int, right: int, bottom: int) -> h10.Window:
    center = (left + right) // 2, (top + bottom) // 2
    return h10.Window(left, top, right, bottom, *center, 30, 10, 20, 15, 1)


def active_area(left: int, right: int, top: int, bottom: int) -> Block:
    """Level 5: how far the picture is from each edge."""
    writer = BitWriter()
    for offset in (left, right, top, bottom):
        writer.bits(offset, 13)
    return Block(5, writer.data())


_NO_AREA = active_area(0, 0, 0, 0)
_STRAIGHT = Piece(0, 1, ((0, 0), (1, 0)))
_DEPTHS = Depths(2, 2, 4, False, 0, False, True)
_HEADER = Header(18, 1, 0, False, 0, 23, 1, False, _DEPTHS)
_BASE = Mapping(0, 0, 0, ((0, 1023),) * 3, None, (0, 0), ((_STRAIGHT,),) * 3)
_COLOUR_81 = (
    *(9574, 0, 13802, 9574, 63996, 60188, 9574, 17610, 0, 16777216, 134217728, 134217728),
    *(7222, 8771, 390, 2654, 12430, 1300, 0, 422, 15962),
    *(65535, 0, 0, 0, 12, 0, 0, 1, 7, 3079, 42),
)


def rpu_81(frame: int, area: Block | None = _NO_AREA) -> Rpu:
    """Profile 8.1, with levels 1, 5 and 6, and a list of 4.0 blocks."""
    luminances = BitWriter()
    for value in (frame % 4096, 3079, 1000 + frame % 1000):
        luminances.bits(value, 12)
    luminances.bits(0, 4)
    levels = [Block(1, luminances.data()), Block(6, bytes.fromhex("03e80001039800c8"))]
    if area is not None:
        levels.insert(1, area)
    newer = (Block(3, bytes.fromhex("8008008000")), Block(254, b"\0\2"))
    display = Display(0, 0, int(frame % 24 == 0), _COLOUR_81, tuple(levels), newer)
    return Rpu(_HEADER, 0, _BASE, display)


def rpu_84(frame: int) -> Rpu:
    """Profile 8.4: curves in several pieces, chroma by regression, as telephones write them."""
    luma = Piece(0, 2, ((0, 100 + frame), (2, 5), (1, 8388607)))
    chroma = Piece(1, 3, tuple((n % 3, 77 * n + frame) for n in range(22)))
    mapping = replace(
        _BASE,
        pivots=((63, 69, 230, 653), (0, 1023), (0, 1023)),
        pieces=((luma,) * 3, (chroma,), (chroma,)),
    )
    return replace(rpu_81(frame), mapping=mapping)


def rpu_5(frame: int) -> Rpu:
    return replace(rpu_81(frame), header=replace(_HEADER, profile=0, full_range=True))


def rpu_7(frame: int, *, full: bool = True) -> Rpu:
    """Profile 7 with a full enhancement layer, or a minimal one."""
    depths = replace(_DEPTHS, enhancement_resampling=True, no_residual=False)
    residual = Residual(512, ((1, 3), (0, 9000), (0, 17))) if full else _NO_RESIDUAL
    bent = Piece(0, 2, ((0, frame), (1, 5), (0, 77)))
    mapping = replace(
        _BASE,
        residual_pivots=(0, 1023),
        pivots=((0, 512, 511), (0, 1023), (0, 1023)),
        pieces=((bent, bent), (_STRAIGHT,), (_STRAIGHT,)),
        residuals=(residual,) * 3,
    )
    shown = rpu_81(frame)
    assert shown.display is not None and shown.display.colour is not None
    colour = (*range(1, 22), *shown.display.colour[21:])
    display = replace(shown.display, colour=colour)
    return Rpu(replace(_HEADER, depths=depths), 0, mapping, display)


_NO_RESIDUAL = Residual(0, ((1, 0), (0, 0), (0, 0)))


def each(make: Callable[[int], Rpu]) -> PerFrame:
    return lambda frame: write(make(frame))


def source(
    directory: Path,
    name: str = "dynamic.mkv",
    *,
    frames: int = 48,
    hdr10_plus: PerFrame = nothing,
    rpu: PerFrame = nothing,
    base: str = "hdr10",
    video_filter: str = "null",
    enhancement: bool = False,
) -> Path:
    """A clip with B-frames and a key frame a second, its frames marked as told.

    The extension of `name` says which container; `base` is 'hdr10' or 'hlg'. With `enhancement`
    every picture is followed by units of a second layer.
    """
    plain = directory / f"plain_{name}.mkv"
    if video_filter != "null":
        options = (*x265(), "-pix_fmt", "yuv420p10le")
        chain = f"{video_filter},{tagged('smpte2084')}"
        ffmpeg(*pattern(frames), "-vf", chain, *options, plain)
    elif base == "hlg":
        hlg(directory, frames=frames).rename(plain)
    else:
        hdr10(directory, plain.name, frames=frames)
    marked = directory / f"marked_{name}.mkv"
    _mark(plain, marked, hdr10_plus, rpu, enhancement)
    plain.unlink()
    out = directory / name
    ffmpeg("-i", marked, "-c", "copy", out)
    marked.unlink()
    return out


def _mark(plain: Path, out: Path, hdr10_plus: PerFrame, rpu: PerFrame, enhancement: bool) -> None:
    with av.open(f"file:{plain}") as container, av.open(f"file:{out}", "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        packets = [packet for packet in container.demux(stream) if packet.size]
        order = {pts: frame for frame, pts in enumerate(sorted(p.pts or 0 for p in packets))}
        for packet in packets:
            frame = order[packet.pts or 0]
            data = bytes(packet)
            if (text := hdr10_plus(frame)) is not None:
                data = _before_slices(data, nal(_PREFIX_SEI, sei_payload(text)))
            if enhancement:
                data += _sized(nal(_ENHANCEMENT, b"\x26\x01 a second layer"))
            if (unit := rpu(frame)) is not None:
                data += _sized(nal(_RPU, b"\x19" + unit))
            marked = cast("Any", av.Packet(data))
            marked.stream, marked.time_base = copy, packet.time_base
            marked.pts, marked.dts, marked.duration = packet.pts, packet.dts, packet.duration
            marked.is_keyframe = packet.is_keyframe
            target.mux(marked)


def sei_payload(text: bytes) -> bytes:
    """One message: type, size in steps of 255, and the stop bit behind."""
    size = bytes([255] * (len(text) // 255) + [len(text) % 255])
    return bytes((_T35_MESSAGE,)) + size + text + b"\x80"


def nal(kind: int, payload: bytes) -> bytes:
    """A NAL unit with emulation prevention (ITU-T H.265, 7.3.1.1)."""
    escaped = bytearray()
    zeros = 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes((kind << 1, 1)) + bytes(escaped)


def _sized(unit: bytes) -> bytes:
    return len(unit).to_bytes(4, "big") + unit


def _before_slices(packet: bytes, unit: bytes) -> bytes:
    at = 0
    while packet[at + 4] >> 1 & 63 >= 32:
        at += 4 + int.from_bytes(packet[at : at + 4], "big")
    return packet[:at] + _sized(unit) + packet[at:]


def side_data(path: Path) -> list[dict[str, bytes]]:
    """What a decoder exports for every frame, in the order they are shown: the raw structures of
    libavutil, 'DYNAMIC_HDR_PLUS' and 'DOVI_METADATA'."""
    found = []
    with av.open(f"file:{path}") as container:
        for frame in container.decode(video=0):
            entries = cast("Any", frame.side_data)
            data = {entry.type.name: bytes(entry) for entry in entries}
            kinds = ("DYNAMIC_HDR_PLUS", "DOVI_METADATA")
            found.append({kind: data[kind] for kind in kinds if kind in data})
    return found
