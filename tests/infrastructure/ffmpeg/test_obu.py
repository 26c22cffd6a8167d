"""Temporal units of AV1: taken apart, and metadata put where a decoder gives it to its frame."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core import t35
from drapto.core.bits import BitsError
from drapto.infrastructure.ffmpeg.obu import (
    has_film_grain,
    metadata_obu,
    metadata_of,
    split,
    with_metadata,
)
from tests.media.clips import ffmpeg, pattern
from tests.media.dynamic_hdr import message

HIDDEN, SHOWN, AGAIN = 0b0010_0000, 0b0011_0000, 0b1000_0000  # the first byte of a frame header
OTHER = b"\xb5\x00\x31GA94"  # captions, which are nobody's business here


def obu(kind: int, payload: bytes) -> bytes:
    return bytes((kind << 3 | 0b10, len(payload))) + payload


def frame(first: int, kind: int = 6) -> bytes:
    return obu(kind, bytes((first,)) + b"picture")


SEQUENCE = obu(1, b"\x00sequence")


def kinds(unit: bytes) -> list[int]:
    return [found.kind for found in split(unit)]


@pytest.mark.parametrize(
    ("payload", "grain"),
    [
        (b"\x12\xc0", True),  # …1, then the one of trailing_bits()
        (b"\x12\x40", False),  # …0, then it
        (b"\x13\x80", True),  # across the border of a byte
        (b"\x12\x80\x00", False),  # zeros behind it say nothing
    ],
)
def test_last_bit_of_a_sequence_header_tells_of_film_grain(payload: bytes, grain: bool) -> None:
    [header] = split(obu(1, payload))
    assert has_film_grain(header) is grain


def test_sequence_header_without_content_is_refused() -> None:
    [header] = split(obu(1, b"\x00\x00"))
    with pytest.raises(BitsError):
        has_film_grain(header)


@pytest.mark.parametrize("last", [frame(SHOWN), frame(AGAIN, kind=3)])
def test_metadata_stands_right_before_the_shown_frame(last: bytes) -> None:
    unit = SEQUENCE + frame(HIDDEN) + last
    marked = with_metadata(unit, [message(1), OTHER])
    assert kinds(marked)[:4] == [1, 6, 5, 5]
    assert marked.replace(metadata_obu(message(1)), b"").replace(metadata_obu(OTHER), b"") == unit
    assert metadata_of(marked) == (message(1), OTHER)


def test_metadata_before_a_hidden_frame_is_not_the_shown_ones() -> None:
    assert metadata_of(metadata_obu(OTHER) + frame(HIDDEN) + frame(SHOWN)) == ()


def test_what_an_encoder_wrote_is_replaced_wherever_it_stands() -> None:
    unit = metadata_obu(message(9)) + frame(HIDDEN) + metadata_obu(message(8)) + frame(SHOWN)
    marked = with_metadata(unit, [message(1)], (t35.HDR10_PLUS_HEAD,))
    assert marked == frame(HIDDEN) + metadata_obu(message(1)) + frame(SHOWN)
    kept = with_metadata(metadata_obu(OTHER) + frame(SHOWN), [], (t35.HDR10_PLUS_HEAD,))
    assert kept == metadata_obu(OTHER) + frame(SHOWN)


def test_a_last_unit_without_a_size_stays_the_last() -> None:
    bare = bytes((6 << 3, SHOWN)) + b"picture"
    marked = with_metadata(SEQUENCE + bare, [message(1)])
    assert marked.endswith(bare) and metadata_of(marked) == (message(1),)


def test_a_still_picture_is_shown_without_saying_so() -> None:
    sequence = obu(1, b"\x18")  # still_picture, reduced_still_picture_header
    assert kinds(with_metadata(sequence + frame(0), [message(1)])) == [1, 5, 6]


@pytest.mark.parametrize("unit", [b"", SEQUENCE, frame(HIDDEN), b"\xff\xff", b"\x32\xff\xff"])
def test_a_unit_that_shows_nothing_or_is_none_is_refused(unit: bytes) -> None:
    with pytest.raises(BitsError):
        with_metadata(unit, [message(1)])


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_apart_whole_or_refused(unit: bytes) -> None:
    try:
        assert b"".join(found.whole for found in split(unit)) == unit
        metadata_of(unit)
        assert metadata_of(with_metadata(unit, [OTHER]))[-1] == OTHER
    except BitsError:
        return


@given(st.binary(min_size=1, max_size=400))
def test_a_message_is_read_as_it_was_written(text: bytes) -> None:
    assert metadata_of(with_metadata(frame(SHOWN), [text])) == (text,)


def test_a_real_stream_has_hidden_frames_and_shows_frames_again(tmp_path: Path) -> None:
    """What the placing is for: without such frames no test here would tell."""
    out = tmp_path / "svt.mkv"
    ffmpeg(*pattern(40), "-c:v", "libsvtav1", "-preset", "12", "-g", "40", out)
    hidden = again = 0
    with av.open(f"file:{out}") as container:
        for packet in container.demux(video=0):
            if not packet.size:
                continue
            headers = [u.payload[0] for u in split(bytes(packet)) if u.kind in (3, 6)]
            hidden += len(headers) - 1
            again += headers[-1] >> 7
            marked = split(with_metadata(bytes(packet), [OTHER]))
            assert marked[-2].kind == 5
    assert hidden and again
