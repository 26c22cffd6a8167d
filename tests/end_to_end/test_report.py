"""`drapto report` on what the real program encoded."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.program import drapto_here
from tests.media import clips
from tests.web_pages import Page, in_browser, needs_browser

ODD = os.fsdecode(b"-caf\xe9 <b>\n.mkv")
ENCODE = ("--crf", "40", "--preset", "13", "--keep-work")

Report = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a source, an output, its work directory, and the state directory."""
    home = tmp_path_factory.mktemp("encoded")
    clips.with_cuts(home, clips.HALF, rate=12, name="in.mkv")[0].rename(home / ODD)
    done = drapto_here(
        "encode", *ENCODE, "--", home / ODD, home / f"out{ODD}",
        DRAPTO_STATE_DIR=str(home / "state"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def report(encoded: Path) -> Report:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return drapto_here("report", *arguments, DRAPTO_STATE_DIR=str(encoded / "state"))

    return run


def manifest_of(encoded: Path) -> Path:
    (path,) = encoded.glob(".*.drapto/manifest.json")
    return path


def test_report_lies_beside_the_output_and_is_not_replaced(encoded: Path, report: Report) -> None:
    output = encoded / f"out{ODD}"
    out = output.with_suffix(".html")
    done = report("--", output)
    assert done.returncode == 0, done.stderr
    assert "Written to" in done.stderr
    assert r"caf\xe9 <b>" in done.stderr
    page = Page(out.read_text("utf-8"))
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 2 * 5  # segments
    assert "No pictures" not in done.stderr
    assert r"-caf\xe9 <b>" in page.text
    before = out.read_bytes()
    again = report("--", output)
    assert again.returncode == 2
    assert "exists already. Use --overwrite" in again.stderr
    assert out.read_bytes() == before
    assert report("--overwrite", "--", output).returncode == 0
    assert not list(encoded.glob(".drapto-*"))


@needs_browser
def test_browser_shows_pictures_of_both_files(
    encoded: Path, report: Report, tmp_path: Path
) -> None:
    done = report(manifest_of(encoded), "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    shown, complaints = in_browser((tmp_path / "page.html").read_text("utf-8"), tmp_path)
    assert complaints == []
    assert Page(shown).text.count("picture: frame") == 5


def test_report_without_the_source_says_why_it_has_no_pictures(
    encoded: Path, report: Report, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    shutil.move(encoded / ODD, hidden)
    try:
        done = report("-o", tmp_path / "page.html", "--", encoded / f"out{ODD}")
    finally:
        shutil.move(hidden, encoded / ODD)
    assert done.returncode == 0, done.stderr
    assert "No pictures are in the report. The source" in done.stderr
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert "There are no pictures. The source" in page.text
    assert "No such file or directory" in page.text
    assert "img" not in {tag for tag, _ in page.tags}


def test_output_that_was_changed_since_is_bad_input(
    encoded: Path, report: Report, tmp_path: Path
) -> None:
    output = encoded / f"out{ODD}"
    whole = output.read_bytes()
    output.write_bytes(whole[:-1])
    try:
        done = report("-o", tmp_path / "page.html", "--", output)
        of_manifest = report(manifest_of(encoded), "-o", tmp_path / "page.html")
    finally:
        output.write_bytes(whole)
    assert done.returncode == 3
    assert "is not the file that its manifest" in done.stderr
    assert of_manifest.returncode == 0
    assert "No pictures are in the report. The output" in of_manifest.stderr


def test_what_is_no_output_of_drapto_is_bad_input(
    encoded: Path, report: Report, tmp_path: Path
) -> None:
    for given in (encoded / ODD, tmp_path / "gone.json"):
        done = report("--", given)
        assert done.returncode == 3, done.stderr
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("which", ["source", "manifest"])
def test_report_never_replaces_what_it_is_about(which: str, encoded: Path, report: Report) -> None:
    manifest = manifest_of(encoded)
    path = {"source": encoded / ODD, "manifest": manifest}[which]
    before = path.read_bytes()
    done = report(manifest, "--overwrite", "-o", path)
    assert done.returncode == 2
    assert "which the report is about" in done.stderr
    assert path.read_bytes() == before
