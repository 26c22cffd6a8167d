"""RPUs: every bit is kept, edits change what they are for, and damage has one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.bits import BitsError
from drapto.core.crop_border import CropBorder
from drapto.core.dolby_vision import edits
from drapto.core.dolby_vision.display import Block, Display
from drapto.core.dolby_vision.mapping import Coding, Mapping, Piece, Residual
from drapto.core.dolby_vision.rpu import (
    Depths,
    Header,
    Layer,
    Rpu,
    checksum,
    layer_of,
    parse,
    profile_of,
    stands_alone,
    write,
)
from tests.media.dynamic_hdr import active_area, rpu_5, rpu_7, rpu_81, rpu_84

BORDER = CropBorder(left=0, top=140, right=0, bottom=138, width=1920, height=802)


def bits(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**count - 1)


small = st.integers(0, 300)
blocks = st.lists(st.builds(Block, bits(8), st.binary(max_size=30)), max_size=6).map(tuple)
COLOUR_BITS = (*(16,) * 9, *(32,) * 3, *(16,) * 9, 16, 16, 16, 32, 5, 2, 2, 2, 12, 12, 10)
colours = st.tuples(*(bits(count) for count in COLOUR_BITS))


@st.composite
def headers(draw: st.DrawFn) -> Header:
    form = draw(bits(11))
    number_type = draw(st.integers(0, 1))
    depths = None
    if not form & 0x700:
        depth = st.integers(0, 8)
        enhancement = draw(depth) + 256 * draw(bits(3))
        flag = st.booleans()
        depths = Depths(
            draw(depth), enhancement, draw(depth), draw(flag), draw(st.integers(0, 1)),
            draw(flag), draw(flag),
        )  # fmt: skip
    return Header(
        form, draw(bits(4)), draw(bits(4)), draw(st.booleans()), number_type,
        32 if number_type else draw(st.integers(0, 32)), draw(bits(2)), draw(st.booleans()), depths,
    )  # fmt: skip


@st.composite
def mappings(draw: st.DrawFn, coding: Coding) -> Mapping:
    edge = bits(coding.base_bits)
    whole = small if coding.is_fixed_point else st.just(0)

    def coefficients(count: int) -> tuple[tuple[int, int], ...]:
        one = st.tuples(whole, bits(coding.fraction_bits))
        return tuple(draw(st.lists(one, min_size=count, max_size=count)))

    def piece() -> Piece:
        if draw(st.booleans()):
            order = draw(st.integers(1, 2))
            return Piece(0, order, coefficients(order + 1))
        order = draw(st.integers(1, 3))
        return Piece(1, order, coefficients(1 + 7 * order))

    pivots = tuple(tuple(draw(st.lists(edge, min_size=2, max_size=4))) for _ in range(3))
    residuals: list[Residual] = []
    for _ in range(3 * coding.has_residual):
        first, second, third = coefficients(3)
        residuals.append(Residual(draw(bits(coding.enhancement_bits)), (first, second, third)))
    return Mapping(
        number=draw(small),
        color_space=draw(small),
        chroma_format=draw(small),
        pivots=pivots,
        residual_pivots=(draw(edge), draw(edge)) if coding.has_residual else None,
        partitions=(draw(small), draw(small)),
        pieces=tuple(tuple(piece() for _ in edges[1:]) for edges in pivots),
        residuals=tuple(residuals),
    )


@st.composite
def rpus(draw: st.DrawFn) -> Rpu:
    header = draw(headers())
    mapping = draw(st.none() | mappings(header.coding))
    display = None
    if draw(st.booleans()):
        compressed = header.depths is not None and header.depths.compression == 1
        newer = draw(st.none() | blocks.filter(lambda found: len(found) > 1))
        display = Display(
            draw(small), draw(small), draw(small), None if compressed else draw(colours),
            draw(blocks), newer,
        )  # fmt: skip
    return Rpu(header, 0 if mapping else draw(small), mapping, display)


@given(rpus())
def test_what_is_written_is_read_again(made: Rpu) -> None:
    assert parse(write(made)) == made


@given(rpus(), st.data())
def test_damage_is_refused_by_the_checksum(made: Rpu, data: st.DataObject) -> None:
    text = bytearray(write(made))
    at = data.draw(st.integers(0, 8 * len(text) - 1))
    text[at // 8] ^= 1 << at % 8
    with pytest.raises(BitsError):
        parse(bytes(text))


@given(st.binary(max_size=300))
def test_any_bytes_with_a_right_checksum_are_read_to_the_bit_or_refused(body: bytes) -> None:
    text = body + checksum(body).to_bytes(4, "big") + b"\x80"
    try:
        found = parse(text)
    except BitsError:
        return
    assert write(found) == text


@given(st.binary(max_size=60), st.integers(0, 100))
def test_a_real_rpu_with_another_end_is_read_to_the_bit_or_refused(end: bytes, cut: int) -> None:
    body = write(rpu_84(3))[: -5 - cut] + end
    text = body + checksum(body).to_bytes(4, "big") + b"\x80"
    try:
        assert write(parse(text)) == text
    except BitsError:
        return


def test_the_checksum_is_that_of_mpeg_2() -> None:
    assert checksum(b"123456789") == 0x0376E6E7  # the check value of CRC-32/MPEG-2


@pytest.mark.parametrize(
    ("make", "profile", "layer"),
    [
        (rpu_81, 8, Layer.NONE),
        (rpu_84, 8, Layer.NONE),
        (rpu_5, 5, Layer.NONE),
        (rpu_7, 7, Layer.FULL),
        (lambda frame: rpu_7(frame, full=False), 7, Layer.MINIMAL),
    ],
)
def test_profile_and_layer_follow_from_the_rpu(
    make: Callable[[int], Rpu], profile: int, layer: Layer
) -> None:
    found = parse(write(make(1)))
    assert (profile_of(found), layer_of(found)) == (profile, layer)


def test_the_active_area_is_counted_from_the_new_edges() -> None:
    before = rpu_81(4, active_area(0, 10, 140, 150))
    assert edits.cropped(before, BORDER) == rpu_81(4, active_area(0, 10, 0, 12))


def test_an_rpu_without_an_active_area_gets_none_by_a_crop() -> None:
    assert edits.cropped(rpu_81(4, None), BORDER) == rpu_81(4, None)


def test_an_active_area_of_another_form_is_refused() -> None:
    with pytest.raises(BitsError, match="active area"):
        edits.cropped(rpu_81(4, Block(5, b"four")), BORDER)


@pytest.mark.parametrize("full", [False, True])
def test_profile_7_without_its_layer_is_profile_81(full: bool) -> None:
    assert edits.without_enhancement_layer(rpu_7(9, full=full)) == rpu_81(9)


def test_an_rpu_that_refers_to_another_does_not_stand_alone() -> None:
    assert stands_alone(rpu_81(1))
    assert not stands_alone(replace(rpu_81(1), mapping=None))


def test_counts_that_promise_more_than_there_is_are_refused() -> None:
    body = write(rpu_81(0))[:-5][:20] + b"\xff" * 16000
    with pytest.raises(BitsError):
        parse(body + checksum(body).to_bytes(4, "big") + b"\x80")
