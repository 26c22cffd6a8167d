"""Bits: what is written is read again, and nothing but BitsError comes out of bad data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.bits import BitReader, BitsError, BitWriter

fields = st.integers(0, 40).flatmap(
    lambda count: st.tuples(st.integers(0, 2**count - 1), st.just(count))
)


@given(st.lists(st.one_of(fields, st.integers(0, 2**32 - 2))))
def test_what_is_written_is_read_again(values: list[tuple[int, int] | int]) -> None:
    writer = BitWriter()
    for value in values:
        if isinstance(value, int):
            writer.code(value)
        else:
            writer.bits(*value)
    reader = BitReader(writer.data())
    for value in values:
        if isinstance(value, int):
            assert reader.code() == value
        else:
            assert reader.bits(value[1]) == value[0]
    reader.align()
    assert reader.left == 0


@given(st.binary(max_size=40), st.integers(0, 7))
def test_whole_bytes_are_read_wherever_they_begin(data: bytes, ahead: int) -> None:
    writer = BitWriter()
    writer.bits(0, ahead)
    writer.octets(data)
    reader = BitReader(writer.data())
    reader.bits(ahead)
    assert reader.octets(len(data)) == data


def test_exp_golomb_codes_are_those_of_the_standard() -> None:
    writer = BitWriter()
    for value in (0, 1, 2, 3, 7):
        writer.code(value)
    assert writer.data() == int("1 010 011 00100 0001000 00000".replace(" ", ""), 2).to_bytes(3)


@pytest.mark.parametrize("data", [b"", b"\x00" * 5])
def test_a_code_that_does_not_end_is_refused(data: bytes) -> None:
    with pytest.raises(BitsError):
        BitReader(data).code()


def test_bits_behind_the_end_are_refused() -> None:
    reader = BitReader(b"\xff")
    reader.bits(5)
    with pytest.raises(BitsError, match="1 bits too early"):
        reader.bits(4)


def test_a_value_too_big_for_its_place_is_refused() -> None:
    with pytest.raises(BitsError):
        BitWriter().bits(4, 2)


def test_filling_bits_that_are_not_zero_are_refused() -> None:
    reader = BitReader(b"\x81")
    reader.bits(1)
    with pytest.raises(BitsError):
        reader.align()
