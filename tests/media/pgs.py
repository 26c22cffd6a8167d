"""Writes Blu-ray subtitles (PGS), for which libavcodec has no encoder.

Segments as the patent application US 2009/0185789 A1 and libavcodec's pgssubdec.c have them: a
composition that shows one picture at a time, and an empty one that takes it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

CLOCK_HZ = 90_000
_PALETTE, _OBJECT, _COMPOSITION, _WINDOW, _END = 0x14, 0x15, 0x16, 0x17, 0x80
_EPOCH_START, _NORMAL = 0x80, 0x00


def pgs(
    out: Path,
    cues_s: Sequence[tuple[float, float]],
    *,
    frame: tuple[int, int] = (96, 64),
    box: tuple[int, int, int, int] = (40, 10, 28, 50),
) -> Path:
    """A .sup file: a white box (width, height, x, y) from `start` to `end` of each cue."""
    data = b""
    for number, (start_s, end_s) in enumerate(cues_s):
        data += _shown(start_s, 2 * number, frame, box)
        data += _cleared(end_s, 2 * number + 1, frame, box)
    out.write_bytes(data)
    return out


def _shown(
    at_s: float, number: int, frame: tuple[int, int], box: tuple[int, int, int, int]
) -> bytes:
    width, height, x, y = box
    placed = b"\x00\x00" + b"\x00" + b"\x00" + _u16(x) + _u16(y)  # object, window, no crop
    picture = _run_lengths(width) * height
    size = (len(picture) + 4).to_bytes(3, "big") + _u16(width) + _u16(height)
    white = bytes((1, 235, 128, 128, 255))  # entry, Y, Cr, Cb, opaque
    return (
        _segment(at_s, _COMPOSITION, _composition(frame, number, _EPOCH_START, 1) + placed)
        + _segment(at_s, _WINDOW, _window(box))
        + _segment(at_s, _PALETTE, b"\x00\x00" + white)
        + _segment(at_s, _OBJECT, _u16(0) + b"\x00" + b"\xc0" + size + picture)  # first and last
        + _segment(at_s, _END, b"")
    )


def _cleared(
    at_s: float, number: int, frame: tuple[int, int], box: tuple[int, int, int, int]
) -> bytes:
    return (
        _segment(at_s, _COMPOSITION, _composition(frame, number, _NORMAL, 0))
        + _segment(at_s, _WINDOW, _window(box))
        + _segment(at_s, _END, b"")
    )


def _composition(frame: tuple[int, int], number: int, state: int, objects: int) -> bytes:
    frame_rate = b"\x10"  # always so
    palette = b"\x00\x00"  # no update; palette 0
    sizes = _u16(frame[0]) + _u16(frame[1])
    return sizes + frame_rate + _u16(number) + bytes([state]) + palette + bytes([objects])


def _window(box: tuple[int, int, int, int]) -> bytes:
    width, height, x, y = box
    return b"\x01\x00" + _u16(x) + _u16(y) + _u16(width) + _u16(height)


def _run_lengths(width: int) -> bytes:
    """One line of colour 1, at most 63 pixels; then the end of the line."""
    return bytes((0x00, 0x80 | width, 0x01, 0x00, 0x00))


def _segment(at_s: float, kind: int, payload: bytes) -> bytes:
    clock = round(at_s * CLOCK_HZ).to_bytes(4, "big") + bytes(4)
    return b"PG" + clock + bytes([kind]) + _u16(len(payload)) + payload


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")
