"""Sources that are whole, but not what one expects: encoded, and looked at by ffmpeg alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from drapto.core.errors import InputError
from drapto.core.job import EncodeResult
from drapto.infrastructure.ffmpeg.frames import index_packets
from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.end_to_end.test_encode import encode
from tests.media import clips, hostile, odd

Builder = Callable[[Path], Path]


def times_s(path: Path) -> list[float]:
    """The time of every frame that ffmpeg decodes, from the first one on."""
    tick = probe_file(path).tracks[0].time_base
    pts = sorted(pts for pts, _ in clips.decoded_frames(path))
    return [float((at - pts[0]) * tick) for at in pts]


def named_rows(result: EncodeResult) -> dict[str, str]:
    """What the manifest names: the note by the check."""
    assert result.manifest is not None
    rows = json.loads(result.manifest.read_text())["rows"]
    return {row["check"]: row["note"] for row in rows if row["outcome"] == "named"}


@pytest.mark.parametrize(
    ("build", "frames"),
    [
        (odd.changed_size_ts, 48),
        (odd.changed_size_webm, 48),
        (odd.changed_depth_ts, 48),
    ],
)
async def test_a_picture_that_changes_midway_comes_out_in_one_piece(
    build: Builder, frames: int, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    result = await encode(build(tmp_path), output)
    assert len(clips.decoded_frames(output)) == frames
    track = probe_file(output).tracks[0]
    assert (track.width, track.height) == (192, 108)
    resized = "changes its size at frame" in " ".join(result.warnings)
    assert resized == (build is not odd.changed_depth_ts)


@pytest.mark.parametrize(
    "build",
    [
        odd.changed_size_ts,
        odd.changed_size_mpeg2,
        odd.changed_size_hevc,
        odd.changed_size_webm,
        odd.changed_size_vp8,
    ],
)
def test_a_change_of_size_is_told_by_the_index(build: Builder, tmp_path: Path) -> None:
    indexed = index_packets(build(tmp_path), 0)
    assert len(indexed.table.resized) == 1
    # A joined MPEG-TS marks the frame at the seam as damaged, so its place may be one off.
    assert any(f"its size at frame {n};" in note for note in indexed.index.notes for n in (23, 24))


@pytest.mark.parametrize("build", [odd.rgb, odd.untagged_rgb])
async def test_rgb_is_encoded_as_bt709_and_that_is_named(build: Builder, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    result = await encode(build(tmp_path), output)
    color = probe_file(output).tracks[0].color
    assert (color.matrix, color.range) == ("bt709", "tv")
    assert {"color_matrix", "color_range", "chroma_format"} <= set(named_rows(result))


@pytest.mark.parametrize("build", [odd.transparent, odd.transparent_webm])
async def test_lost_transparency_is_named(build: Builder, tmp_path: Path) -> None:
    output = tmp_path / "out.webm"
    result = await encode(build(tmp_path), output)
    assert "alpha" in named_rows(result)
    assert any("transparency" in warning for warning in result.warnings)
    assert "alpha_mode" not in probe_file(output).tracks[0].tags


@pytest.mark.parametrize(("encoder", "name"), [("x265", "out.mkv"), ("x264", "out.mp4")])
async def test_b_frames_around_a_long_frame_do_not_lengthen_the_film(
    encoder: str, name: str, tmp_path: Path
) -> None:
    source, output = odd.long_frame(tmp_path), tmp_path / name
    await encode(source, output, encoder=encoder, preset=0)
    assert times_s(output) == pytest.approx(times_s(source), abs=0.0015)
    assert probe_file(output).duration_s == pytest.approx(3.0, abs=0.015)


async def test_a_recording_that_begins_between_key_frames_keeps_its_sound_in_step(
    tmp_path: Path,
) -> None:
    source, output = hostile.begins_between_key_frames(tmp_path), tmp_path / "out.mkv"
    result = await encode(source, output)

    def first_s(path: Path, kind: str) -> Fraction:
        track = next(t for t in probe_file(path).tracks if t.kind == kind)
        return Fraction(track.start_pts or 0) * track.time_base

    index = index_packets(source, 0).index
    before_s = first_s(source, "audio") - Fraction(int(index.pts[0])) * index.time_base
    after_s = first_s(output, "audio") - first_s(output, "video")
    assert abs(float(after_s - before_s)) < 0.025
    assert result.frames == len(clips.decoded_frames(output)) == len(index)


async def test_a_track_without_packets_is_named_where_the_container_drops_it(
    tmp_path: Path,
) -> None:
    result = await encode(odd.silent_track(tmp_path), tmp_path / "out.mp4")
    assert "no packets" in named_rows(result)["track_present"]


async def test_sound_without_key_marks_is_copied_whole(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    result = await encode(odd.unmarked_sound(tmp_path), output, audio="copy")
    assert not named_rows(result)
    assert probe_file(output).tracks[1].codec == "aac"


async def test_recordings_with_clocks_of_their_own_are_refused_not_cut_short(
    tmp_path: Path,
) -> None:
    source = odd.joined_sound(tmp_path)
    with pytest.raises(InputError, match="several recordings"):
        await encode(source, tmp_path / "out.mkv")
    assert {p.name for p in tmp_path.iterdir()} <= {source.name, "part.ts", "state"}


def test_empty_packets_of_avi_are_no_missing_end(tmp_path: Path) -> None:
    index = index_packets(odd.holey_avi(tmp_path), 0).index
    assert len(index) == 24
    assert not any("cut off" in note for note in index.notes)
