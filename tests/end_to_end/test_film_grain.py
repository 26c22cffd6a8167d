"""Film grain is taken off, coded as a table, and put on again: real encodes, decoded both ways."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from drapto import Drapto, Settings, UsageError
from drapto.core.job import EncodeResult
from drapto.core.manifest import Manifest
from drapto.core.quality import Reference
from drapto.core.routing import Mode, RoutedStage
from drapto.infrastructure.ffmpeg import obu
from drapto.services.detection.features import NumpyBackend
from tests.end_to_end.disturbing import encode as disturbed
from tests.legacy import needs_tools
from tests.media import clips

SHORT: dict[str, Any] = {"preset": 10, "min_segment_s": 0.5, "max_segment_s": 0.75, "workers": 2}
STILL = f"gradients=seed=7:speed=0.01:nb_colors=4:{clips.COLORS}:s=320x180:r=24:d=1000"
FRAMES = 36


def film(directory: Path, noise: int) -> Path:
    """A second and a half of slow colours, with temporal noise of about this deviation."""
    path = directory / "film.mkv"
    grain = f",noise=c0s={noise}:c0f=t" if noise else ""
    picture = f"{STILL},format=yuv420p,trim=end_frame={FRAMES}{grain}"
    clips.ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "ffv1", path)
    return path


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("noisy"), noise=5)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("clean"), noise=0)


async def encode(source: Path, output: Path, **more: Any) -> tuple[EncodeResult, Manifest]:
    async with Drapto(Settings(state_dir=output.parent / "state")) as d:
        result = await d.encode(source, output, **{**SHORT, **more})
    assert result.manifest is not None
    return result, Manifest.from_json(result.manifest.read_text())


def grain_of(path: Path) -> float:
    """As detection measures it, of what a player shows."""
    levels = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            ten = frame.format.components[0].bits == 10
            luma = frame.to_ndarray(format="gray10le" if ten else "gray")
            levels.append(NumpyBackend().noise(luma, 10 if ten else 8))
    return float(np.median([level for level in levels if level is not None]))


def grain_flags(path: Path) -> set[bool]:
    """What the sequence headers of all packets say, and of nothing else."""
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    headers = [
        unit for packet in packets for unit in obu.split(packet) if unit.kind == obu.SEQUENCE_HEADER
    ]
    assert headers
    return {obu.has_film_grain(header) for header in headers}


async def test_decoded_grain_is_that_of_the_source(noisy: Path, tmp_path: Path) -> None:
    source = grain_of(noisy)
    assert source > 1.5, "the clip is not noisy: the test tests nothing"
    output = tmp_path / "out.mkv"
    result, manifest = await encode(noisy, output, crf=35, film_grain="auto")
    assert result.settings.film_grain == manifest.settings.film_grain
    assert result.settings.film_grain == pytest.approx(10 * source, rel=0.2)
    assert grain_of(output) == pytest.approx(source, rel=0.25)
    assert grain_flags(output) == {True}
    assert len(manifest.segments) == 2
    assert result.frames == len(clips.decoded_frames(output)) == FRAMES

    await encode(noisy, tmp_path / "off.mkv", crf=35)
    assert grain_of(tmp_path / "off.mkv") < 0.3 * source, "the encoder kept it without help"
    assert grain_flags(tmp_path / "off.mkv") == {False}


async def test_clean_film_gets_no_grain_by_itself(clean: Path, tmp_path: Path) -> None:
    result, _ = await encode(clean, tmp_path / "out.mkv", crf=45, film_grain="auto")
    assert result.settings.film_grain == 0
    assert grain_flags(tmp_path / "out.mkv") == {False}


async def test_quality_is_that_of_the_base_layer(noisy: Path, clean: Path, tmp_path: Path) -> None:
    """Made of a noisy film, it is as good as one that was made of the clean one; against the noisy
    source it would look bad, and more so with grain on it."""
    kinds: dict[str, Any] = {"crf": 35, "measure": True}
    _, grainy = await encode(noisy, tmp_path / "grainy.mkv", film_grain="auto", **kinds)
    _, plain = await encode(noisy, tmp_path / "plain.mkv", **kinds)
    assert grainy.quality is not None
    assert plain.quality is not None
    assert grainy.quality.measuring.reference is Reference.DENOISED
    assert plain.quality.measuring.reference is Reference.SOURCE
    assert grainy.quality.film.mean > plain.quality.film.mean + 3


async def test_verify_compares_what_the_encode_was_measured_by(noisy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    _, manifest = await encode(noisy, output, film_grain="auto", crf=35, measure=True)
    assert manifest.quality is not None
    settings = Settings(state_dir=tmp_path / "state")
    known = await Drapto(settings).verify(noisy, output, every_frame=True)
    assert known.reference is Reference.DENOISED
    assert known.quality.mean == pytest.approx(manifest.quality.film.mean, abs=0.5)
    assert any("without grain" in note for note in known.notes)

    stranger = Settings(state_dir=tmp_path / "elsewhere")
    shown = await Drapto(stranger).verify(noisy, output, every_frame=True)
    assert shown.reference is Reference.SOURCE
    assert shown.quality.mean < known.quality.mean - 3
    assert any("film grain" in note for note in shown.notes)


async def test_film_with_grain_is_steered_to_its_target(noisy: Path, tmp_path: Path) -> None:
    _, manifest = await encode(
        noisy, tmp_path / "out.mkv", target_vmaf=80, film_grain="auto", max_extra=1.0
    )
    assert manifest.quality is not None
    assert manifest.quality.film.mean == pytest.approx(80, abs=2)
    assert not (tmp_path / "state" / "films").exists(), "other films were to learn from this one"
    assert manifest.quality.measuring.reference is Reference.DENOISED


async def test_level_is_refused_where_the_encoder_has_none(noisy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="x264 has no film grain"):
        await encode(noisy, tmp_path / "out.mkv", crf=35, encoder="x264", film_grain=10)
    result, _ = await encode(noisy, tmp_path / "out.mkv", crf=35, encoder="x264", film_grain="auto")
    assert result.settings.film_grain == 0


@pytest.mark.slow
async def test_no_segment_is_encoded_before_the_grain_is_known(tmp_path: Path) -> None:
    """As the journal tells; with a level of its own, a film as long as this begins early."""
    many: dict[str, Any] = {"preset": 13, "crf": 50, "min_segment_s": 0.25, "max_segment_s": 0.5}
    film, _ = clips.with_cuts(tmp_path, size="128x72", audio=False)
    for choice, early in (("auto", False), (10, True)):
        output = tmp_path / f"{choice}.mkv"
        await encode(film, output, film_grain=choice, keep_work=True, **many)
        journal = (output.parent / f".{output.name}.drapto" / "journal.jsonl").read_text()
        entries = [json.loads(line)["entry"] for line in journal.splitlines()]
        assert ("segments_added" in entries) is early


async def test_changed_level_mixes_no_segments(noisy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    kept: dict[str, Any] = {"crf": 50, "keep_work": True}
    first, _ = await encode(noisy, output, film_grain=10, **kept)
    again, _ = await encode(noisy, output, film_grain=10, overwrite=True, **kept)
    assert again.resumed_segments == first.segments
    other, _ = await encode(noisy, output, film_grain=30, overwrite=True, **kept)
    assert other.resumed_segments == 0
    assert any("film grain was 10, now 30" in warning for warning in other.warnings)


@pytest.mark.slow  # the kills of other jobs, with one more setting that is pinned
async def test_killed_job_goes_on_at_its_level(noisy: Path, tmp_path: Path) -> None:
    options = ("--film-grain", "auto", "--crf", "40", "--preset", "12", "--workers", "1")
    kept = {"DRAPTO_STATE_DIR": str(tmp_path / "state"), "DRAPTO_MAX_SEGMENT_S": "0.5"}
    kept["DRAPTO_MIN_SEGMENT_S"] = "0.25"

    def first(event: dict[str, Any]) -> bool:
        return bool(event["event"] == "segment_finished")

    output = tmp_path / "killed.mkv"
    killed = disturbed(noisy, output, *options, when=first, then=subprocess.Popen.kill, **kept)
    assert killed.acted
    resumed = disturbed(noisy, output, *options, **kept)
    assert resumed.code == 0, resumed.stderr
    assert 1 <= resumed.result["resumed_segments"] < resumed.result["segments"]
    assert resumed.result["settings"]["film_grain"] > 10
    assert grain_flags(output) == {True}


@needs_tools
@pytest.mark.slow
async def test_packaged_script_keeps_the_level(noisy: Path, tmp_path: Path) -> None:
    routes: dict[str, Any] = {"routes": {RoutedStage.ENCODING: Mode.LEGACY}}
    for level in (10, "off"):
        output = tmp_path / f"{level}.mkv"
        await encode(noisy, output, crf=50, film_grain=level, **routes)
        assert grain_flags(output) == {level != "off"}
