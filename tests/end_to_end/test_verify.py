"""`drapto verify` on real pairs of files, made by Drapto and by others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from drapto import CropRect, Drapto, InputError, Metric, Settings, UsageError, Verification
from drapto.bootstrap import verifying
from drapto.core.device import Device
from drapto.core.errors import MissingToolError
from tests.end_to_end.program import drapto_here
from tests.media import clips, film
from tests.media.clips import ffmpeg
from tests.media.film import damage

QUICK: dict[str, Any] = {"preset": 13, "crf": 30.0, "audio": "none"}
SVT = ("-c:v", "libsvtav1", "-preset", "12", "-crf", "35", "-fps_mode", "passthrough")
BARS = CropRect(width=320, height=132, x=0, y=24)


def settings(folder: Path) -> Settings:
    return Settings(state_dir=folder / "state")


async def encode(source: Path, output: Path, **options: Any) -> Path:
    async with Drapto(settings(output.parent)) as d:
        await d.encode(source, output, **{**QUICK, **options})
    return output


async def verified(source: Path, output: Path, **options: Any) -> Verification:
    return await Drapto(settings(output.parent)).verify(source, output, **options)


def by_another(source: Path, name: str, *options: str) -> Path:
    """An AV1 file that Drapto knows nothing of."""
    out = source.parent / name
    ffmpeg("-i", source, "-map", "0:v:0", *SVT, *options, out)
    return out


@pytest.mark.parametrize(
    ("metric", "most"), [(Metric.VMAF, 97), (Metric.XPSNR, 60), (Metric.SSIM, 1)]
)
async def test_a_file_against_itself_scores_the_most_there_is(
    tmp_path: Path, metric: Metric, most: float
) -> None:
    source = clips.silent(tmp_path, frames=24)
    found = await verified(source, source, metric=metric, every_frame=True)
    assert found.quality.minimum >= most
    assert (found.frames, found.quality.measured, found.every) == (24, 24, 1)


def test_the_program_prints_the_figures_and_the_worst_moments(tmp_path: Path) -> None:
    """Frames 48 to 56, in the third second, are blurred: they are found and named."""
    source = clips.silent(tmp_path, frames=96)
    output = by_another(source, "out.mkv", "-vf", "gblur=4:enable='between(n,48,56)'")
    before = source.read_bytes(), output.read_bytes()
    done = drapto_here("verify", source, output, "--every-frame", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert lines["metric"] == "VMAF, model vmaf_v0.6.1"
    assert lines["measured"] == "96 of 96 frames"
    said = done.stdout[done.stdout.index("worst at") :].splitlines()
    assert said[0].split() == ["worst", "at", "frame", "VMAF"]
    time, frame, score = said[1].split()
    assert re.fullmatch(r"0:00:02\.\d{3}", time) and int(frame) in range(48, 57)
    assert score == lines["minimum"]
    assert float(score) < float(lines["p5"].split()[0]) < float(lines["mean"])

    quick = json.loads(drapto_here("verify", source, output, "--json").stdout)
    assert (quick["every"], quick["quality"]["measured"]) == (3, 32)
    assert quick["quality"]["mean"] == pytest.approx(float(lines["mean"]), abs=1)
    assert quick["worst"][0]["frame"] in (48, 51, 54)
    assert (source.read_bytes(), output.read_bytes()) == before
    assert {path.name for path in tmp_path.iterdir()} == {"silent.mkv", "out.mkv"}


async def test_what_drapto_cut_off_is_known_and_of_others_it_is_asked(tmp_path: Path) -> None:
    source = clips.letterboxed(tmp_path, frames=48, bar=24)
    output = await encode(source, tmp_path / "out.mkv")
    found = await verified(source, output)
    assert found.crop == BARS and found.quality.mean > 80
    assert await verified(source, output, crop=BARS) == found

    stranger = output.rename(tmp_path / "renamed.mkv")
    with pytest.raises(InputError, match="320x132, and 320x180") as refused:
        await verified(source, stranger)
    assert "--crop W:H:X:Y" in refused.value.hint
    assert (await verified(source, stranger, crop=BARS)).quality == found.quality
    with pytest.raises(UsageError, match="within the picture, 320x180"):
        await verified(source, stranger, crop=BARS.model_copy(update={"y": 60}))
    moved = BARS.model_copy(update={"y": 25})
    assert (await verified(source, stranger, crop=moved)).quality.mean < found.quality.mean - 3


async def test_what_was_done_to_one_source_is_not_done_to_another(tmp_path: Path) -> None:
    boxed = clips.letterboxed(tmp_path, frames=24, bar=24)
    output = await encode(boxed, tmp_path / "out.mkv")
    whole = tmp_path / "whole.mkv"
    ffmpeg("-i", boxed, "-vf", f"crop={BARS}", *clips.x264(), whole)
    found = await verified(whole, output)
    assert found.crop is None and found.quality.mean > 80


async def test_another_file_in_the_place_of_an_output_is_taken_as_a_strangers(
    tmp_path: Path,
) -> None:
    source = clips.letterboxed(tmp_path, frames=24, bar=24)
    output = await encode(source, tmp_path / "out.mkv")
    ffmpeg("-i", source, "-map", "0:v:0", *SVT, output)
    assert (await verified(source, output)).crop is None


@pytest.mark.parametrize(("asked", "frames"), [("auto", 48), ("bob", 96)])
async def test_whole_pictures_are_compared_with_the_whole_pictures_of_the_source(
    tmp_path: Path, asked: str, frames: int
) -> None:
    fields = film.interlaced(film.shot(3, 96, step=(3, 0)))
    source = film.write_film(tmp_path / "in.mkv", fields, fps=25)
    output = await encode(source, tmp_path / "out.mkv", deinterlace=asked)
    found = await verified(source, output)
    method = "bwdif" if asked == "auto" else asked
    assert (found.frames, found.deinterlacing) == (frames, method)
    again = await verified(source, output, deinterlace=method)
    assert again.quality == found.quality and found.quality.mean > 70
    if method == "bob":
        with pytest.raises(InputError, match="96 frames, not 48") as refused:
            await verified(source, output, deinterlace="off")
        assert "--deinterlace" in refused.value.hint
    else:
        combed = await verified(source, output, deinterlace="off")
        assert combed.quality.mean < found.quality.mean - 10


async def test_repeats_that_were_left_out_are_found_again(tmp_path: Path) -> None:
    fields = film.telecined(film.shot(5, 48, step=(2, 0)))
    source = film.write_film(tmp_path / "in.mkv", fields, fps=30)
    output = await encode(source, tmp_path / "out.mkv")
    found = await verified(source, output)
    assert (found.frames, found.deinterlacing) == (48, "ivtc")
    stranger = output.rename(tmp_path / "renamed.mkv")
    assert (await verified(source, stranger, deinterlace="ivtc")).quality == found.quality
    with pytest.raises(InputError, match="48 frames, not 60"):
        await verified(source, stranger)


@pytest.mark.parametrize("make", [clips.hdr10, clips.hlg])
async def test_hdr_is_measured_by_xpsnr_of_the_coded_signal_and_says_so(
    make: Any, tmp_path: Path
) -> None:
    source = make(tmp_path, frames=12)
    output = await encode(source, tmp_path / "out.mkv")
    found = await verified(source, output)
    assert (found.metric, found.model) == (Metric.XPSNR, "")
    assert 25 < found.quality.mean < 60
    assert "coded signal" in found.notes[0]
    asked = await verified(source, output, metric=Metric.VMAF)
    assert "VMAF has no model for" in asked.notes[0]


@pytest.mark.parametrize("graph", ["select='not(eq(n,20))'", "loop=1:1:20,setpts=N/24/TB"])
def test_another_number_of_frames_is_refused_with_exit_code_3(tmp_path: Path, graph: str) -> None:
    source = clips.silent(tmp_path, frames=30)
    output = by_another(source, "out.mkv", "-vf", graph)
    done = drapto_here("verify", source, output)
    assert done.returncode == 3 and done.stdout == ""
    assert re.search(r"has (29|31) frames, not 30, so nobody can say", done.stderr)
    assert "never guessed" in done.stderr


async def test_frames_are_paired_by_number_not_by_time(tmp_path: Path) -> None:
    """One frame late, and every other time stamp moved: the first is seen, the second is not."""
    source = clips.silent(tmp_path, frames=24)
    straight = await verified(source, by_another(source, "straight.mkv"))
    retimed = by_another(source, "retimed.mkv", "-vf", "setpts='PTS+mod(N,2)*0.02/TB'")
    assert (await verified(source, retimed)).quality == straight.quality
    late = by_another(source, "late.mkv", "-vf", "tpad=start=1:start_mode=clone,trim=end_frame=24")
    assert (await verified(source, late)).quality.mean < straight.quality.mean - 10


async def test_frames_that_the_source_lists_but_does_not_have_are_not_missed(
    tmp_path: Path,
) -> None:
    source = film.write_film(tmp_path / "in.mkv", film.shot(7, 48, step=(2, 1)), fps=24)
    damage(source, packet=20)
    output = await encode(source, tmp_path / "out.mkv")
    found = await verified(source, output)
    assert found.frames < 48 and found.quality.mean > 70


async def test_neg_is_another_model_and_only_vmaf_has_it(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=12)
    found = await verified(source, source, neg=True)
    assert found.model == "vmaf_v0.6.1neg"
    with pytest.raises(UsageError, match="no NEG model of SSIM"):
        await verified(source, source, neg=True, metric=Metric.SSIM)


def test_a_metric_or_file_that_is_none_has_its_exit_code(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=6)
    assert drapto_here("verify", source, source, "--metric", "vmaff").returncode == 2
    assert drapto_here("verify", source, tmp_path / "nothing.mkv").returncode == 3


def test_an_ffmpeg_that_cannot_measure_is_exit_code_4(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=6)
    done = drapto_here("verify", source, source, DRAPTO_FFMPEG=str(tmp_path / "ffmpeg"))
    assert done.returncode == 4


async def test_an_argument_that_is_not_allowed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'deinterlace' of verify: .*'bwdif'"):
        await verified(tmp_path / "in.mkv", tmp_path / "out.mkv", deinterlace="yadif")


@pytest.mark.slow
async def test_on_a_device_vmaf_is_that_of_libvmaf_and_the_device_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's CPU by a name that is not that of the CPU: all of it is real but the engine, in whose
    place DeviceLumaReader goes on with the frames of the CPU."""
    pytest.importorskip("vmaf_torch", reason="needs drapto[gpu]")
    source = clips.silent(tmp_path, frames=24)
    output = by_another(source, "out.mkv")
    wanted = await verified(source, output)
    monkeypatch.setattr(verifying, "find_device", lambda _wanted: Device(name="cpu:0", why="test"))
    found = await verified(source, output)
    assert found.quality.mean == pytest.approx(wanted.quality.mean, abs=0.1)
    assert found.quality.mean != wanted.quality.mean, "it was not computed elsewhere"
    assert found.notes[0].startswith("VMAF was computed in torch on cpu:0")
    assert "cpu:0 does not decode" in found.notes[1]
    neg = await verified(source, output, neg=True)
    assert neg.model == "vmaf_v0.6.1neg" and neg.notes == ()

    monkeypatch.setattr(verifying, "find_device", lambda _wanted: Device(name="meta:0", why="test"))
    left = await verified(source, output)
    assert left.quality == wanted.quality
    assert "cannot be measured on meta:0" in left.notes[0]
    assert left.notes[0].endswith("So libvmaf measured it.")


