"""HDR10+ and Dolby Vision from end to end: what libavcodec's decoders export for every frame of
the output is what they export for that frame of the source."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drapto import Drapto, Mode, RoutedStage, Settings
from drapto.core.dolby_vision.rpu import Rpu
from drapto.core.job import EncodeResult
from drapto.core.media import CropRect
from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.end_to_end import disturbing
from tests.media import dynamic_hdr as hdr
from tests.media.hdr import dolby_vision as recorded_only

SHORT: dict[str, Any] = {"preset": 13, "crf": 50.0, "max_segment_s": 1.0, "crop": "off"}
FRAMES = 60

Rows = dict[str, dict[str, str]]


async def encode(source: Path, output: Path, **overrides: Any) -> EncodeResult:
    async with Drapto(Settings(state_dir=output.parent / "state")) as d:
        return await d.encode(source, output, **{**SHORT, **overrides})


def rows_of(result: EncodeResult) -> Rows:
    assert result.manifest is not None
    manifest = json.loads(result.manifest.read_text())
    assert manifest["ok"]
    return {row["check"]: row for row in manifest["rows"]}


def both(directory: Path, name: str = "both.mkv", **more: Any) -> Path:
    rpus = hdr.each(hdr.rpu_81)
    return hdr.source(directory, name, frames=FRAMES, hdr10_plus=hdr.message, rpu=rpus, **more)


@pytest.mark.parametrize(
    "name", ["both.mkv", "both.mp4", pytest.param("both.ts", marks=pytest.mark.slow), "both.hevc"]
)
async def test_every_frame_keeps_its_metadata_from_any_container(tmp_path: Path, name: str) -> None:
    source, output = both(tmp_path, name), tmp_path / "out.mkv"
    result = await encode(source, output)
    assert result.segments > 2
    before, after = hdr.side_data(source), hdr.side_data(output)
    assert after == before
    assert len(after) == FRAMES
    assert all(len(frame) == 2 for frame in after)
    for kind in ("DYNAMIC_HDR_PLUS", "DOVI_METADATA"):
        assert len({frame[kind] for frame in after}) == FRAMES, "no frame is like another"
    rows = rows_of(result)
    for check in ("hdr10_plus", "dolby_vision"):
        assert rows[check]["actual"] == f"{FRAMES} of {FRAMES} frames equal"
        assert rows[check]["outcome"] == "pass"
    assert not [text for text in result.warnings if "HDR10+" in text or "Dolby" in text]


@pytest.mark.parametrize("name", ["out.mp4", pytest.param("out.webm", marks=pytest.mark.slow)])
async def test_other_outputs_carry_frames_and_record_too(tmp_path: Path, name: str) -> None:
    source, output = both(tmp_path), tmp_path / name
    result = await encode(source, output)
    assert hdr.side_data(output) == hdr.side_data(source)
    record = probe_file(output).tracks[0].color.dolby_vision
    assert record is not None
    assert (record.profile, record.level, record.compatibility_id) == (10, 1, 1)
    assert rows_of(result)["dolby_vision_record"]["outcome"] == "pass"


@pytest.mark.parametrize(
    ("make", "base", "compatibility", "said"),
    [
        (hdr.rpu_84, "hlg", 4, ""),
        (hdr.rpu_5, "hdr10", 0, "right colours only in players that know Dolby Vision"),
    ],
)
async def test_profiles_become_those_of_av1(
    tmp_path: Path, make: Callable[[int], Rpu], base: str, compatibility: int, said: str
) -> None:
    source = hdr.source(tmp_path, frames=FRAMES, rpu=hdr.each(make), base=base)
    output = tmp_path / "out.mkv"
    result = await encode(source, output)
    assert hdr.side_data(output) == hdr.side_data(source)
    record = probe_file(output).tracks[0].color.dolby_vision
    assert record is not None and record.compatibility_id == compatibility
    warned = " ".join(result.warnings)
    assert said in warned if said else "Dolby" not in warned


@pytest.mark.parametrize("full", [True, pytest.param(False, marks=pytest.mark.slow)])
async def test_profile_7_becomes_8_without_its_layer(tmp_path: Path, full: bool) -> None:
    source = hdr.source(
        tmp_path,
        frames=FRAMES,
        rpu=hdr.each(lambda frame: hdr.rpu_7(frame, full=full)),
        enhancement=True,
    )
    expected = hdr.source(tmp_path, "expected.mkv", frames=FRAMES, rpu=hdr.each(hdr.rpu_81))
    output = tmp_path / "out.mkv"
    result = await encode(source, output)
    assert hdr.side_data(output) == hdr.side_data(expected)
    (said,) = [text for text in result.warnings if "profile 7" in text]
    assert ("is lost" if full else "adds no detail") in said
    rows = rows_of(result)
    assert rows["dolby_vision_layer"]["outcome"] == "named"
    assert rows["dolby_vision"]["actual"] == f"{FRAMES} of {FRAMES} frames equal"


async def test_a_crop_moves_active_areas_and_windows(tmp_path: Path) -> None:
    def area(frame: int, bar: int) -> Rpu:
        return hdr.rpu_81(frame, hdr.active_area(0, 8, bar if frame % 2 else 30, bar))

    def windows(frame: int, bar: int) -> bytes:
        return hdr.message(frame, (hdr.window(40, 60 - bar, 100, 120 - bar),))

    source = hdr.source(
        tmp_path,
        frames=FRAMES,
        rpu=hdr.each(lambda frame: area(frame, 20)),
        hdr10_plus=lambda frame: windows(frame, 0),
    )
    expected = hdr.source(
        tmp_path,
        "expected.mkv",
        frames=FRAMES,
        rpu=hdr.each(lambda n: hdr.rpu_81(n, hdr.active_area(0, 8, 0 if n % 2 else 10, 0))),
        hdr10_plus=lambda frame: windows(frame, 20),
    )
    output = tmp_path / "out.mkv"
    result = await encode(source, output, crop=CropRect(width=320, height=140, x=0, y=20))
    assert hdr.side_data(output) == hdr.side_data(expected)
    assert "new edges" in rows_of(result)["dolby_vision"]["note"]


async def test_frames_of_uneven_length_keep_theirs(tmp_path: Path) -> None:
    source, output = (
        both(tmp_path, video_filter="select='mod(n\\,7)*mod(n\\,5)'"),
        tmp_path / "o.mkv",
    )
    result = await encode(source, output)
    assert hdr.side_data(output) == hdr.side_data(source)
    assert result.frames < FRAMES


async def test_av1_sources_keep_theirs(tmp_path: Path) -> None:
    source, between, output = both(tmp_path), tmp_path / "between.mp4", tmp_path / "out.mkv"
    await encode(source, between)
    await encode(between, output)
    assert hdr.side_data(output) == hdr.side_data(source)


async def test_scripts_of_the_legacy_side_get_it_too(tmp_path: Path) -> None:
    source, output = both(tmp_path), tmp_path / "out.mkv"
    result = await encode(source, output, routes={RoutedStage.ENCODING: Mode.LEGACY})
    assert hdr.side_data(output) == hdr.side_data(source)
    assert {route.stage: str(route.primary) for route in result.routes}[
        RoutedStage.ENCODING
    ] == "legacy"


def test_a_killed_job_goes_on_with_it(tmp_path: Path) -> None:
    frames, seconds = 96, {"DRAPTO_MAX_SEGMENT_S": "1.0"}
    rpus = hdr.each(hdr.rpu_81)
    source = hdr.source(tmp_path, frames=frames, hdr10_plus=hdr.message, rpu=rpus)
    output = tmp_path / "out.mkv"
    options = ("--crop", "off", "--workers", "1")
    killed = disturbing.encode(
        source,
        output,
        *options,
        when=lambda event: event["event"] == "segment_finished",
        then=lambda process: process.send_signal(signal.SIGKILL),
        **seconds,
    )
    assert killed.acted and killed.code == -signal.SIGKILL
    done = disturbing.encode_here(source, output, *options, **seconds)
    assert done.code == 0
    assert 0 < done.result["resumed_segments"] < done.result["segments"]
    assert hdr.side_data(output) == hdr.side_data(source)


async def test_what_some_frames_lack_is_told_and_the_others_keep(tmp_path: Path) -> None:
    def every_third(frame: int) -> bytes | None:
        return hdr.each(hdr.rpu_81)(frame) if frame % 3 == 2 else None

    source, output = hdr.source(tmp_path, frames=FRAMES, rpu=every_third), tmp_path / "out.mkv"
    result = await encode(source, output)
    row = rows_of(result)["dolby_vision"]
    assert row["expected"] == f"{FRAMES // 3} of {FRAMES} frames"
    assert row["actual"] == f"{FRAMES // 3} of {FRAMES // 3} frames equal"
    assert any(f"{FRAMES // 3} of {FRAMES} frames carry" in text for text in result.warnings)


async def test_metadata_that_begins_late_is_found(tmp_path: Path) -> None:
    source = hdr.source(
        tmp_path, frames=FRAMES, hdr10_plus=lambda n: hdr.message(n) if n >= 24 else None
    )
    output = tmp_path / "out.mkv"
    await encode(source, output)
    after = hdr.side_data(output)
    assert after == hdr.side_data(source)
    assert not any(after[:12]) and all(after[24:])  # what is between, decoding order decides


async def test_one_message_for_a_scene_is_that_of_its_frames(tmp_path: Path) -> None:
    """As the decoder has it: the message of the picture decoded last holds until another one."""
    source = hdr.source(
        tmp_path, frames=FRAMES, hdr10_plus=lambda n: hdr.message(n) if n in (0, 30) else None
    )
    output = tmp_path / "out.mkv"
    await encode(source, output)
    after = hdr.side_data(output)
    assert after == hdr.side_data(source)
    assert all(after) and len({frame["DYNAMIC_HDR_PLUS"] for frame in after}) == 2


async def test_damaged_metadata_that_must_change_is_left_out_by_name(tmp_path: Path) -> None:
    def damaged(frame: int) -> bytes | None:
        unit = hdr.each(hdr.rpu_81)(frame)
        assert unit is not None
        return unit if frame != 7 else unit[:30] + bytes((unit[30] ^ 4,)) + unit[31:]

    source, output = hdr.source(tmp_path, frames=FRAMES, rpu=damaged), tmp_path / "out.mkv"
    result = await encode(source, output, crop=CropRect(width=320, height=140, x=0, y=20))
    row = rows_of(result)["dolby_vision"]
    assert row["outcome"] == "named"
    assert "frames 7 carry cannot be read" in row["note"]
    assert row["actual"] == f"{FRAMES - 1} of {FRAMES - 1} frames equal"


async def test_encoders_that_cannot_carry_it_say_so_before(tmp_path: Path) -> None:
    source, output = both(tmp_path), tmp_path / "out.mkv"
    result = await encode(source, output, encoder="x265")
    warned = " ".join(result.warnings)
    assert "HDR10+ metadata of the single frames is not carried over (only AV1" in warned
    assert "Dolby Vision metadata (profile 8) is not carried over; only AV1" in warned
    rows = rows_of(result)
    assert {rows[check]["outcome"] for check in ("hdr10_plus", "dolby_vision")} == {"named"}


async def test_a_record_without_metadata_is_told(tmp_path: Path) -> None:
    source, output = recorded_only(tmp_path), tmp_path / "out.mp4"
    result = await encode(source, output)
    (said,) = [text for text in result.warnings if "Dolby Vision" in text]
    assert "no frame holds such metadata" in said
    assert rows_of(result)["dolby_vision"]["outcome"] == "named"
    assert probe_file(output).tracks[0].color.dolby_vision is None


async def test_analyze_says_what_an_encode_would_lose(tmp_path: Path) -> None:
    source = hdr.source(tmp_path, frames=12, rpu=hdr.each(hdr.rpu_7))
    async with Drapto(Settings(state_dir=tmp_path)) as d:
        found = await d.analyze(source)
    assert [note for note in found.analysis.notes if "enhancement layer" in note]
