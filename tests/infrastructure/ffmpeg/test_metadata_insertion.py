"""Metadata in a finished segment file, and the record in the track that is made of segments."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import pytest

from drapto.core.errors import ResourceError, SegmentFailedError
from drapto.core.media import DolbyVision
from drapto.core.segments import SegmentTask
from drapto.infrastructure.ffmpeg.dolby_vision_box import add_record
from drapto.infrastructure.ffmpeg.metadata_insertion import insert
from drapto.infrastructure.ffmpeg.metadata_reading import PacketMetadataReader
from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.infrastructure.ffmpeg.test_metadata_reading import marked, opened, task_of
from tests.infrastructure.full_disks import small_disk
from tests.media import dynamic_hdr as hdr
from tests.media.clips import decoded_hashes, ffmpeg, pattern


def encoded(task: SegmentTask, out: Path, *options: str) -> Path:
    """The task's frames by ffmpeg, without anything of ours."""
    first, end = task.segment.start, task.segment.end
    chain = f"trim=start_frame={first}:end_frame={end},setpts=PTS-STARTPTS"
    svt = ("-c:v", "libsvtav1", "-preset", "12", *options)
    ffmpeg("-i", task.source, "-vf", chain, *svt, out)
    return out


async def test_frames_get_theirs_and_nothing_else_changes(tmp_path: Path) -> None:
    source = marked(tmp_path, "in.mkv")
    task = task_of(await opened(source), 20, 45)
    written = encoded(task, tmp_path / "segment.mkv", "-dolbyvision", "0")
    pictures = decoded_hashes(written)
    assert not any(hdr.side_data(written))
    await insert(task, written)
    found = [frame.get("DYNAMIC_HDR_PLUS") for frame in hdr.side_data(written)]
    assert found == [frame["DYNAMIC_HDR_PLUS"] for frame in hdr.side_data(source)[20:45]]
    assert decoded_hashes(written) == pictures
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "segment.mkv"]


async def test_what_the_encoder_wrote_is_replaced(tmp_path: Path) -> None:
    task = task_of(await opened(marked(tmp_path, "in.mkv")), 0, 12)
    plain = encoded(task, tmp_path / "plain.mkv", "-dolbyvision", "0")
    own = encoded(task, tmp_path / "own.mkv", "-dolbyvision", "1")
    assert all("DOVI_METADATA" in frame for frame in hdr.side_data(own))
    other = task_of(await opened(hdr.source(tmp_path, "none.mkv", frames=12)), 0, 12)
    await insert(other, own)
    await insert(other, plain)
    assert not any(hdr.side_data(own))


async def test_the_metadata_of_a_neighbour_is_seen(tmp_path: Path) -> None:
    """What the manifest compares: a frame off by one is another frame."""
    video = await opened(marked(tmp_path, "in.mkv"))
    task = task_of(video, 0, 12)
    written = encoded(task, tmp_path / "segment.mkv")
    reader, plan = PacketMetadataReader(), task.settings.dynamic_metadata
    wanted = await reader.of_source(video.path, 0, task.frame_pts, plan)
    await insert(task, written)
    right = await reader.of_output(written, 0)
    swapped = (task.frame_pts[0], task.frame_pts[2], task.frame_pts[1], *task.frame_pts[3:])
    await insert(task.model_copy(update={"frame_pts": swapped}), written)
    found = await reader.of_output(written, 0)
    for kind in ("hdr10_plus", "dolby_vision"):
        before, after = getattr(wanted, kind).frames, getattr(found, kind).frames
        assert getattr(right, kind).frames == before
        assert [n for n in range(12) if before[n] != after[n]] == [1, 2]


@pytest.mark.parametrize("frames", [11, 13])
async def test_a_file_of_another_length_stays_as_it_is(tmp_path: Path, frames: int) -> None:
    video = await opened(marked(tmp_path, "in.mkv"))
    written = encoded(task_of(video, 0, 12), tmp_path / "segment.mkv")
    before = written.read_bytes()
    await insert(task_of(video, 0, frames), written)
    assert written.read_bytes() == before


async def test_a_frame_that_cannot_get_its_metadata_is_named(tmp_path: Path) -> None:
    task = task_of(await opened(marked(tmp_path, "in.mkv")), 0, 5)
    written = encoded(task, tmp_path / "segment.mkv")
    with av.open(str(written)) as source:
        unit = [bytes(packet) for packet in source.demux(video=0) if packet.size][3]
    torn = written.read_bytes().replace(unit, bytes((unit[0] | 0x80,)) + unit[1:])  # forbidden_bit
    written.write_bytes(torn)
    with pytest.raises(
        SegmentFailedError, match=r"Segment 0 of .*in\.mkv: .*frame 3 .*forbidden bit"
    ):
        await insert(task, written)
    assert written.read_bytes() == torn


async def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    task = task_of(await opened(marked(tmp_path, "in.mkv")), 0, 5)
    written = encoded(task, tmp_path / "segment.mkv")
    with small_disk(tmp_path, -(-written.stat().st_size // 4096) * 4 + 4) as disk:
        moved = Path(shutil.copy(written, disk))
        with pytest.raises(ResourceError, match="No space left on device"):
            await insert(task, moved)
        assert [path.name for path in disk.iterdir()] == ["segment.mkv"]
        assert moved.read_bytes() == written.read_bytes()


async def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    task = task_of(await opened(marked(tmp_path, "in.mkv")), 0, 5)
    written, precious = encoded(task, tmp_path / "segment.mkv"), tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "segment.marked.mkv").symlink_to(precious)
    await insert(task, written)
    assert precious.read_text() == "mine"
    assert not written.is_symlink()
    assert all("DYNAMIC_HDR_PLUS" in frame for frame in hdr.side_data(written))


@pytest.mark.parametrize("kind", ["text", "other codec", "nothing"])
async def test_what_is_no_av1_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    task = task_of(await opened(marked(tmp_path, "in.mkv")), 0, 5)
    written = tmp_path / "segment.mkv"
    if kind == "text":
        written.write_text("not a video")
    elif kind == "other codec":
        ffmpeg(*pattern(5), "-c:v", "libx264", written)
    before = written.read_bytes() if written.exists() else None
    await insert(task, written)
    assert (written.read_bytes() if written.exists() else None) == before


def track(directory: Path, *options: str) -> Path:
    out = directory / "track.mp4"
    ffmpeg(*pattern(5), "-c:v", "libsvtav1", "-preset", "12", *options, out)
    return out


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    out = track(tmp_path)
    pictures = decoded_hashes(out)
    add_record(out, DolbyVision(profile=10, level=7, compatibility_id=4))
    found = probe_file(out).tracks[0].color.dolby_vision
    assert found == DolbyVision(profile=10, level=7, compatibility_id=4)
    assert decoded_hashes(out) == pictures


def test_a_track_whose_description_stands_first_is_refused(tmp_path: Path) -> None:
    out = track(tmp_path, "-movflags", "+faststart")
    before = out.read_bytes()
    with pytest.raises(ValueError, match="ends with b'mdat'"):
        add_record(out, DolbyVision(profile=10))
    assert out.read_bytes() == before
