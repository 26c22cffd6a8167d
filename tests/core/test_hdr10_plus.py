"""HDR10+ messages: every bit is kept, and a crop moves what has a place in the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core import hdr10_plus as h10
from drapto.core.bits import BitsError
from drapto.core.crop_border import CropBorder
from drapto.core.t35 import HDR10_PLUS_HEAD
from tests.media.dynamic_hdr import message, window

BORDER = CropBorder(left=10, top=20, right=10, bottom=20, width=300, height=140)


def bits(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**count - 1)


windows = st.builds(h10.Window, *(bits(n) for n in (16, 16, 16, 16, 16, 16, 8, 16, 16, 16, 1)))
statistics = st.builds(
    h10.Statistics,
    st.tuples(bits(17), bits(17), bits(17)),
    bits(17),
    st.lists(st.tuples(bits(7), bits(17)), max_size=15).map(tuple),
    bits(10),
)
straight = st.builds(h10.Curve, st.none(), st.just(()), st.none() | bits(6))
bent = st.builds(
    h10.Curve,
    st.tuples(bits(12), bits(12)),
    st.lists(bits(10), max_size=15).map(tuple),
    st.none() | bits(6),
)


@st.composite
def grids(draw: st.DrawFn) -> h10.Grid | None:
    if draw(st.booleans()):
        return None
    rows, columns = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    cells = draw(st.lists(bits(4), min_size=rows * columns, max_size=rows * columns))
    return h10.Grid(rows, columns, tuple(cells))


@st.composite
def metadata(draw: st.DrawFn) -> h10.Hdr10Plus:
    count = draw(st.integers(1, 3))

    def some(what: st.SearchStrategy[object], number: int) -> tuple[object, ...]:
        return tuple(draw(st.lists(what, min_size=number, max_size=number)))

    return h10.Hdr10Plus(
        version=draw(bits(8)),
        windows=some(windows, count - 1),  # type: ignore[arg-type]
        target_luminance=draw(bits(27)),
        target_peaks=draw(grids()),
        statistics=some(statistics, count),  # type: ignore[arg-type]
        mastering_peaks=draw(grids()),
        curves=some(straight | bent, count),  # type: ignore[arg-type]
    )


@given(metadata())
def test_what_is_written_is_read_again(made: h10.Hdr10Plus) -> None:
    text = h10.write(made)
    found = h10.parse(text)
    assert replace(found, rest=(0, 0)) == made
    assert h10.write(found) == text


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_the_bit_or_refused(tail: bytes) -> None:
    try:
        found = h10.parse(HDR10_PLUS_HEAD + tail)
    except BitsError:
        return
    assert h10.write(found) == HDR10_PLUS_HEAD + tail


@given(metadata())
def test_a_crop_gives_a_message_that_can_be_read(made: h10.Hdr10Plus) -> None:
    cut = h10.cropped(h10.parse(h10.write(made)), BORDER)
    found = h10.parse(h10.write(cut))
    assert len(found.curves) == len(found.statistics) == len(found.windows) + 1
    for each in found.windows:
        assert each.left >= 0 and each.right < BORDER.width
        assert each.top >= 0 and each.bottom < BORDER.height


def test_windows_move_with_the_crop_and_are_cut_at_its_edges() -> None:
    inside, across, outside = window(100, 60, 200, 90), window(0, 0, 49, 49), window(0, 0, 300, 9)
    before = h10.parse(message(5, (inside, across)))
    first, second = h10.cropped(before, BORDER).windows
    assert first == window(90, 40, 190, 70)
    assert (second.left, second.top, second.right, second.bottom) == (0, 0, 39, 29)
    gone = h10.parse(message(5, (outside, inside)))
    gone = replace(
        gone, curves=(gone.curves[0], replace(gone.curves[1], saturation=1), *gone.curves[2:])
    )
    left = h10.cropped(gone, BORDER)
    assert left.windows == (first,)
    assert left.curves == (gone.curves[0], gone.curves[2])


def test_a_message_of_another_application_is_refused() -> None:
    with pytest.raises(BitsError):
        h10.parse(b"\xb5\x00\x3c\x00\x01\x05" + bytes(40))
