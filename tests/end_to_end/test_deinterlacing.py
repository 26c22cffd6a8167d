"""Interlaced and telecined films through the whole program: what is shown, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from drapto import Drapto, Settings
from drapto.core.events import Event, StageFinished, StageProgress, StageStarted
from drapto.core.job import EncodeResult, Stage
from drapto.core.manifest import Manifest
from tests.legacy import needs_tools
from tests.media import clips, film
from tests.media.clips import ffmpeg
from tests.media.sound import BEEP_SOURCE, BEEPS_S, beeps_after_flashes_s

AUDIO_FRAME_S = 0.0214
"""1024 samples of AAC at 48 kHz; a packet of Opus is 20 ms."""

QUICK: dict[str, Any] = {"preset": 13, "crf": 20.0, "min_segment_s": 0.2, "max_segment_s": 0.5}


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


async def encode(
    source: Path, output: Path, *, settings: dict[str, Any] | None = None, **more: Any
) -> tuple[EncodeResult, Manifest]:
    state = Settings(state_dir=output.parent / "state", **(settings or {}))
    async with Drapto(state) as d:
        result = await d.encode(source, output, keep_work=True, **{**QUICK, **more})
    assert result.manifest is not None
    return result, Manifest.from_json(result.manifest.read_text())


def journal_of(output: Path) -> list[dict[str, Any]]:
    path = output.parent / f".{output.name}.drapto" / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def pictures(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(seconds, luma of 8 bits) of every frame; none of them calls itself interlaced."""
    times, planes = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert not frame.interlaced_frame
            times.append(frame.time)
            luma = frame.to_ndarray()[: frame.height]
            planes.append(luma >> 2 if "10" in frame.format.name else luma)
    return np.array(times), np.stack(planes)


def psnr_db(found: np.ndarray, wanted: np.ndarray) -> float:
    error = float(np.mean((found.astype(np.float64) - wanted) ** 2))
    return 10 * np.log10(255**2 / max(error, 1e-9))


def telecined(directory: Path, original: film.Planes) -> Path:
    """At 30000/1001, in H.264 that says that it holds fields."""
    plain = film.write_film(directory / "plain.mkv", film.telecined(original), fps=30)
    out = directory / "telecined.mkv"
    fields = ("-flags", "+ildct+ilme", "-x264-params", "tff=1", "-g", "12")
    retimed = "setpts=N*1001/30000/TB,setfield=tff"
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "12", *fields)
    ffmpeg("-i", plain, "-vf", retimed, "-r", "30000/1001", *coded, out)
    return out


async def test_telecined_film_comes_out_as_the_film_that_it_was(tmp_path: Path) -> None:
    original = film.shot(5, 96, step=(2, 0))
    result, manifest = await encode(telecined(tmp_path, original), tmp_path / "out.mkv")
    assert result.frames == 96
    assert result.settings.deinterlacing.method == "ivtc"
    times_s, found = pictures(tmp_path / "out.mkv")
    assert min(psnr_db(a, b) for a, b in zip(found, original, strict=True)) > 32
    assert np.abs(np.diff(times_s) - 1001 / 24000).max() <= 0.0011
    (row,) = [row for row in manifest.rows if row.check == "deinterlacing"]
    assert "24 of 120 frames are repeats and are left out" in row.note
    assert row.outcome == "named"
    assert any("telecined film (top field first): inverse" in said for said in result.warnings)


async def test_looking_for_the_rhythm_belongs_to_detection(tmp_path: Path) -> None:
    source, heard = telecined(tmp_path, film.shot(5, 96, step=(2, 0))), Heard()
    async with Drapto(Settings(state_dir=tmp_path / "state"), sinks=[heard]) as d:
        await d.encode(source, tmp_path / "out.mkv", **QUICK)
    of_detection = [e for e in heard.events if getattr(e, "stage", None) is Stage.DETECTION]
    assert isinstance(of_detection[0], StageStarted)
    assert isinstance(of_detection[-1], StageFinished)
    done = [event.done for event in of_detection if isinstance(event, StageProgress)]
    assert sorted(done) != done  # it begins anew, and nothing of it comes after the end


async def test_resumed_job_leaves_out_the_same_frames(tmp_path: Path) -> None:
    source, output = telecined(tmp_path, film.shot(5, 96, step=(2, 0))), tmp_path / "out.mkv"
    await encode(source, output)
    whole = clips.decoded_hashes(output)
    journal = output.parent / f".{output.name}.drapto" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    first_done = next(n for n, line in enumerate(lines) if '"segment_done"' in line)
    journal.write_text("".join(lines[: first_done + 1]))
    output.unlink()
    result, _ = await encode(source, output)
    assert 0 < result.resumed_segments < result.segments
    entries = [entry["entry"] for entry in journal_of(output)]
    assert entries.count("deinterlacing_settled") == entries.count("analysis_done") == 1
    assert clips.decoded_hashes(output) == whole


