"""What a finished file is compared by, read from real files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from drapto.core.errors import InputError
from drapto.core.json_text import dumps, loads
from drapto.core.media import TrackKind
from drapto.core.output_summary import OutputSummary
from drapto.infrastructure.ffmpeg.summary import summarize_file
from tests.media import clips
from tests.media.tracks import rich_tracks


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rich_tracks(tmp_path_factory.mktemp("rich"))


async def test_everything_of_a_file_is_in_its_summary(rich: Path) -> None:
    found = await summarize_file(rich)
    assert (found.frames, found.damaged, found.fault) == (72, 0, "")
    assert (found.width, found.height, found.frame_rate) == (320, 180, Fraction(24))
    assert found.duration_s == pytest.approx(3, abs=0.002)
    assert (found.chapters, found.attachments) == (2, 1)
    assert found.size_bytes == rich.stat().st_size
    kinds = [t.kind for t in found.tracks if not t.is_cover_art]
    assert kinds == [
        TrackKind.VIDEO, TrackKind.AUDIO, TrackKind.AUDIO, TrackKind.SUBTITLE, TrackKind.SUBTITLE,
    ]  # fmt: skip
    stereo, surround, german = found.tracks[1:4]
    assert (stereo.language, stereo.title, stereo.channels) == ("eng", "Stereo", 2)
    assert (surround.channels, "comment" in surround.dispositions) == (6, True)
    assert (german.language, "forced" in german.dispositions) == ("ger", True)
    assert stereo.start_s == pytest.approx(0, abs=0.03)
    assert stereo.end_s == pytest.approx(3, abs=0.03)
    assert german.start_s == pytest.approx(0.2, abs=0.002)


async def test_times_are_relative_to_the_picture(rich: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.mkv"
    clips.ffmpeg("-i", rich, "-map", "0:v:0", "-map", "0:a", "-c", "copy",
                 "-output_ts_offset", "5", later)  # fmt: skip
    assert (await summarize_file(later)).tracks[1].start_s == pytest.approx(0, abs=0.03)


async def test_reading_packets_alone_says_the_same_of_a_whole_file(rich: Path) -> None:
    decoded = await summarize_file(rich)
    quick = await summarize_file(rich, decode=False)
    assert quick.frames == decoded.frames
    assert [t.language for t in quick.tracks] == [t.language for t in decoded.tracks]


async def test_a_truncated_file_is_a_finding_and_no_error(rich: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(rich.read_bytes()[: rich.stat().st_size // 2])
    assert (await summarize_file(cut)).frames < 72


async def test_garbage_and_files_without_video_are_refused(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.mkv"
    garbage.write_bytes(b"not a film" * 1000)
    for path in (garbage, tmp_path / "missing.mkv", clips.audio_only(tmp_path)):
        with pytest.raises(InputError):
            await summarize_file(path)


async def test_a_summary_survives_as_json(rich: Path) -> None:
    found = await summarize_file(rich, decode=False)
    assert OutputSummary.model_validate(loads(dumps(found))) == found
