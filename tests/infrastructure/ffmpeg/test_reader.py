"""Addressability: the ffmpeg program finds any range of frames by the timestamps of the index."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import imageio_ffmpeg
import pytest

from drapto.core.errors import InputError
from drapto.core.interfaces import MediaReader
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.frames import index_packets
from drapto.infrastructure.ffmpeg.probe import main_video
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media import clips, hostile, tracks
from tests.media.containers import BUILDERS, shared
from tests.media.field_coded import field_coded

# Sources that are used as they are; every other one of BUILDERS is copied.
DIRECT = {
    "mkv", "mp4", "mp4_fragmented", "mov", "webm_vp9", "webm_vp8", "av1_mkv", "hevc_mp4", "vfr",
    "vfr_mp4", "start_offset", "edit_list", "open_gop", "open_gop_hevc", "mxf", "nut", "y4m",
    "avi_mjpeg",
}  # fmt: skip

RANGES = 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


async def _open(path: Path, work_dir: Path) -> SourceVideo:
    reader: MediaReader = PyAvReader()
    media = await reader.probe(path)
    return await reader.open_video(media, main_video(media), work_dir)


def _range(video: SourceVideo, start: int, end: int) -> list[tuple[int, str]]:
    """(pts, MD5) of frames [start, end) by the ffmpeg program, from the key frame before."""
    index = video.index
    key = index.key_before(start)
    seek = ["-ss", f"{index.time_s(key):.6f}"] if key else []
    stop = "" if end == len(index) else f":end_pts={index.pts[end]}"
    argv = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-copyts"),
        *("-seek_timestamp", "1", "-noaccurate_seek", *seek, "-noautorotate"),
        *("-i", f"file:{video.path}", "-map", f"0:{video.stream_index}"),
        *("-vf", f"trim=start_pts={index.pts[start]}{stop}", "-fps_mode", "passthrough"),
        *("-enc_time_base", "demux", "-f", "framemd5", "-"),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    rows = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
    return [(int(row[2]), row[5].strip()) for row in rows]


@pytest.mark.parametrize("name", sorted(BUILDERS))
async def test_any_range_of_frames_is_found_by_timestamp(
    name: str, cache: Path, tmp_path: Path
) -> None:
    path = shared(name, cache)
    video = await _open(path, tmp_path)
    assert (video.path == path) is (name in DIRECT)
    every = clips.decoded_frames(video.path)
    assert [pts for pts, _ in every] == video.index.pts.tolist()
    if video.path != path:
        assert [picture for _, picture in every] == clips.decoded_hashes(path)
    chance = random.Random(name)
    last = len(video.index)
    ranges = [(last - 1, last)]
    for _ in range(RANGES):
        start, end = sorted(chance.sample(range(last + 1), 2))
        ranges.append((start, end))
    for start, end in ranges:
        assert _range(video, start, end) == every[start:end], (start, end)


@pytest.mark.parametrize(
    "build",
    [
        hostile.begins_between_key_frames,
        hostile.headless,
        hostile.open_start,
        hostile.joined_ts,
        lambda d: hostile.joined_ts(d, first_s="100"),
        hostile.wrapped_ts,
        hostile.equal_timestamps,
        hostile.rare_timestamps,
        field_coded,
        lambda d: hostile.cut_off(clips.simple(d, "whole.mkv"), 0.6),
        lambda d: hostile.cut_off(clips.simple(d, "whole.flv"), 0.6),
        lambda d: hostile.cut_off(clips.simple(d, "whole.ts"), 0.6),
    ],
)
async def test_a_damaged_source_is_found_by_timestamp_too(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    video = await _open(build(tmp_path), tmp_path / "work")
    every = clips.decoded_frames(video.path)
    assert [pts for pts, _ in every] == video.index.pts.tolist()
    middle = len(video.index) // 2
    assert _range(video, middle, len(video.index)) == every[middle:]


async def test_a_source_moved_to_zero_says_by_how_much(tmp_path: Path) -> None:
    source = hostile.wrapped_ts(tmp_path)
    first_s = index_packets(source, 0).index.time_s(0)
    video = await _open(source, tmp_path / "work")
    assert first_s < 0
    assert float(video.late_s) == -first_s
    assert (await _open(clips.ts(tmp_path), tmp_path / "work")).late_s == 0


async def test_the_second_video_of_a_file_is_addressed_by_its_own_index(tmp_path: Path) -> None:
    video = await _open(tracks.two_videos(tmp_path), tmp_path)
    assert video.stream_index == 1
    assert _range(video, 30, 50) == clips.decoded_frames(video.path, 1)[30:50]


async def test_a_finished_copy_is_used_again(tmp_path: Path) -> None:
    source = clips.raw_h264(tmp_path)
    first = await _open(source, tmp_path / "work")
    made = first.path.stat().st_mtime_ns
    second = await _open(source, tmp_path / "work")
    assert second.path.stat().st_mtime_ns == made
    assert second.index.digest() == first.index.digest()
    assert second.index.notes == first.index.notes


async def test_a_copy_of_another_source_or_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    source, work = clips.raw_h264(tmp_path), tmp_path / "work"
    first = await _open(source, work)
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:-3000])
    again = await _open(source, work)
    assert again.path.read_bytes() == whole

    clips.raw_h264(tmp_path, frames=30)  # in the same place
    changed = await _open(source, work)
    assert len(changed.index) == 30


async def test_nothing_is_written_for_a_source_that_needs_no_copy(
    cache: Path, tmp_path: Path
) -> None:
    await _open(shared("mkv", cache), tmp_path / "work")
    assert not (tmp_path / "work").exists()


async def test_a_cancelled_caller_stops_the_reading_and_leaves_no_part(
    cache: Path, tmp_path: Path
) -> None:
    reader = PyAvReader()
    media = await reader.probe(shared("raw_h264", cache))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await reader.open_video(media, main_video(media), tmp_path / "work")
    assert scope.cancelled_caught
    assert not (tmp_path / "work").exists()


async def test_a_source_that_is_gone_is_an_input_error(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        await PyAvReader().probe(tmp_path / "gone.mkv")
