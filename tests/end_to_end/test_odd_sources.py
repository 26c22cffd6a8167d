"""Sources that are whole, but not what one expects: encoded, and looked at by ffmpeg alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest

from drapto import Drapto, Settings
from drapto.core.analysis import ShapeChange
from drapto.core.job import EncodeResult
from drapto.infrastructure.ffmpeg.frames import index_packets
from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.end_to_end.test_encode import encode
from tests.media import clips, hostile, odd

Builder = Callable[[Path], Path]

MPEG2_CHANGES_AT = 23
"""ffmpeg's decoder drops the frame that it holds back before the 25th."""


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
    what = "bit depth" if build is odd.changed_depth_ts else "size"
    assert f"The picture changes its {what} at frame" in " ".join(result.warnings)
    assert "picture_changes" in named_rows(result)


@pytest.mark.parametrize(
    ("build", "part", "encoder"),
    [
        (odd.changed_size_ts, "size{}.ts", "svt-av1"),
        (odd.changed_size_ts, "size{}.ts", "x265"),
        (odd.changed_size_webm, "part{}.webm", "x264"),
        (odd.changed_size_mpeg4, "size4{}.ts", "svt-av1"),
    ],
)
async def test_a_crop_counts_in_the_size_of_the_track_in_every_frame(
    build: Builder, part: str, encoder: str, tmp_path: Path
) -> None:
    crop = "160:90:16:10"
    output = tmp_path / "out.mkv"
    await encode(build(tmp_path), output, encoder=encoder, crop=crop, crf=15.0)
    wanted = [
        luma(tmp_path / part.format(number), f"scale=192:108,crop={crop}", (160, 90))
        for number in (0, 1)
    ]
    assert_same_pictures(luma(output, "null", (160, 90)), np.concatenate(wanted))


async def test_bars_are_found_in_pictures_of_both_sizes(tmp_path: Path) -> None:
    source, output = odd.changed_size_letterboxed(tmp_path), tmp_path / "out.mkv"
    result = await encode(source, output, crf=15.0)
    crop = result.crop
    # Scaling may leave a grey line at the edge of the bars, which counts as picture.
    assert crop is not None
    assert (crop.width, crop.x) == (320, 0)
    assert 26 <= crop.y <= 30
    assert 150 <= crop.y + crop.height <= 154
    size = crop.width, crop.height
    wanted = [
        luma(tmp_path / f"bars{number}.ts", f"scale=320:180,crop={crop}", size) for number in (0, 1)
    ]
    assert_same_pictures(luma(output, "null", size), np.concatenate(wanted))


def luma(path: Path, graph: str, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Every frame after ffmpeg's filters: (frames, height, width), 0..255."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "fatal", "-i", f"file:{path}"]
    argv += ["-vf", f"{graph},format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    done = subprocess.run(argv, capture_output=True, check=True)
    samples = np.frombuffer(done.stdout, np.uint8).astype(np.float32)
    return samples.reshape(-1, size[1], size[0])


def assert_same_pictures(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> None:
    """As many, each like the one in its place and like no other."""
    assert len(found) == len(wanted)
    for number, picture in enumerate(found):
        distance = np.abs(wanted - picture).mean((1, 2))
        assert int(distance.argmin()) == number
        assert distance[number] < 6


@pytest.mark.parametrize(
    "build",
    [
        odd.changed_size_ts,
        odd.changed_size_mpeg2,
        odd.changed_size_mpeg4,
        odd.changed_size_hevc,
        odd.changed_size_webm,
        odd.changed_size_vp8,
        odd.changed_size_av1,
    ],
)
async def test_a_change_of_size_is_found_in_every_codec(build: Builder, tmp_path: Path) -> None:
    (change,) = await shape_changes(build(tmp_path))
    assert change.frame == (MPEG2_CHANGES_AT if build is odd.changed_size_mpeg2 else 24)
    assert (change.before.size, change.after.size) == ("192x108", "320x180")


@pytest.mark.parametrize("codec", [None, odd.MPEG2, odd.MPEG4])
async def test_a_change_of_pixel_shape_is_found(
    codec: tuple[str, ...] | None, tmp_path: Path
) -> None:
    (change,) = await shape_changes(odd.changed_aspect_ts(tmp_path, codec))
    assert change.frame == (MPEG2_CHANGES_AT if codec is odd.MPEG2 else 24)
    assert change.before.display_aspect == pytest.approx(16 / 9)
    assert change.after.display_aspect == pytest.approx(4 / 3)


async def shape_changes(source: Path) -> tuple[ShapeChange, ...]:
    async with Drapto(Settings(state_dir=source.parent / "state")) as d:
        found = await d.analyze(source)
    return found.analysis.shape_changes


async def test_a_change_of_pixel_shape_is_named(tmp_path: Path) -> None:
    result = await encode(odd.changed_aspect_ts(tmp_path), tmp_path / "out.mkv")
    said = "changes its shape at frame 24 (from 1.78:1 to 1.33:1); all of it will be shown at 1.78"
    assert said in " ".join(result.warnings)
    assert "picture_changes" in named_rows(result)


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


def test_empty_packets_of_avi_are_no_missing_end(tmp_path: Path) -> None:
    index = index_packets(odd.holey_avi(tmp_path), 0).index
    assert len(index) == 24
    assert not any("cut off" in note for note in index.notes)
