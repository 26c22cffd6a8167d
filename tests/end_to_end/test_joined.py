"""Recordings that were joined into one MPEG-TS, each with a clock of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drapto.core.errors import InputError
from drapto.core.job import EncodeResult
from tests.end_to_end.test_encode import encode as encode_quickly
from tests.media import clips, odd
from tests.media.hostile import TS_CLOCK_WRAP_S
from tests.media.joined import FLASH_S, FRAMES, HOUR_S, flashes_s, join, part, sync_errors_s

SYNC_S = 0.025  # half of what BT.1359 says is noticed
FRAME_S = 0.04

Builder = Callable[[Path], Path]


async def encode(source: Path, output: Path, **overrides: object) -> EncodeResult:
    """With a quality that leaves a flash where it is."""
    return await encode_quickly(source, output, crf=30.0, **overrides)


def twice(directory: Path) -> Path:
    one = part(directory)
    return join(one, one)


def second_later(directory: Path) -> Path:
    return join(part(directory), part(directory, "2.ts", at_s=5 * HOUR_S))


def second_with_b_frames(directory: Path) -> Path:
    return join(part(directory), part(directory, "2.ts", bframes=3))


def three(directory: Path) -> Path:
    one = part(directory)
    return join(one, part(directory, "2.ts", at_s=5 * HOUR_S, bframes=2), one)


def second_in_the_days_before(directory: Path) -> Path:
    """Further back than half of the 33-bit clock."""
    return join(part(directory, at_s=20 * HOUR_S), part(directory, "2.ts", at_s=HOUR_S))


def first_overflows(directory: Path) -> Path:
    return join(
        part(directory, at_s=TS_CLOCK_WRAP_S - 2.4), part(directory, "2.ts", at_s=5 * HOUR_S)
    )


def with_ac3(directory: Path) -> Path:
    one = part(directory, sound=("-c:a", "ac3"))
    return join(one, one)


def m2ts(directory: Path) -> Path:
    one = part(directory, "part.m2ts", sound=("-c:a", "ac3"))
    return join(one, one)


def changes(result: EncodeResult) -> list[dict[str, Any]]:
    assert result.manifest is not None
    rows = json.loads(result.manifest.read_text())["rows"]
    return [row for row in rows if row["check"] == "clock"]


@pytest.mark.parametrize(
    ("build", "parts"),
    [
        (twice, 2),
        (second_later, 2),
        (second_with_b_frames, 2),
        (three, 3),
        (second_in_the_days_before, 2),
        (first_overflows, 2),
        (with_ac3, 2),
        (m2ts, 2),
    ],
)
async def test_joined_recordings_go_on_in_sync(build: Builder, parts: int, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    result = await encode(build(tmp_path), output)
    times_ms = sorted(pts for pts, _ in clips.decoded_frames(output))
    assert len(times_ms) == parts * FRAMES
    assert np.abs(np.diff(times_ms) - 1000 * FRAME_S).max() <= 2
    errors_s = sync_errors_s(output)
    assert len(errors_s) == parts
    assert max(map(abs, errors_s)) <= SYNC_S
    named = changes(result)
    assert [f"frame {FRAMES * n}" in row["actual"] for n, row in enumerate(named, 1)] == [True] * (
        parts - 1
    )
    assert sum("where another recording begins" in said for said in result.warnings) == parts - 1


async def test_what_was_changed_says_where_and_by_how_much(tmp_path: Path) -> None:
    result = await encode(second_later(tmp_path), tmp_path / "out.mkv")
    (row,) = changes(result)
    leap_s = 5 * HOUR_S - 2  # less than what the first part lasts
    assert row["outcome"] == "named"
    assert row["actual"].startswith("the clock leaps ahead by 1799")
    moved_s = float(row["note"].split(" by ")[1].split(" s")[0])
    assert moved_s == pytest.approx(-leap_s, abs=0.1)
    assert any("leaps ahead" in said and "frame 50" in said for said in result.warnings)


@pytest.mark.parametrize("audio", ["none", "copy"])
async def test_sound_that_is_left_out_or_copied_changes_nothing(audio: str, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    await encode(twice(tmp_path), output, audio=audio)
    assert len(clips.decoded_frames(output)) == 2 * FRAMES
    if audio == "copy":
        assert max(map(abs, sync_errors_s(output))) <= SYNC_S + 0.021  # AAC's priming is kept


async def test_joined_pictures_without_sound_go_on(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    one = part(tmp_path, sound=())
    result = await encode(join(one, part(tmp_path, "2.ts", sound=(), at_s=HOUR_S)), output)
    assert flashes_s(output) == pytest.approx([FLASH_S, FLASH_S + 2], abs=0.002)
    assert len(changes(result)) == 1


async def test_the_output_is_that_of_the_parts_on_one_clock(tmp_path: Path) -> None:
    """Joined where the clock goes on by itself nothing is mended, and the same comes out."""
    mended, plain = tmp_path / "mended.mkv", tmp_path / "plain.mkv"
    one = part(tmp_path)
    await encode(join(one, part(tmp_path, "2.ts", at_s=HOUR_S)), mended)
    result = await encode(join(one, part(tmp_path, "2.ts", at_s=2)), plain)
    assert not changes(result)
    assert clips.decoded_hashes(mended) == clips.decoded_hashes(plain)


async def test_recordings_in_another_container_are_refused_not_cut_short(tmp_path: Path) -> None:
    """Nothing in an MPEG program stream says which sound belongs to which recording."""
    source = odd.joined_program_streams(tmp_path)
    with pytest.raises(InputError, match="several recordings"):
        await encode(source, tmp_path / "out.mkv")
    assert {p.name for p in tmp_path.iterdir()} <= {source.name, "part.mpg", "state"}
