"""A film is brought to a VMAF: real encodes, measured again by somebody else."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from drapto import Drapto, InputError, NoSavingError, QualityMissedError, Settings
from drapto.core.job import EncodeResult
from drapto.core.manifest import Manifest
from drapto.core.quality import Metric
from tests.end_to_end.disturbing import encode as disturbed
from tests.end_to_end.disturbing import encode_here
from tests.end_to_end.program import drapto, drapto_here
from tests.media import clips
from tests.media.corpus.recipes import picture, tone

# One worker: then the same film is always encoded in the same order.
SHORT: dict[str, Any] = {"preset": 13, "min_segment_s": 0.5, "max_segment_s": 1.0, "workers": 1}
TARGET = 90.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five shots, each of more than one segment where segments are short."""
    scenes = tuple((picture, frames * 3 // 4) for picture, frames in clips.SCENES)
    return clips.with_cuts(tmp_path_factory.mktemp("film"), scenes=scenes, size="256x144")[0]


async def encode(source: Path, output: Path, **more: Any) -> tuple[EncodeResult, Manifest]:
    async with Drapto(Settings(state_dir=output.parent / "state")) as d:
        result = await d.encode(source, output, **{**SHORT, **more})
    assert result.manifest is not None
    return result, Manifest.from_json(result.manifest.read_text())


@pytest.fixture(scope="module")
def steered(
    film: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EncodeResult, Manifest]:
    """The output, which lies beside its state and its work."""
    output = tmp_path_factory.mktemp("steered") / "out.mkv"
    options = {"target_vmaf": TARGET, "max_extra": 1.0, "keep_work": True}
    return output, *anyio.run(partial(encode, film, output, **options))


async def test_a_film_reaches_its_target_and_says_how_good_each_segment_is(
    film: Path, steered: tuple[Path, EncodeResult, Manifest]
) -> None:
    output, result, manifest = steered
    assert manifest.quality is not None
    # Test patterns are like no film: the curves that real ones have in common lead less far here.
    assert manifest.quality.film.mean == pytest.approx(TARGET, abs=2.0)
    assert manifest.quality.reached == (manifest.quality.film.mean >= TARGET - 0.25)
    assert len({segment.crf for segment in manifest.segments}) > 1, "all at one CRF"
    for segment in manifest.segments:
        assert segment.quality is not None
        assert segment.quality.minimum <= segment.quality.p5 <= segment.quality.mean
    assert manifest.quality.single_crf is not None
    assert manifest.quality == result.quality
    assert {time.stage for time in manifest.stages} >= {"detection", "encoding", "publishing"}
    assert manifest.cuts
    # Somebody who knows nothing of segments, and measures all frames, finds the same.
    found = await Drapto().verify(film, output, every_frame=True)
    assert found.quality.mean == pytest.approx(manifest.quality.film.mean, abs=0.5)
    assert len(list((output.parent / "state" / "films").iterdir())) == 1
    kept = sum(segment.size_bytes for segment in manifest.segments)
    assert result.output_bytes > 0.8 * kept


def test_a_killed_job_is_steered_on_as_if_it_had_never_stopped(film: Path, tmp_path: Path) -> None:
    options = ("--target-vmaf", str(TARGET), "--crf", "auto", "--workers", "1")
    state = str(tmp_path / "state")
    # A state of its own: the second film of a machine begins where the first one ended.
    other = str(tmp_path / "other state")
    whole = encode_here(film, tmp_path / "whole.mkv", *options, DRAPTO_STATE_DIR=other)
    assert whole.code == 0, whole.stderr

    finished = 0

    def third(event: dict[str, Any]) -> bool:
        nonlocal finished
        finished += event["event"] == "segment_finished"
        return finished == 3

    output = tmp_path / "killed.mkv"
    killed = disturbed(
        film, output, *options, when=third, then=subprocess.Popen.kill, DRAPTO_STATE_DIR=state
    )
    assert killed.acted
    resumed = encode_here(film, output, *options, DRAPTO_STATE_DIR=state)
    assert resumed.code == 0, resumed.stderr
    assert resumed.result["resumed_segments"] >= 3
    assert clips.decoded_hashes(output) == clips.decoded_hashes(tmp_path / "whole.mkv")


def test_only_the_kept_encode_of_a_segment_stays_on_the_disk(
    steered: tuple[Path, EncodeResult, Manifest],
) -> None:
    output, result, manifest = steered
    assert result.quality is not None
    assert result.quality.extra_frames > 0, "nothing was encoded again: the test tests nothing"
    work = output.parent / ".out.mkv.drapto"
    assert len(list((work / "segments").iterdir())) == len(manifest.segments)
    entries = [json.loads(line) for line in (work / "journal.jsonl").read_text().splitlines()]
    encodes = [entry for entry in entries if entry["entry"] == "segment_done"]
    assert len(encodes) > len(manifest.segments)


@pytest.mark.parametrize("make", [clips.letterboxed, clips.ts, clips.vfr], ids=lambda f: f.__name__)
async def test_what_is_compared_is_what_was_encoded(make: Any, tmp_path: Path) -> None:
    """A frame beside its own, or bars against the picture, would score far below."""
    source = make(tmp_path)
    result, _ = await encode(source, tmp_path / "out.mkv", crf=20.0, measure=True)
    assert result.quality is not None
    assert result.quality.target is None
    assert result.quality.film.minimum > 80


async def test_hdr_is_encoded_at_a_crf_and_measured_only_by_what_is_valid(tmp_path: Path) -> None:
    source = clips.hdr10(tmp_path)
    plain, _ = await encode(source, tmp_path / "plain.mkv", target_vmaf=90.0)
    assert plain.quality is None
    assert any("no valid model for hdr10" in warning for warning in plain.warnings)
    measured, _ = await encode(source, tmp_path / "measured.mkv", measure=True)
    assert measured.quality is not None
    assert measured.quality.measuring.metric == "xpsnr"


async def test_pictures_too_small_for_vmaf_are_encoded_and_verified(tmp_path: Path) -> None:
    """libvmaf would end with a signal."""
    source = picture("tiny.mkv", size="64x16")(tmp_path)
    output = tmp_path / "out.mkv"
    result, _ = await encode(source, output)
    assert result.quality is None
    assert (await Drapto().verify(source, output)).metric == "xpsnr"
    with pytest.raises(InputError, match="64x16 pixels, too few for VMAF"):
        await Drapto().verify(source, output, metric=Metric.VMAF)


async def test_a_crf_means_one_crf_and_no_measuring(film: Path, tmp_path: Path) -> None:
    result, manifest = await encode(film, tmp_path / "out.mkv", crf=45.0)
    assert result.quality is None
    assert {segment.crf for segment in manifest.segments} == {45.0}
    assert all(segment.quality is None for segment in manifest.segments)


async def test_an_output_that_saves_too_little_is_given_up(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    for options in ({"target_vmaf": TARGET}, {"crf": 10.0}):
        with pytest.raises(NoSavingError, match="No saving"):
            await encode(film, output, max_size_percent=0.5, **options)
        assert list(tmp_path.iterdir()) == [tmp_path / "state"]
    done = drapto("encode", film, output, "--crf", "10", "--preset", "13",
                  "--max-size-percent", "0.5")  # fmt: skip
    assert done.returncode == 6
    assert "the source stays as it is" in done.stderr


async def test_sound_counts_for_the_size_that_is_allowed(tmp_path: Path) -> None:
    source = picture("loud.mkv", "-c:a", "pcm_s16le", sound=tone(1))(tmp_path)
    output, percent = tmp_path / "out.mkv", 60.0
    options: dict[str, Any] = {"crf": 63.0, "audio": "copy"}
    _, manifest = await encode(source, output, **options)
    video = sum(segment.size_bytes for segment in manifest.segments)
    allowed = source.stat().st_size * percent / 100
    assert video < allowed < output.stat().st_size, "the test tests nothing"

    again = tmp_path / "again.mkv"
    with pytest.raises(NoSavingError):
        await encode(source, again, max_size_percent=percent, **options)
    assert not again.exists()


def test_in_a_batch_a_file_without_a_saving_is_skipped(film: Path, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "film.mkv").symlink_to(film)
    done = drapto_here("encode", films, tmp_path / "av1", "--crf", "10", "--preset", "13",
                  "--max-size-percent", "0.5")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No saving" in done.stderr
    assert "1 skipped" in done.stdout
    assert not list((tmp_path / "av1").rglob("*.mkv"))


async def test_strict_fails_where_the_target_is_out_of_reach(film: Path, tmp_path: Path) -> None:
    with pytest.raises(QualityMissedError, match="could not be brought within"):
        await encode(film, tmp_path / "out.mkv", target_vmaf=99.9, strict=True)
    assert not (tmp_path / "out.mkv").exists()
    result, _ = await encode(film, tmp_path / "out.mkv", target_vmaf=99.9, resume=False)
    assert result.quality is not None
    assert not result.quality.reached
    assert result.quality.notes
    assert set(result.quality.notes) <= set(result.warnings)


def test_legacy_encoding_keeps_its_own_aim(film: Path, tmp_path: Path) -> None:
    done = drapto_here("encode", film, tmp_path / "out.mkv", "--preset", "13",
                  "--target-vmaf", "90", "--route", "encoding=legacy",
                  DRAPTO_STATE_DIR=str(tmp_path / "state"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "only Drapto's own AV1 encoders" in done.stdout + done.stderr
