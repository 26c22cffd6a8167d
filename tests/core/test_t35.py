"""T.35 messages: an RPU comes out of its container as it went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core import t35
from drapto.core.bits import BitsError


@given(st.binary(min_size=1, max_size=600))
def test_an_rpu_comes_out_as_it_went_in(rpu: bytes) -> None:
    message = t35.wrap_rpu(rpu)
    assert t35.is_dolby_vision(message) and not t35.is_hdr10_plus(message)
    assert t35.unwrap_rpu(message) == rpu


@pytest.mark.parametrize("size", [255, 256, 511, 512, 65535])
def test_every_length_has_its_form(size: int) -> None:
    rpu = bytes(range(256)) * 256
    assert t35.unwrap_rpu(t35.wrap_rpu(rpu[:size])) == rpu[:size]


@pytest.mark.parametrize("size", [0, 65536])
def test_an_rpu_that_fits_no_container_is_refused(size: int) -> None:
    with pytest.raises(BitsError):
        t35.wrap_rpu(bytes(size))


@given(st.binary(max_size=100))
def test_bad_containers_are_refused_in_one_way(tail: bytes) -> None:
    try:
        rpu = t35.unwrap_rpu(t35.DOLBY_VISION_HEAD + tail)
    except BitsError:
        return
    assert t35.unwrap_rpu(t35.wrap_rpu(rpu)) == rpu


def test_a_container_of_another_kind_is_refused() -> None:
    message = bytearray(t35.wrap_rpu(b"rpu"))
    message[8] ^= 1
    with pytest.raises(BitsError, match="another kind"):
        t35.unwrap_rpu(bytes(message))
    with pytest.raises(BitsError, match="not a Dolby"):
        t35.unwrap_rpu(b"\xb5\x00\x3c")
