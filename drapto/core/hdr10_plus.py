"""HDR10+ metadata of one frame: SMPTE ST 2094-40, application 4, as a T.35 message.

The syntax is that of CTA-861, annex S. Window 0 is the whole picture and is not written; further
windows are rectangles with ellipses in them, in pixels of the coded picture, so a crop moves
them. `parse` keeps every bit: `write(parse(message)) == message`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drapto.core.bits import BitReader, BitsError, BitWriter
from drapto.core.crop_border import CropBorder
from drapto.core.t35 import HDR10_PLUS_HEAD, is_hdr10_plus

_GRID_CELL_BITS = 4


@dataclass(frozen=True)
class Window:
    """A processing window but the first. Corners are inclusive; the ellipse's numbers are
    half axes in pixels and a turn in degrees."""

    left: int
    top: int
    right: int
    bottom: int
    center_x: int
    center_y: int
    rotation: int
    inner_major: int
    outer_major: int
    outer_minor: int
    overlap: int


_WINDOW_BITS = (16, 16, 16, 16, 16, 16, 8, 16, 16, 16, 1)


@dataclass(frozen=True)
class Grid:
    """Actual peak luminances of a display: rows of values in 1/15 of its maximum."""

    rows: int
    columns: int
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Statistics:
    """What is in one window. Luminances in 1/100000 of 10000 cd/m²."""

    max_rgb: tuple[int, int, int]
    average: int
    percentiles: tuple[tuple[int, int], ...]  # (percentage, luminance)
    bright_fraction: int  # 1/1000 of the pixels


@dataclass(frozen=True)
class Curve:
    """How one window is to be mapped. `knee` is x, y in 1/4095, `anchors` in 1/1023."""

    knee: tuple[int, int] | None
    anchors: tuple[int, ...]
    saturation: int | None


@dataclass(frozen=True)
class Hdr10Plus:
    """`statistics` and `curves` have one entry for each window, the whole picture first. `rest`
    are the bits behind, as (value, count)."""

    version: int
    windows: tuple[Window, ...]
    target_luminance: int
    target_peaks: Grid | None
    statistics: tuple[Statistics, ...]
    mastering_peaks: Grid | None
    curves: tuple[Curve, ...]
    rest: tuple[int, int] = (0, 0)


def parse(message: bytes) -> Hdr10Plus:
    """Errors: BitsError."""
    if not is_hdr10_plus(message):
        raise BitsError("not an HDR10+ message")
    reader = BitReader(message[len(HDR10_PLUS_HEAD) :])
    version = reader.bits(8)
    count = reader.bits(2)
    if not count:
        raise BitsError("no processing window")
    windows = tuple(Window(*map(reader.bits, _WINDOW_BITS)) for _ in range(count - 1))
    target_luminance = reader.bits(27)
    target_peaks = _read_grid(reader)
    statistics = tuple(_read_statistics(reader) for _ in range(count))
    mastering_peaks = _read_grid(reader)
    curves = tuple(_read_curve(reader) for _ in range(count))
    left = reader.left
    return Hdr10Plus(
        version=version,
        windows=windows,
        target_luminance=target_luminance,
        target_peaks=target_peaks,
        statistics=statistics,
        mastering_peaks=mastering_peaks,
        curves=curves,
        rest=(reader.bits(left), left),
    )


def write(metadata: Hdr10Plus) -> bytes:
    """The message. Errors: BitsError if a value does not fit into its place."""
    writer = BitWriter()
    writer.octets(HDR10_PLUS_HEAD)
    writer.bits(metadata.version, 8)
    writer.bits(len(metadata.windows) + 1, 2)
    for window in metadata.windows:
        values = (getattr(window, name) for name in Window.__dataclass_fields__)
        for value, width in zip(values, _WINDOW_BITS, strict=True):
            writer.bits(value, width)
    writer.bits(metadata.target_luminance, 27)
    _write_grid(writer, metadata.target_peaks)
    for statistics in metadata.statistics:
        _write_statistics(writer, statistics)
    _write_grid(writer, metadata.mastering_peaks)
    for curve in metadata.curves:
        _write_curve(writer, curve)
    writer.bits(*metadata.rest)
    return writer.data()


def cropped(metadata: Hdr10Plus, border: CropBorder) -> Hdr10Plus:
    """The same for a picture that has lost `border`. Windows are moved and cut at the edges; one
    that lay in the border alone goes, with what was said about it."""
    moved = [_moved(window, border) for window in metadata.windows]
    kept = [0, *(number for number, window in enumerate(moved, 1) if window is not None)]
    if len(kept) > len(moved):
        windows = tuple(window for window in moved if window is not None)
        return replace(metadata, windows=windows)
    value, count = metadata.rest
    return replace(
        metadata,
        windows=tuple(window for window in moved if window is not None),
        statistics=tuple(metadata.statistics[number] for number in kept),
        curves=tuple(metadata.curves[number] for number in kept),
        rest=(value, count) if value else (0, 0),  # zeros only fill up the last byte
    )


def _moved(window: Window, border: CropBorder) -> Window | None:
    last_x, last_y = border.width - 1, border.height - 1
    left, right = window.left - border.left, window.right - border.left
    top, bottom = window.top - border.top, window.bottom - border.top
    if right < 0 or bottom < 0 or left > last_x or top > last_y:
        return None
    return replace(
        window,
        left=max(left, 0),
        top=max(top, 0),
        right=min(right, last_x),
        bottom=min(bottom, last_y),
        center_x=min(max(window.center_x - border.left, 0), last_x),
        center_y=min(max(window.center_y - border.top, 0), last_y),
    )


def _read_grid(reader: BitReader) -> Grid | None:
    if not reader.flag():
        return None
    rows, columns = reader.bits(5), reader.bits(5)
    return Grid(rows, columns, tuple(reader.bits(_GRID_CELL_BITS) for _ in range(rows * columns)))


def _write_grid(writer: BitWriter, grid: Grid | None) -> None:
    writer.flag(grid is not None)
    if grid is not None:
        writer.bits(grid.rows, 5)
        writer.bits(grid.columns, 5)
        for cell in grid.cells:
            writer.bits(cell, _GRID_CELL_BITS)


def _read_statistics(reader: BitReader) -> Statistics:
    return Statistics(
        max_rgb=(reader.bits(17), reader.bits(17), reader.bits(17)),
        average=reader.bits(17),
        percentiles=tuple((reader.bits(7), reader.bits(17)) for _ in range(reader.bits(4))),
        bright_fraction=reader.bits(10),
    )


def _write_statistics(writer: BitWriter, statistics: Statistics) -> None:
    for value in (*statistics.max_rgb, statistics.average):
        writer.bits(value, 17)
    writer.bits(len(statistics.percentiles), 4)
    for percentage, luminance in statistics.percentiles:
        writer.bits(percentage, 7)
        writer.bits(luminance, 17)
    writer.bits(statistics.bright_fraction, 10)


def _read_curve(reader: BitReader) -> Curve:
    knee: tuple[int, int] | None = None
    anchors: tuple[int, ...] = ()
    if reader.flag():
        knee = reader.bits(12), reader.bits(12)
        anchors = tuple(reader.bits(10) for _ in range(reader.bits(4)))
    return Curve(knee, anchors, reader.bits(6) if reader.flag() else None)


def _write_curve(writer: BitWriter, curve: Curve) -> None:
    writer.flag(curve.knee is not None)
    if curve.knee is not None:
        writer.bits(curve.knee[0], 12)
        writer.bits(curve.knee[1], 12)
        writer.bits(len(curve.anchors), 4)
        for anchor in curve.anchors:
            writer.bits(anchor, 10)
    writer.flag(curve.saturation is not None)
    if curve.saturation is not None:
        writer.bits(curve.saturation, 6)
