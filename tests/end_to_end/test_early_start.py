"""Encoding begins while detection still runs, and changes nothing about the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drapto import Drapto, Settings
from drapto.core.events import Event
from drapto.core.job import EncodeResult
from drapto.infrastructure.machine import cpu_cores
from tests.media import clips, hostile
from tests.media import film as film_of

SHORT: dict[str, Any] = {"preset": 13, "crf": 50.0, "min_segment_s": 0.25, "max_segment_s": 0.5}
"""Segments so short that a clip of a few seconds is a long film."""


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


async def encode(source: Path, output: Path, **more: Any) -> tuple[EncodeResult, list[str]]:
    """The result, and the names of the journal's entries in order."""
    settings = Settings(state_dir=output.parent / "state")
    async with Drapto(settings) as d:
        result = await d.encode(source, output, keep_work=True, **{**SHORT, **more})
    journal = output.parent / f".{output.name}.drapto" / "journal.jsonl"
    return result, [json.loads(line)["entry"] for line in journal.read_text().splitlines()]


def seventeen_seconds(directory: Path) -> Path:
    scenes = (*clips.SCENES, *clips.SCENES[::-1])
    return clips.with_cuts(directory, scenes=scenes, size="160x90")[0]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return seventeen_seconds(tmp_path)


async def test_segments_are_handed_out_before_the_analysis_is_done(
    film: Path, tmp_path: Path
) -> None:
    early, entries = await encode(film, tmp_path / "early.mkv")
    assert early.frames >= 12 * cpu_cores(), "the film is too short for an early start here"
    assert entries.index("segments_added") < entries.index("analysis_done")
    # A crop that is asked for is settled at once; a crop that has to be found in a letterboxed
    # film is not, so nothing is handed out early there.
    late, entries = await encode(film, tmp_path / "late.mkv", max_segment_s=10.0)
    assert "segments_added" not in entries
    assert late.frames == early.frames
    source = [pts for pts, _ in clips.decoded_frames(film)]
    assert [pts for pts, _ in clips.decoded_frames(tmp_path / "early.mkv")] == source


@pytest.mark.slow
async def test_early_segments_are_those_of_the_whole_plan(film: Path, tmp_path: Path) -> None:
    result, entries = await encode(film, tmp_path / "out.mkv")
    assert "discarded" not in entries
    assert entries.count("segment_done") == result.segments


async def test_what_was_begun_on_a_wrong_index_is_withdrawn(tmp_path: Path) -> None:
    whole = seventeen_seconds(tmp_path)
    damaged = hostile.with_hole(whole, tmp_path / "damaged.mp4")
    result, entries = await encode(damaged, tmp_path / "out.mkv")
    assert any("decoded" in warning for warning in result.warnings)
    assert len(clips.decoded_frames(tmp_path / "out.mkv")) == result.frames
    assert entries[-1] == "transition"


def shots(first: int, count: int, frames: int) -> film_of.Planes:
    seeds = range(first, first + count)
    return film_of.film(*(film_of.shot(seed, frames, step=(3, 0)) for seed in seeds))


async def test_what_was_begun_before_fields_were_seen_is_withdrawn(tmp_path: Path) -> None:
    planes = film_of.film(shots(1, 6, 20), film_of.interlaced(shots(7, 6, 40)))
    source = film_of.write_film(tmp_path / "late.mkv", planes, fps=25)
    result, entries = await encode(source, tmp_path / "out.mkv", crop="off")
    assert entries.index("segments_added") < entries.index("analysis_done")
    assert entries.count("deinterlacing_settled") == 1
    settled = entries.index("deinterlacing_settled")
    assert entries[settled:].count("segment_done") == result.segments
    assert result.settings.deinterlacing.method == "match"
    assert result.frames == 240


@pytest.mark.slow
async def test_encoding_does_not_begin_on_a_film_that_begins_in_fields(tmp_path: Path) -> None:
    planes = film_of.interlaced(shots(1, 5, 40))
    source = film_of.write_film(tmp_path / "fields.mkv", planes, fps=25)
    result, entries = await encode(source, tmp_path / "out.mkv", crop="off")
    assert "segments_added" not in entries
    assert "discarded" not in entries
    assert result.settings.deinterlacing.method == "bwdif"
    # Asked to leave it as it is, nothing has to be waited for.
    result, entries = await encode(source, tmp_path / "off.mkv", crop="off", deinterlace="off")
    assert entries.index("segments_added") < entries.index("analysis_done")
    assert "discarded" not in entries
