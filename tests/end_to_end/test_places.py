"""Directories that vanish, fill up or refuse are named, and the next run ends well."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from tests.end_to_end.disturbing import (
    beside,
    contents,
    encode,
    encode_here,
    stage_begins,
    work_dir,
)
from tests.end_to_end.program import QUICK, command, environment
from tests.infrastructure import full_disks


@pytest.mark.slow
def test_work_directory_that_is_deleted_meanwhile_is_the_reason_given(
    film: Path, output: Path, undisturbed: str
) -> None:
    done = encode(
        film,
        output,
        when=stage_begins("detection"),
        then=lambda _: shutil.rmtree(work_dir(output)),
    )
    assert done.code == 1
    assert "Something removed it while the job was running" in done.stderr
    assert "cannot be removed" not in done.stderr
    assert beside(output) == []
    assert encode_here(film, output).code == 0
    assert contents(output) == undisturbed


def test_output_that_appears_meanwhile_is_left_alone(
    film: Path, output: Path, undisturbed: str
) -> None:
    done = encode(
        film,
        output,
        when=stage_begins("validation"),
        then=lambda _: output.write_text("precious"),
    )
    assert done.code == 1
    assert str(output) in done.stderr
    assert "--overwrite" in done.stderr
    assert "the same command goes on" not in done.stderr  # it would be refused
    assert output.read_text() == "precious"
    output.unlink()
    done = encode_here(film, output)
    assert done.code == 0
    assert done.result["resumed_segments"] == done.result["segments"]
    assert contents(output) == undisturbed


def test_output_that_another_start_finishes_just_before_the_lock_is_taken_is_refused(
    film: Path, output: Path, tmp_path: Path
) -> None:
    """It is not there at the first look, and nobody holds the lock any more at the second."""
    late = tmp_path / "ffmpeg-asked-while-another-finishes"
    late.write_text(
        f'#!/bin/sh\ncase "$*" in *{film.name}*) cp -n "{film}" "{output}";; esac\n'
        f'exec {find_ffmpeg()} "$@"\n'
    )
    late.chmod(0o755)
    done = encode_here(film, output, DRAPTO_FFMPEG=str(late))
    assert done.code == 2
    assert "exists already" in done.stderr
    assert done.warnings == []
    assert beside(output) == ["out.mkv"]
    assert output.read_bytes() == film.read_bytes()


def test_refusal_keeps_what_an_earlier_run_has_finished(
    film: Path, output: Path, undisturbed: str
) -> None:
    encode(film, output, when=stage_begins("assembly"), then=lambda process: process.kill())
    output.write_text("precious")
    refused = encode_here(film, output)
    assert (refused.code, refused.warnings) == (2, [])
    assert output.read_text() == "precious"
    done = encode_here(film, output, "--overwrite")
    assert done.result["resumed_segments"] == done.result["segments"]
    assert contents(output) == undisturbed


@pytest.fixture
def without_privileges() -> list[str]:
    """What to put before a command so that permissions count for it, for root too."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("privileges cannot be given up here")
    return prefix


def test_directory_that_may_not_be_written_to_is_named(
    without_privileges: list[str], film: Path, output: Path
) -> None:
    output.parent.chmod(0o555)
    done = encode(film, output, prefix=without_privileges)
    assert done.code == 1
    assert f"The directory of {output} cannot be written to: Permission denied." in done.stderr
    assert beside(output) == []


def test_published_file_is_a_success_wherever_the_manifest_cannot_be_kept(
    film: Path, output: Path, tmp_path: Path, undisturbed: str
) -> None:
    (tmp_path / "file").touch()
    done = encode_here(film, output, DRAPTO_STATE_DIR=str(tmp_path / "file" / "state"))
    assert done.code == 0, done.stderr
    assert done.warnings == ["The manifest could not be kept: its directory cannot be written to."]
    assert done.result["manifest"] is None
    assert contents(output) == undisturbed
    assert beside(output) == ["out.mkv"]


def test_no_home_and_a_bare_locale_are_enough(film: Path, output: Path, tmp_path: Path) -> None:
    named = tmp_path / "Übung 日本 \udcff.mkv"
    shutil.copy2(film, named)
    done = subprocess.run(
        [
            *("env", "-i", f"PATH={os.environ['PATH']}", "LC_ALL=C", "PYTHONUTF8=0"),
            *(f"PYTHONPATH={environment()['PYTHONPATH']}", f"XDG_STATE_HOME={tmp_path}"),
            *command("encode", named, output, *QUICK),
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert output.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 MiB, or a skip where mounting is refused."""
    with full_disks.small_disk(tmp_path, 100 * 1024) as mounted:
        yield mounted


def fill(disk: Path) -> Path:
    """Leave nothing free."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024 * 1024))
        except OSError:
            return path


@pytest.mark.parametrize(
    "stage",
    [
        "encoding",
        pytest.param("detection", marks=pytest.mark.slow),
        pytest.param("assembly", marks=pytest.mark.slow),
        pytest.param("validation", marks=pytest.mark.slow),
    ],
)
def test_disk_that_fills_up_is_named_and_the_next_run_ends_well(
    stage: str, film: Path, small_disk: Path, undisturbed: str
) -> None:
    output = small_disk / "out.mkv"
    done = encode(film, output, when=stage_begins(stage), then=lambda _: fill(small_disk))
    assert done.code == 1, done.stderr
    assert str(small_disk) in done.stderr
    assert "Free some space" in done.stderr
    assert done.warnings == []
    assert not output.exists()
    (small_disk / "filler").unlink()
    again = encode_here(film, output)
    assert again.code == 0, again.stderr
    assert contents(output) == undisturbed
    assert beside(output) == ["out.mkv"]


@pytest.mark.slow
def test_output_on_a_full_disk_beside_a_work_directory_with_room(
    film: Path, small_disk: Path, tmp_path: Path, undisturbed: str
) -> None:
    output, work = small_disk / "out.mkv", tmp_path / "work"
    work.mkdir()
    done = encode(
        film,
        output,
        "--work-dir",
        work,
        when=stage_begins("encoding"),
        then=lambda _: fill(small_disk),
    )
    assert done.code == 1
    assert beside(output) == ["filler"]
    (small_disk / "filler").unlink()
    assert encode_here(film, output, "--work-dir", work).code == 0
    assert contents(output) == undisturbed
    assert list(work.iterdir()) == []


def test_few_open_files_are_named_as_the_reason(film: Path, output: Path, undisturbed: str) -> None:
    done = encode(film, output, open_files=16)  # it takes 20, with two workers
    assert done.code == 1
    assert "ulimit -n" in done.stderr
    assert beside(output) == []
