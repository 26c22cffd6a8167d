"""What is written in a work directory never lands behind a link."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from drapto.core.errors import PublishError, ResourceError
from drapto.core.interfaces import ProcessUse
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.infrastructure.ffmpeg.inspector import DecodingInspector
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.ffmpeg.video_track import write_video_track
from drapto.infrastructure.files import cleared, give_name, translate
from drapto.services.encoding.registry import encoder_named
from tests.media import clips
from tests.services.test_encoding_contract import tasks_for


async def test_link_where_a_piece_is_written_costs_the_source_nothing(tmp_path: Path) -> None:
    source = clips.simple(tmp_path)
    before = source.read_bytes()
    reader = PyAvReader()
    media = await reader.probe(source)
    video = await reader.open_video(media, media.tracks[0], tmp_path)
    (task,) = tasks_for(video, tmp_path, 0, 72)
    for name in ("00000.partial.mkv", "joined.partial.mp4"):
        (tmp_path / name).symlink_to(source)
    executor = LocalSegmentExecutor(find_ffmpeg(), encoder_named("svt-av1").arguments)
    done = await executor.run(task, lambda _frames: None)
    await write_video_track([done], video.index, tmp_path / "joined.mp4")
    assert source.read_bytes() == before
    assert done.frames == 72


async def test_segment_that_is_gone_before_it_was_read_back_is_no_fault_of_the_encoder(
    tmp_path: Path,
) -> None:
    reader = PyAvReader()
    media = await reader.probe(clips.simple(tmp_path))
    video = await reader.open_video(media, media.tracks[0], tmp_path)
    (task,) = tasks_for(video, tmp_path, 0, 72)
    with pytest.raises(PublishError, match="Something removed it"):
        await DecodingInspector().accept(task, tmp_path / "gone.mkv", ProcessUse())


def test_directory_in_the_place_of_a_piece_does_not_stay_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "piece" / "deep").mkdir(parents=True)
    written = tmp_path / "written"
    written.write_text("whole")
    give_name(written, tmp_path / "piece")
    assert (tmp_path / "piece").read_text() == "whole"
    (tmp_path / "other").mkdir()
    assert not cleared(tmp_path / "other").exists()


def test_only_the_link_is_cleared(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(kept)
    assert not cleared(link).is_symlink()
    assert kept.read_text() == "kept"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_full_and_broken_disks_are_no_matter_of_permissions(number: int) -> None:
    error = translate(OSError(number, "text"), "It cannot be written")
    assert isinstance(error, ResourceError)
    assert "permissions" not in error.hint
