"""Parameter sets, slice headers and configuration records of H.264 and HEVC; MPEG-TS packets."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.errors import InputError
from drapto.infrastructure.ffmpeg.h264 import H264Pictures, OrderCount
from drapto.infrastructure.ffmpeg.hevc import HevcPictures
from drapto.infrastructure.ffmpeg.parameter_sets import ParameterSets
from drapto.infrastructure.ffmpeg.transport_stream import move_clock
from tests.fuzz.strategies import fuzzed, mutated
from tests.media.clips import ffmpeg, pattern, x264, x265

START = b"\x00\x00\x00\x01"


@cache
def sample(codec: str, kind: str, directory: Path) -> tuple[bytes, list[bytes]]:
    """(extradata, packets) of a clip: 'mp4' with lengths, 'raw' with start codes."""
    path = directory / f"{codec}.{'mp4' if kind == 'mp4' else codec}"
    if not path.exists():
        coded = x264(keyint=6, extra="interlaced=1") if codec == "h264" else x265(keyint=6)
        ffmpeg(*pattern(12, size="64x64"), *coded, path)
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return bytes(stream.codec_context.extradata or b""), packets


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("kind", ["mp4", "raw"])
@fuzzed
@given(data=st.data())
def test_h264_pictures_take_anything(kind: str, folder: Path, data: st.DataObject) -> None:
    extradata, packets = sample("h264", kind, folder)
    pictures = H264Pictures(data.draw(mutated(extradata) | st.just(extradata)))
    counts = OrderCount()
    for packet in packets[:4]:
        slices = pictures.slices(data.draw(mutated(packet[:400]) | st.just(packet)))
        pictures.is_second_field(slices)
        pictures.is_clean_start(slices)
        for one in slices:
            order = counts.next(
                one.order_lsb, one.sps.order_bits, restart=one.is_idr, is_anchor=one.is_reference
            )
            assert abs(order) < 2**62  # they are counted in 64 bits


@pytest.mark.parametrize("kind", ["mp4", "raw"])
@fuzzed
@given(data=st.data())
def test_hevc_pictures_take_anything(kind: str, folder: Path, data: st.DataObject) -> None:
    extradata, packets = sample("hevc", kind, folder)
    pictures = HevcPictures(data.draw(mutated(extradata) | st.just(extradata)))
    counts = OrderCount()
    for packet in packets[:4]:
        picture = pictures.picture(data.draw(mutated(packet[:400]) | st.just(packet)))
        if picture is not None:
            order = counts.next(
                picture.order_lsb,
                picture.order_bits,
                restart=picture.restarts,
                is_anchor=picture.is_anchor,
            )
            assert abs(order) < 2**62


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9"])
@fuzzed
@given(data=st.data())
def test_configuration_records_are_read_or_refused(
    codec: str, folder: Path, data: st.DataObject
) -> None:
    record, _ = sample("hevc" if codec == "hevc" else "h264", "mp4", folder)
    try:
        sets = ParameterSets.parse(codec, data.draw(mutated(record) | st.binary(max_size=60)))
    except ValueError:
        return
    assert sets.prefixed(b"x").endswith(b"x")


def golomb(value: int) -> str:
    bits = bin(value + 1)[2:]
    return "0" * (len(bits) - 1) + bits


def packed(bits: str) -> bytes:
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_a_parameter_set_without_end_costs_no_time() -> None:
    """A cycle of two million numbers (pic_order_cnt_type 1), of which a standard one has 255."""
    bits = "01000010" + "0" * 16 + golomb(0) + golomb(0) + golomb(1) + "0" + "11"
    endless = packed(bits + golomb(0x1FFFFE)) + b"\xff" * 4_000_000
    before = time.process_time()
    for _ in range(10):
        H264Pictures(START + b"\x67" + endless)
    assert time.process_time() - before < 5


def test_numbers_out_of_range_are_not_kept() -> None:
    """Each of these sets has another number; the standard allows 32 and 256."""
    pictures = H264Pictures(b"")
    stream = b"".join(START + b"\x68" + packed(golomb(n) + golomb(0)) for n in range(5000))
    pictures.slices(stream)
    assert len(pictures._pps) <= 256
    hevc = HevcPictures(b"")
    for n in range(1000):
        hevc.picture(START + b"\x44\x01" + packed(golomb(n) + golomb(0) + "00000"))
    assert len(hevc._pps) <= 64


@fuzzed
@given(data=st.data())
def test_transport_streams_are_moved_or_refused(folder: Path, data: st.DataObject) -> None:
    path = folder / "fuzz.ts"
    if not path.exists():
        ffmpeg(*pattern(12, size="64x64"), *x264(), path)
    whole = path.read_bytes()[: 188 * 60]
    source, out = folder / "in.ts", folder / "out.ts"
    source.write_bytes(data.draw(mutated(whole) | st.binary(max_size=600)))
    moves = data.draw(
        st.lists(st.tuples(st.integers(0, 20_000), st.integers(-(2**40), 2**40)), max_size=3)
    )
    try:
        move_clock(source, out, sorted(moves))
    except InputError:
        return
    assert out.stat().st_size == source.stat().st_size
