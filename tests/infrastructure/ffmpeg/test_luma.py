from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from drapto.core.errors import InputError
from drapto.core.source import LumaFrame, SourceVideo
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media.corpus import CORPUS
from tests.media.film import damage, shot, source_of, write_film


def frames_of(video: SourceVideo, max_height: int = 144) -> list[LumaFrame]:
    """Frames with their full planes copied, for these are only valid until the next."""
    read = PyAvLumaReader().frames(video, max_height=max_height)
    return [replace(frame, full=frame.full.copy()) for frame in read]


def test_luma_of_a_lossless_film_is_exact(tmp_path: Path) -> None:
    planes = shot(1, 6)
    video = source_of(write_film(tmp_path / "a.mkv", planes))
    frames = frames_of(video)
    assert [frame.number for frame in frames] == list(range(6))
    assert [frame.pts for frame in frames] == video.index.pts.tolist()
    np.testing.assert_array_equal(np.stack([frame.full for frame in frames]), planes)
    np.testing.assert_array_equal(np.stack([frame.luma for frame in frames]), planes)
    assert not any(frame.damaged or frame.interlaced for frame in frames)


def test_frames_come_in_display_order(tmp_path: Path) -> None:
    options = {"bf": "3", "preset": "medium"}
    path = write_film(tmp_path / "a.mkv", shot(1, 40), codec="libx264", options=options)
    video = source_of(path)
    assert [frame.pts for frame in frames_of(video)] == video.index.pts.tolist()


@pytest.mark.parametrize(
    ("max_height", "size"), [(108, (108, 192)), (60, (54, 96)), (30, (27, 48))]
)
def test_luma_is_the_mean_of_blocks_no_higher_than_asked(
    tmp_path: Path, max_height: int, size: tuple[int, int]
) -> None:
    planes = shot(1, 2)
    frame = frames_of(source_of(write_film(tmp_path / "a.mkv", planes)), max_height)[0]
    assert frame.luma.shape == size
    factor = 108 // size[0]
    blocks = planes[0].reshape(size[0], factor, size[1], factor).mean((1, 3))
    assert np.abs(frame.luma - blocks).max() <= 2  # rounding, once per halving


@pytest.mark.parametrize(
    ("pixel_format", "bit_depth"),
    [
        ("yuv420p", 8),
        ("yuv422p", 8),
        ("yuv444p", 8),
        ("yuva420p", 8),
        ("yuyv422", 8),
        ("gray", 8),
        ("yuv420p10le", 10),
        ("yuv422p10le", 10),
        ("yuv444p12le", 12),
        ("gray10le", 10),
        ("gray16le", 16),
    ],
)
def test_every_format_gives_the_same_8_bit_luma(
    tmp_path: Path, pixel_format: str, bit_depth: int
) -> None:
    planes = shot(1, 2, width=64, height=48)
    codec = "rawvideo" if pixel_format == "yuyv422" else "ffv1"
    path = write_film(tmp_path / "a.nut", planes, pixel_format=pixel_format, codec=codec)
    frame = frames_of(source_of(path))[0]
    assert frame.luma.dtype == np.uint8
    assert np.abs(frame.luma.astype(int) - planes[0]).max() <= 2
    assert frame.bit_depth == bit_depth
    assert frame.full.dtype == (np.uint8 if bit_depth == 8 else np.uint16)
    assert np.abs((frame.full >> (bit_depth - 8)).astype(int) - planes[0]).max() <= 2


@pytest.mark.parametrize("pixel_format", ["bgr0", "gbrp10le"])
def test_rgb_becomes_limited_range_luma(tmp_path: Path, pixel_format: str) -> None:
    planes = shot(1, 2, width=64, height=48)
    frame = frames_of(source_of(write_film(tmp_path / "a.mkv", planes, pixel_format=pixel_format)))[
        0
    ]
    expected = 16 + planes[0] * (219 / 255)
    assert np.abs(frame.luma - expected).max() <= 2


@pytest.mark.parametrize("size", [(101, 75), (33, 17), (2, 2), (17, 300)])
def test_odd_and_tiny_sizes_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    rows, columns = np.indices((height, width))
    planes = np.stack([(60 + rows % 7 * 9 + columns % 11 * 5).astype(np.uint8)] * 2)
    path = write_film(tmp_path / "a.mkv", planes, pixel_format="yuv444p")
    frame = frames_of(source_of(path), max_height=64)[0]
    np.testing.assert_array_equal(frame.full, planes[0])
    assert frame.luma.shape[0] <= 64 or frame.luma.shape[1] < 4


def test_full_plane_is_a_view_not_a_copy(tmp_path: Path) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, 2)))
    frame = next(PyAvLumaReader().frames(video, max_height=144))
    assert not frame.full.flags.owndata
    assert frame.luma.flags.c_contiguous


def test_interlaced_flag_and_field_order_are_passed_on(tmp_path: Path) -> None:
    options = {"x264-params": "tff=1", "preset": "ultrafast"}
    path = write_film(tmp_path / "a.mkv", shot(1, 4), codec="libx264", options=options)
    assert all(frame.interlaced for frame in frames_of(source_of(path)))


def test_damage_in_one_place_does_not_end_the_pass(tmp_path: Path) -> None:
    options = {"bf": "0", "g": "10"}
    path = write_film(tmp_path / "a.mkv", shot(1, 60), codec="libx264", options=options)
    video = source_of(path)
    damage(path, packet=23)
    frames = frames_of(video)
    damaged = [frame.pts for frame in frames if frame.damaged]
    assert damaged
    assert int(video.index.pts[22]) < min(damaged) <= max(damaged) < int(video.index.pts[30])
    assert frames[-1].pts == video.index.pts[-1]
    assert len(frames) >= 50


async def test_packet_lost_on_the_way_is_named_in_every_run(tmp_path: Path) -> None:
    (entry,) = (entry for entry in CORPUS if entry.name == "ts_lost_packet")
    reader = PyAvReader()
    media = await reader.probe(entry.make(tmp_path))
    video = await reader.open_video(media, reader.main_video(media), tmp_path / "work")
    for _ in range(60):  # on several threads the decoder does not always tell
        frames = PyAvLumaReader().frames(video, max_height=36)
        assert len([frame for frame in frames if frame.damaged]) == 1


def test_truncated_file_gives_what_is_there(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", shot(1, 60))
    video = source_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 20 < len(frames_of(video)) < 40


def test_frames_that_an_edit_list_discards_do_not_appear(tmp_path: Path) -> None:
    import av

    whole = write_film(tmp_path / "a.mkv", shot(1, 30), codec="libx264", options={"bf": "0"})
    cut = tmp_path / "b.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        ten = round(Fraction(10, 24) / Fraction(stream.time_base or 1))
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            packet.pts, packet.dts = (packet.pts or 0) - ten, packet.dts - ten
            packet.stream = copied
            target.mux(packet)
    frames = frames_of(source_of(cut))
    assert len(frames) == 20
    assert frames[0].pts == 0


def test_names_with_colons_and_dashes_are_files(tmp_path: Path) -> None:
    path = write_film(tmp_path / "plain.mkv", shot(1, 3))
    video = source_of(path)
    odd = path.rename(tmp_path / "-concat:a|b %d.mkv")
    assert len(frames_of(replace(video, path=odd))) == 3


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, 3)))
    with pytest.raises(InputError):
        frames_of(replace(video, path=tmp_path / "nothing.mkv"))


def test_stream_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, 3)))
    with pytest.raises(InputError, match="no video stream"):
        frames_of(replace(video, stream_index=7))
