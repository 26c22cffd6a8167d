"""Which metadata belongs to which frame, found by demuxing alone."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.dynamic_metadata import DynamicMetadata, digest
from drapto.core.media import DolbyVision
from drapto.core.segments import Segment, SegmentTask, VideoSettings
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.frame_metadata import extractor
from drapto.infrastructure.ffmpeg.metadata_reading import PacketMetadataReader, of_segment
from drapto.infrastructure.ffmpeg.packets import read_packets
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.services.encoding.tasks import make_tasks
from tests.media import dynamic_hdr as hdr
from tests.media.clips import ffmpeg

FRAMES = 60
PLAN = DynamicMetadata(hdr10_plus=True, dolby_vision=DolbyVision(profile=10))
SETTINGS = VideoSettings(
    width=320, height=180, source_width=320, source_height=180, dynamic_metadata=PLAN
)


def marked(directory: Path, name: str) -> Path:
    rpus = hdr.each(hdr.rpu_81)
    return hdr.source(directory, name, frames=FRAMES, hdr10_plus=hdr.message, rpu=rpus)


async def opened(path: Path) -> SourceVideo:
    media = probe_file(path)
    return await PyAvReader().open_video(media, main_video(media), path.parent)


def task_of(video: SourceVideo, start: int, end: int) -> SegmentTask:
    segment = Segment(index=0, start=start, end=end)
    (task,) = make_tasks(video, [segment], SETTINGS, video.path.parent)
    return task


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4", "in.ts", "in.hevc"])
async def test_a_segment_gets_the_metadata_of_its_frames(tmp_path: Path, name: str) -> None:
    video = await opened(marked(tmp_path, name))
    assert (video.carries.hdr10_plus, video.carries.dolby_vision) == (FRAMES, FRAMES)
    for start, end in ((0, 7), (21, 27), (30, 31), (48, FRAMES)):
        found = await anyio.to_thread.run_sync(of_segment, task_of(video, start, end))
        numbers = range(start, end)
        assert [frame.hdr10_plus for frame in found] == [hdr.message(n) for n in numbers]
        rpus = [hdr.each(hdr.rpu_81)(n) for n in numbers]
        assert [frame.dolby_vision for frame in found] == rpus


async def test_what_the_seek_went_past_is_looked_for_from_the_beginning(tmp_path: Path) -> None:
    """One message at the start of the film holds to its end."""
    first = hdr.message(0)
    path = hdr.source(tmp_path, frames=FRAMES, hdr10_plus=lambda n: first if n == 0 else None)
    video = await opened(path)
    assert video.carries.inherited == FRAMES - 1
    plan = DynamicMetadata(hdr10_plus=True, inherits=True)
    task = task_of(video, 50, 55)
    settings = task.settings.model_copy(update={"dynamic_metadata": plan})
    found = of_segment(task.model_copy(update={"settings": settings}))
    assert [frame.hdr10_plus for frame in found] == [first] * 5


async def test_a_whole_source_is_read_as_its_output_must_be(tmp_path: Path) -> None:
    video = await opened(marked(tmp_path, "in.mkv"))
    reader, pts = PacketMetadataReader(), [int(value) for value in video.index.pts]
    source = await reader.of_source(video.path, 0, pts, PLAN)
    assert source.hdr10_plus.frames == tuple(digest(hdr.message(n)) for n in range(FRAMES))
    assert source.dolby_vision.count == FRAMES
    assert await reader.of_output(video.path, 0) == source
    fewer = await reader.of_source(video.path, 0, pts[5:], PLAN)
    assert fewer.hdr10_plus.unplaced == 5


async def test_what_an_edit_list_hides_is_no_frame_without_a_place(tmp_path: Path) -> None:
    source, cut = marked(tmp_path, "in.mp4"), tmp_path / "cut.mp4"
    ffmpeg("-ss", "1.25", "-i", source, "-c", "copy", cut)
    video = await opened(cut)
    assert video.carries.hdr10_plus == len(video.index) < FRAMES
    pts = [int(value) for value in video.index.pts]
    facts = await PacketMetadataReader().of_source(video.path, 0, pts, PLAN)
    assert facts.hdr10_plus.count == len(pts)
    assert facts.hdr10_plus.unplaced == 0


def test_a_stream_without_any_counts_none(tmp_path: Path) -> None:
    path = hdr.source(tmp_path, frames=8)
    carries = read_packets(path, 0).carries
    assert (carries.hdr10_plus, carries.dolby_vision, carries.first_rpu) == (0, 0, None)


def test_h264_carries_hdr10_plus_in_its_messages() -> None:
    extract = extractor("h264", None)
    assert extract is not None
    other = b"\x05\x10" + bytes(range(16, 32))  # another message before it
    sei = hdr.nal(39, other + hdr.sei_payload(hdr.message(3)))[2:]
    packet = b"\0\0\1\x06" + sei + b"\0\0\1\x65 slice"
    assert extract(packet).hdr10_plus == hdr.message(3)
    assert extract(b"\0\0\1\x06" + sei[:30] + b"\0\0\1\x65 slice").hdr10_plus is None


@given(st.sampled_from(["hevc", "h264", "av1"]), st.booleans(), st.binary(max_size=120))
def test_damage_in_a_packet_is_no_error(codec: str, sized: bool, noise: bytes) -> None:
    record = bytes((1,)) + bytes(20) + b"\xff" + bytes(4) if sized else None
    extract = extractor(codec, record)
    assert extract is not None
    for head in (b"", b"\0\0\1\x4e\1\4", b"\0\0\1\x7c\1\x19", b"\0\0\1\6\4", b"\x2a\x20\4\xb5"):
        extract(head + noise)
        extract(head + hdr.message(1)[:20] + noise)


def test_other_codecs_are_not_asked() -> None:
    assert extractor("vp9", None) is None


def test_a_copy_keeps_what_the_frames_carry(tmp_path: Path) -> None:
    source, copy = marked(tmp_path, "in.mkv"), tmp_path / "copy.mp4"
    ffmpeg("-i", source, "-c", "copy", copy)
    assert read_packets(copy, 0).carries == read_packets(source, 0).carries