async def test_a_device_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=12)
    named = Settings(state_dir=tmp_path / "state", device="cuda:77")
    with pytest.raises(MissingToolError, match="'cuda:77' cannot be used"):
        await Drapto(named).verify(source, source)
    # Nothing of this is measured on a device, so none is looked for.
    assert (await Drapto(named).verify(source, source, metric=Metric.SSIM)).quality.mean == 1


def test_the_metric_in_use_for_hdr_is_named_wherever_figures_are(tmp_path: Path) -> None:
    """VMAF, which people expect, has no model for it."""
    source, output = clips.hdr10(tmp_path, frames=12), tmp_path / "out.mkv"
    state = str(tmp_path / "state")
    options = ("--preset", "13", "--audio", "none", "--measure")
    done = drapto_here("encode", source, output, *options, DRAPTO_STATE_DIR=state)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^quality: XPSNR \d\d\.\d\d dB; .* \(12 frames measured\)$", done.stdout, re.M
    )
    [manifest] = (tmp_path / "state" / "manifests").glob("*.json")
    assert json.loads(manifest.read_text())["quality"]["measuring"]["metric"] == "xpsnr"

    checked = drapto_here("verify", source, output, DRAPTO_STATE_DIR=state)
    assert checked.returncode == 0, checked.stderr
    assert "metric: XPSNR\n" in checked.stdout
    assert "note: The picture is hdr10: XPSNR is of the coded signal" in checked.stdout

    page = tmp_path / "page.html"
    reported = drapto_here("report", output, "-o", page, DRAPTO_STATE_DIR=state)
    assert reported.returncode == 0, reported.stderr
    assert re.search(r"XPSNR \d\d\.\d dB", page.read_text())
    for said in (done, checked, reported):
        assert "VMAF" not in said.stdout
