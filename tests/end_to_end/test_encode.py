"""Real files through the whole path, looked at afterwards by other means than Drapto's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drapto import Drapto, EncodeOptions, RunOptions, Settings
from drapto.core.job import EncodeResult
from drapto.core.media import TrackKind
from drapto.core.quality import Metric
from drapto.infrastructure.ffmpeg.probe import probe_file
from drapto.services.encoding.svt_av1 import SvtAv1
from tests.end_to_end.program import QUICK, events_of
from tests.end_to_end.program import drapto_here as drapto
from tests.media import clips, tracks

QUICKLY: dict[str, Any] = {"preset": 13, "crf": 50.0}


async def encode(source: Path, output: Path, **overrides: Any) -> EncodeResult:
    async with Drapto(Settings(state_dir=output.parent / "state")) as d:
        return await d.encode(source, output, **{**QUICKLY, **overrides})


async def test_every_frame_arrives_with_its_own_timestamp(tmp_path: Path) -> None:
    source, _cuts = clips.with_cuts(tmp_path)
    output = tmp_path / "out.mkv"
    result = await encode(source, output)
    before, after = clips.decoded_frames(source), clips.decoded_frames(output)
    assert len(after) == len(before) == result.frames
    assert [pts for pts, _ in after] == [pts for pts, _ in before]
    assert result.segments >= 2
    assert output.stat().st_size == result.output_bytes
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, "out.mkv", "state"])


async def test_everything_beside_the_video_is_kept(tmp_path: Path) -> None:
    source = tracks.rich_tracks(tmp_path)
    output = tmp_path / "out.mkv"
    result = await encode(source, output)
    before, after = probe_file(source), probe_file(output)

    def beside(media: object) -> list[tuple[object, ...]]:
        return [
            (t.kind, t.language, t.title, t.dispositions)
            for t in media.tracks  # type: ignore[attr-defined]
            if t.kind is not TrackKind.VIDEO
        ]

    assert beside(after) == beside(before)
    assert {t.codec for t in after.of_kind(TrackKind.AUDIO)} == {"opus"}
    assert after.attachments == before.attachments
    assert [c.title for c in after.chapters] == [c.title for c in before.chapters]
    assert len(after.cover_art) == len(before.cover_art)
    assert {t.source_index for t in result.tracks if t.source_index is not None} == {
        t.index for t in before.tracks
    }


@pytest.mark.parametrize("preset", [10, 13])
async def test_lowest_crf_is_the_best_picture(preset: int, tmp_path: Path) -> None:
    """SVT-AV1's quick presets spoil the picture where quantisation all but ends."""
    source, output = clips.silent(tmp_path, frames=24), tmp_path / "out.mkv"
    async with Drapto(Settings(state_dir=tmp_path / "state")) as d:
        await d.encode(source, output, crf=SvtAv1.crf_range[0], preset=preset)
        found = await d.verify(source, output, metric=Metric.XPSNR)
    assert found.quality.minimum > 30


@pytest.mark.slow  # test_corpus.py has sources of these kinds, and looks closer
@pytest.mark.parametrize(
    "make",
    [
        clips.vfr,
        clips.start_offset,
        clips.edit_list,
        clips.open_gop,
        clips.ts,
        clips.raw_h264,
        clips.raw_hevc,
        clips.hdr10,
        clips.hlg,
        clips.anamorphic,
        clips.rotated,
        clips.mirrored,
        clips.odd_size,
        clips.ten_bit_422,
        clips.twelve_bit_444,
        clips.silent,
        clips.letterboxed,
    ],
)
async def test_unusual_sources_pass_validation(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = make(tmp_path)
    output = tmp_path / "out.mkv"
    result = await encode(source, output, keep_work=True)
    assert result.manifest is not None
    manifest = json.loads(result.manifest.read_text())
    assert [row for row in manifest["rows"] if row["outcome"] == "fail"] == []
    assert len(clips.decoded_frames(output)) == result.frames > 0


async def test_bars_are_cut_off_and_said_so(tmp_path: Path) -> None:
    source = clips.letterboxed(tmp_path)
    result = await encode(source, tmp_path / "out.mkv")
    assert result.crop is not None
    before, after = probe_file(source).tracks[0], probe_file(tmp_path / "out.mkv").tracks[0]
    assert (after.width, after.height) == (result.crop.width, result.crop.height)
    assert after.height is not None and before.height is not None
    assert after.height < before.height
    whole = await encode(source, tmp_path / "whole.mkv", crop="off")
    assert whole.crop is None


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
async def test_other_containers_are_named_with_what_they_cannot_hold(
    suffix: str, tmp_path: Path
) -> None:
    source = tracks.rich_tracks(tmp_path)
    output = tmp_path / f"out{suffix}"
    result = await encode(source, output)
    assert output.exists()
    assert any(t.action == "dropped" for t in result.tracks)
    assert len(result.tracks) >= len(probe_file(source).tracks)


@pytest.mark.parametrize("encoder", ["x265", "x264"])
async def test_other_encoders_make_a_valid_file(encoder: str, tmp_path: Path) -> None:
    source, _ = clips.with_cuts(tmp_path)
    result = await encode(source, tmp_path / "out.mkv", encoder=encoder)
    assert probe_file(result.output).tracks[0].codec == {"x265": "hevc", "x264": "h264"}[encoder]
    before, after = clips.decoded_frames(source), clips.decoded_frames(result.output)
    assert [pts for pts, _ in after] == [pts for pts, _ in before]


async def test_changed_settings_start_afresh_and_say_so(tmp_path: Path) -> None:
    source = clips.simple(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    async with Drapto(Settings(state_dir=tmp_path / "state")) as d:
        for crf in (50.0, 45.0):
            await d.encode(
                source,
                tmp_path / f"{crf:g}.mkv" if crf == 50 else tmp_path / "50.mkv",
                options=EncodeOptions(crf=crf, preset=13),
                run=RunOptions(work_dir=work, keep_work=True, overwrite=True),
            )
    journals = [p.read_text() for p in work.rglob("journal.jsonl")]
    assert len(journals) == 1
    assert journals[0].count('"job_created"') == 1
    assert '"crf":45' in journals[0].replace(" ", "")


def test_command_line_prints_events_and_leaves_only_the_output(tmp_path: Path) -> None:
    source = clips.simple(tmp_path)
    done = drapto("encode", source, tmp_path / "out.mkv", *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    names = [event["event"] for event in events_of(done)]
    assert names[0] == "job_started"
    assert names[-1] == "job_finished"
    assert "plan_ready" in names
    assert "segment_finished" in names
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, "out.mkv"])


def test_dry_run_prints_commands_and_writes_nothing(tmp_path: Path) -> None:
    source = clips.raw_hevc(tmp_path)
    done = drapto("encode", source, tmp_path / "out.mkv", *QUICK, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "libsvtav1" in done.stdout
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.slow
def test_user_without_scripts_needs_no_tool_of_theirs(film: Path, tmp_path: Path) -> None:
    """With the flags that Drapto comes with, and no program but its own in reach."""
    (tmp_path / "nothing").mkdir()
    done = drapto(
        "encode", film, tmp_path / "out.mkv", *QUICK,
        PATH=str(tmp_path / "nothing"), XDG_CONFIG_HOME=str(tmp_path),
        DRAPTO_STATE_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    assert done.stderr == ""
