"""Weighed by demuxing, and compared with what a copy of each stream alone weighs."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.estimate import PacketSizes
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.packet_sizes import PyAvPacketSizes
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media import clips


async def weighed(path: Path, scratch: Path) -> tuple[SourceVideo, PacketSizes]:
    reader = PyAvReader()
    media = await reader.probe(path)
    video = await reader.open_video(media, reader.main_video(media), scratch)
    return video, await PyAvPacketSizes().of(media, video)


async def test_every_stream_and_every_frame_is_weighed(tmp_path: Path) -> None:
    path = clips.simple(tmp_path)
    video, sizes = await weighed(path, tmp_path / "scratch")
    raw = {0: tmp_path / "video.h264", 1: tmp_path / "audio.data"}
    clips.ffmpeg("-i", path, "-map", "0:0", "-c", "copy", "-bsf:v", "null", "-f", "data", raw[0])
    clips.ffmpeg("-i", path, "-map", "0:1", "-c", "copy", "-f", "data", raw[1])
    assert sizes.by_stream == {index: out.stat().st_size for index, out in raw.items()}
    assert sizes.frames is not None
    assert len(sizes.frames) == len(video.coded)
    assert sizes.frames.sum() == sizes.by_stream[0]
    key = video.coded.key
    assert sizes.frames[key].min() > sizes.frames[~key].mean()


@pytest.mark.parametrize("build", [clips.ts, clips.raw_h264], ids=lambda build: build.__name__)
async def test_frames_of_a_source_that_had_to_be_rewrapped_are_weighed(
    build, tmp_path: Path
) -> None:
    video, sizes = await weighed(build(tmp_path), tmp_path / "scratch")
    assert video.path != video.origin.path
    assert sizes.frames is not None and (sizes.frames > 0).all()
    assert sizes.frames.sum() == pytest.approx(sizes.by_stream[video.track.index], rel=0.02)


async def test_the_first_packet_is_the_key_frame(tmp_path: Path) -> None:
    path = clips.silent(tmp_path)
    _, sizes = await weighed(path, tmp_path / "scratch")
    assert sizes.frames is not None
    assert await PyAvPacketSizes().first_packet(path) == sizes.frames[0]