@pytest.mark.parametrize(
    ("asked", "frames", "rate"), [("auto", 48, 25), ("bob", 96, 50), ("off", 48, 25)]
)
async def test_interlaced_film_becomes_whole_pictures(
    tmp_path: Path, asked: str, frames: int, rate: int
) -> None:
    moments = film.shot(3, 96, step=(3, 0))
    source = film.write_film(tmp_path / "in.mkv", film.interlaced(moments), fps=25)
    result, manifest = await encode(source, tmp_path / "out.mkv", deinterlace=asked)
    times_s, found = pictures(tmp_path / "out.mkv")
    assert len(found) == result.frames == frames
    assert np.abs(np.diff(times_s) - 1 / rate).max() <= 0.0011
    combed, whole = film.interlaced(moments), moments[:: 96 // frames]
    if asked == "bob":
        combed = np.repeat(combed, 2, axis=0)
    as_combed, as_whole = (
        np.mean([psnr_db(a, b) for a, b in zip(found[2:-2], shown[2:-2], strict=True)])
        for shown in (combed, whole)
    )
    assert (as_whole > as_combed + 2) == (asked != "off"), (as_whole, as_combed)
    rows = [row for row in manifest.rows if row.check == "deinterlacing"]
    assert len(rows) == (asked != "off")


async def test_explicit_method_is_obeyed_on_a_progressive_film(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=24)
    result, _ = await encode(source, tmp_path / "out.mkv", deinterlace="bob")
    assert result.frames == 48
    assert any("progressive: bwdif makes two" in said for said in result.warnings)


async def test_nothing_of_a_progressive_film_says_anything_of_fields(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=24)
    result, manifest = await encode(source, tmp_path / "out.mkv")
    assert result.settings.deinterlacing.is_off
    assert not [row for row in manifest.rows if row.check == "deinterlacing"]
    entries = [entry["entry"] for entry in journal_of(tmp_path / "out.mkv")]
    assert "deinterlacing_settled" not in entries


def flashing_in_fields(directory: Path, filters: str) -> Path:
    """A beep with each flash, in a picture that moves; `filters` make fields of 60000/1001."""
    lit = "+".join(f"between(t,{at - 0.001},{at + 0.099})" for at in BEEPS_S)
    picture = "testsrc2=s=192x144:r=60000/1001:d=3,scroll=h=0.01,lutyuv=y=val/3"
    flash = f"drawbox=c=white:t=fill:enable='{lit}',{filters}"
    out = directory / "flashing.mkv"
    coded = ("-c:v", "ffv1", "-c:a", "aac")
    ffmpeg("-f", "lavfi", "-i", picture, *BEEP_SOURCE, "-vf", flash, *coded, out)
    return out


@pytest.mark.parametrize(
    ("filters", "asked"),
    [
        ("tinterlace=interleave_top,setfield=tff", "auto"),
        ("tinterlace=interleave_top,setfield=tff", "bob"),
        ("fps=24000/1001,telecine=pattern=23", "ivtc"),
    ],
)
async def test_sound_stays_with_the_picture(tmp_path: Path, filters: str, asked: str) -> None:
    source, output = flashing_in_fields(tmp_path, filters), tmp_path / "out.mkv"
    result, _ = await encode(source, output, deinterlace=asked)
    assert not result.settings.deinterlacing.is_off
    frame_s = result.duration_s / result.frames
    heard = beeps_after_flashes_s(output)
    assert heard == pytest.approx([0] * len(BEEPS_S), abs=AUDIO_FRAME_S + frame_s)


@needs_tools
@pytest.mark.parametrize("asked", [pytest.param("bob", marks=pytest.mark.slow), "auto"])
async def test_legacy_encoding_gets_the_same_pictures(tmp_path: Path, asked: str) -> None:
    original = film.shot(5, 96, step=(2, 0))
    source = telecined(tmp_path, original)
    new, _ = await encode(source, tmp_path / "new.mkv", deinterlace=asked)
    routes = {"encoding": "legacy", "segmentation": "legacy"}
    old, manifest = await encode(source, tmp_path / "old.mkv", deinterlace=asked, routes=routes)
    assert old.frames == new.frames == (240 if asked == "bob" else 96)
    assert manifest.ok
    (_, by_new), (_, by_old) = pictures(tmp_path / "new.mkv"), pictures(tmp_path / "old.mkv")
    assert min(psnr_db(a, b) for a, b in zip(by_new, by_old, strict=True)) > 32
