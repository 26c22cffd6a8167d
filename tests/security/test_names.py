"""Names of sources and outputs are names: no option, no protocol, no pattern, no command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from drapto.services.legacy.contract import ColorReport
from tests.end_to_end.program import QUICK
from tests.end_to_end.program import drapto_here as drapto
from tests.media.clips import simple

NAMES = [
    "-i;b,c[d]'e\\.mkv",
    "--help.mkv",
    "$(touch owned)`touch owned` | touch owned; ~ & * ?.mkv",
    "%d %03d pipe:0 concat:a|b.mkv",
    "subfile,,start,0,end,0,,:x.mkv",
    "new\nline\r\t=x:y=z.mkv",
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simple(tmp_path_factory.mktemp("clip"), frames=12)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_job_from_and_to_any_name(name: str, clip: Path, tmp_path: Path) -> None:
    """Whatever a shell, an option parser, a protocol or a filter graph would make of it."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    shutil.copy(clip, old / name)
    done = drapto("encode", *QUICK, "--", f"old/{name}", f"new/{name}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert names(old) == names(new) == [name]
    assert names(tmp_path) == ["new", "old"]


def test_names_that_need_no_directory_before_them(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "-i.mkv")
    done = drapto("encode", *QUICK, "--", "-i.mkv", "-y.mkv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == ["-i.mkv", "-y.mkv"]


def test_the_output_has_the_rights_that_the_user_gives_new_files(
    clip: Path, tmp_path: Path
) -> None:
    before = os.umask(0o026)
    try:
        done = drapto("encode", clip, tmp_path / "out.mkv", *QUICK)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mkv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "word", ["bt709,movie=/etc/passwd", "bt709:range=tv", "a;b", "", "BT709'", "x" * 80]
)
def test_a_script_cannot_put_more_into_a_filter_than_a_word(word: str) -> None:
    for field in ("primaries", "transfer", "matrix", "range", "chroma_location"):
        with pytest.raises(ValidationError):
            ColorReport.model_validate({field: word})
        assert ColorReport.model_validate({field: "bt2020-10"})
