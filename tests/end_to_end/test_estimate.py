"""`drapto estimate` on real films, by the real program."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from drapto import Drapto, Estimate, Settings, UsageError
from tests.end_to_end import program
from tests.end_to_end.program import drapto_here
from tests.media import clips
from tests.media import film as film_of

QUICK = ("--preset", "13")


def letterboxed(path: Path, *, frames: int) -> Path:
    """192x108 with bars of 18 rows, without loss."""
    return film_of.write_film(path, film_of.letterbox(film_of.shot(1, frames), top=18, bottom=18))


def contents(directory: Path) -> set[Path]:
    return {path.relative_to(directory) for path in directory.rglob("*")}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where everything that is not asked for would lie: temporary files and state."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    return place


def estimated(*arguments: str | Path, scratch: Path) -> list[dict[str, Any]]:
    done = drapto_here(
        "estimate", *arguments, *QUICK, "--json",
        TMPDIR=str(scratch), XDG_STATE_HOME=str(scratch / "state"),
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_was_predicted_is_what_the_encode_comes_to(tmp_path: Path, scratch: Path) -> None:
    film, _ = clips.with_cuts(tmp_path)
    before = contents(tmp_path)
    [found] = estimated(film, "--crf", "40", scratch=scratch)
    assert contents(tmp_path) == before
    assert contents(scratch) == set()
    output = tmp_path / "out.mkv"
    done = drapto_here("encode", film, output, *QUICK, "--crf", "40", "--json")
    [result] = [e["result"] for e in program.events_of(done) if e["event"] == "job_finished"]
    assert found["frames"] == result["frames"] == 206
    assert found["crf"] == 40 and found["target_vmaf"] is None and found["vmaf"] is None
    assert found["output_bytes"]["likely"] == pytest.approx(result["output_bytes"], rel=0.25)
    saving = 1 - found["output_bytes"]["likely"] / film.stat().st_size
    assert found["saving"]["likely"] == pytest.approx(saving, abs=1e-4)
    assert found["disk_bytes"] == film.stat().st_size
    assert found["memory_bytes"] > 100 << 20
    assert 0 < found["wall_s"]["low"] < found["wall_s"]["likely"] < found["wall_s"]["high"]
    assert found["other_bytes"] > 206 / 24 * 128_000 / 8  # the sound, as Opus


def test_what_would_keep_a_job_from_being_as_estimated_is_said(
    tmp_path: Path, scratch: Path
) -> None:
    film = letterboxed(tmp_path / "film.mkv", frames=24)
    flags = tmp_path / "flags.toml"
    flags.write_text('schema = 1\n[stage.encoding]\nmode = "legacy"\n')
    done = drapto_here(
        "estimate", film, *QUICK, "--crf", "40", "--max-size-percent", "0.5", "--json",
        TMPDIR=str(scratch), XDG_STATE_HOME=str(scratch / "state"), DRAPTO_FLAGS_FILE=str(flags),
    )  # fmt: skip
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert "Legacy scripts would serve encoding" in notes
    assert "would be given up" in notes
    assert contents(scratch) == set()


def test_a_target_leads_to_a_crf_and_a_better_one_to_more_bytes(
    tmp_path: Path, scratch: Path
) -> None:
    film, _ = clips.with_cuts(tmp_path, audio=False)
    good, better = (
        estimated(film, "--target-vmaf", vmaf, scratch=scratch)[0] for vmaf in ("85", "95")
    )
    assert good["target_vmaf"] == 85 and better["target_vmaf"] == 95
    assert good["vmaf"]["likely"] == pytest.approx(85, abs=1.5)
    assert good["crf"] > better["crf"]
    assert good["video_bytes"]["likely"] < better["video_bytes"]["likely"]
    assert contents(scratch) == set()


def test_a_folder_is_one_table_and_a_broken_film_in_it_one_line(
    tmp_path: Path, scratch: Path
) -> None:
    films = tmp_path / "films"
    (films / "sub").mkdir(parents=True)
    clips.silent(films, "one.mkv", frames=30)
    letterboxed(films / "sub" / "letterboxed.mkv", frames=48)
    (films / "broken.mkv").write_bytes(b"\x00\x01 no film " * 99)
    (films / "notes.txt").write_text("not a film")
    sheets = tmp_path / "sheets"
    done = drapto_here(
        "estimate", films, *QUICK, "--crf", "50", "--sheet", sheets,
        TMPDIR=str(scratch), XDG_STATE_HOME=str(scratch / "state"),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("Error:") == 1 and "broken.mkv" in done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "failed" in lines["broken.mkv"]
    assert "192:72:0:18" in lines["letterboxed.mkv"]
    assert lines["all"].split()[1] == "2"
    assert contents(sheets) == {
        Path("one.mkv.png"),
        Path("sub"),
        Path("sub/letterboxed.mkv.png"),
    }
    assert contents(scratch) == set()


def test_a_single_file_that_is_no_film_has_its_own_exit_code(tmp_path: Path, scratch: Path) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"\x00\x01 no film " * 99)
    done = drapto_here("estimate", broken, "--json", TMPDIR=str(scratch))
    assert done.returncode == 3
    said = json.loads(done.stdout)
    assert said["exit_code"] == 3 and said["source"] == str(broken)
    assert done.stderr.startswith("Error:") and done.stderr.count("\n") == 1


def test_a_sheet_for_several_films_cannot_be_one_file(tmp_path: Path) -> None:
    one, other = clips.silent(tmp_path, "a.mkv"), clips.silent(tmp_path, "b.mkv")
    done = drapto_here("estimate", one, other, "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 2
    assert "Name a directory" in done.stderr


def test_a_source_is_never_taken_for_a_contact_sheet(tmp_path: Path) -> None:
    film = clips.silent(tmp_path)
    before = film.read_bytes()
    done = drapto_here("estimate", film, "--sheet", film)
    assert done.returncode == 2 and ".png" in done.stderr
    assert film.read_bytes() == before


def test_an_interrupted_estimate_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    film, _ = clips.with_cuts(tmp_path, [("testsrc2", 240)], size="192x108", audio=False)
    before = contents(tmp_path)
    running = subprocess.Popen(
        program.command("estimate", film, "--preset", "2", "--crf", "20"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(TMPDIR=str(scratch), XDG_STATE_HOME=str(scratch / "state")),
    )
    ends_s = time.monotonic() + 60
    while not list(scratch.rglob("*.partial.mkv")) and time.monotonic() < ends_s:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=60) == 130
    assert contents(scratch) == set()
    assert contents(tmp_path) == before
    assert program.processes_about(film) == []


async def test_from_python_with_a_sheet_and_more_windows(tmp_path: Path) -> None:
    film = letterboxed(tmp_path / "film.mkv", frames=240)
    sheet = tmp_path / "sheet.png"
    settings = Settings(preset=13, crf=45, state_dir=tmp_path / "state")
    async with Drapto(settings) as service:
        found = await service.estimate(film, windows=2, sheet=sheet, crop="auto")
        with pytest.raises(UsageError, match="0 windows"):
            await service.estimate(film, windows=0)
    assert isinstance(found, Estimate)
    assert (found.windows, found.sampled_frames, found.frames) == (2, 96, 240)
    assert str(found.crop) == "192:72:0:18"
    assert (found.width, found.height) == (192, 72)
    assert sheet.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert found.sheet == sheet


def test_hdr_is_tried_at_the_crf_that_it_would_get(tmp_path: Path, scratch: Path) -> None:
    [found] = estimated(clips.hdr10(tmp_path, frames=48), scratch=scratch)
    assert found["target_vmaf"] is None  # no VMAF is made for HDR
    assert found["crf"] == 24 and found["vmaf"] is None and found["frames"] == 48


def test_what_is_measured_of_hdr_is_not_taken_for_vmaf(tmp_path: Path, scratch: Path) -> None:
    [found] = estimated(clips.hdr10(tmp_path, frames=48), "--measure", scratch=scratch)
    assert found["vmaf"] is None


@pytest.mark.parametrize(("asked", "frames"), [("auto", 48), ("bob", 96)])
def test_interlaced_film_is_tried_as_whole_pictures(
    tmp_path: Path, scratch: Path, asked: str, frames: int
) -> None:
    moments = film_of.interlaced(film_of.shot(3, 96, step=(3, 0)))
    film = film_of.write_film(tmp_path / "in.mkv", moments, fps=25)
    [found] = estimated(film, "--crf", "40", "--deinterlace", asked, scratch=scratch)
    assert found["frames"] == found["sampled_frames"] == frames
    assert any("interlaced" in note and "bwdif" in note for note in found["notes"])


def test_telecined_film_is_tried_with_its_repeats_and_says_so(
    tmp_path: Path, scratch: Path
) -> None:
    planes = film_of.telecined(film_of.shot(5, 96, step=(2, 0)))
    film = film_of.write_film(tmp_path / "in.mkv", planes, fps=30)
    [found] = estimated(film, "--crf", "40", scratch=scratch)
    assert found["frames"] == 120
    assert any("telecined" in note and "a fifth" in note for note in found["notes"])
