"""Starting scripts: which one, with which right to run, and what it sees of the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drapto.core.errors import MissingToolError
from drapto.infrastructure.scripts import ScriptDirectory


def script(path: Path, text: str, *, mode: int = 0o755) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


async def printed(scripts: ScriptDirectory, work_dir: Path, **variables: str) -> str:
    run = await scripts.run("detect", variables, what="Trying", work_dir=work_dir)
    assert run.returncode == 0
    return run.stdout.decode()


async def test_script_may_have_a_suffix_or_none(tmp_path: Path) -> None:
    script(tmp_path / "detect", "echo plain")
    assert await printed(ScriptDirectory(tmp_path), tmp_path) == "plain\n"
    script(tmp_path / "detect.sh", "echo suffix")
    assert await printed(ScriptDirectory(tmp_path), tmp_path) == "suffix\n"


async def test_packaged_scripts_need_no_right_to_be_executed(tmp_path: Path) -> None:
    script(tmp_path / "detect.sh", "echo $BASH_VERSION", mode=0o644)
    assert await printed(ScriptDirectory(tmp_path, interpreter=("bash",)), tmp_path) > "1"
    with pytest.raises(MissingToolError, match=r"chmod \+x"):
        await printed(ScriptDirectory(tmp_path), tmp_path)


async def test_missing_script_is_named_with_its_directory(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match=r"neither detect\.sh nor detect") as caught:
        await printed(ScriptDirectory(tmp_path), tmp_path)
    assert str(tmp_path) in str(caught.value)


async def test_script_sees_only_the_variables_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAPTO_CRF", "3")
    monkeypatch.setenv("DRAPTO_FFPROBE", "/opt/ffprobe")
    monkeypatch.setenv("OUR_OWN", "kept")
    script(tmp_path / "detect", "env | grep -e DRAPTO -e OUR_OWN | sort; pwd")
    work = tmp_path / "work"
    work.mkdir()
    said = await printed(ScriptDirectory(tmp_path), work, DRAPTO_INPUT="a\nb", DRAPTO_STREAM="")
    assert said.splitlines() == [
        *("DRAPTO_FFPROBE=/opt/ffprobe", "DRAPTO_INPUT=a", "DRAPTO_STREAM=", "OUR_OWN=kept"),
        str(work),
    ]


async def test_script_leaves_the_cores_to_others(tmp_path: Path) -> None:
    script(tmp_path / "detect", "nice")
    lowered = int(await printed(ScriptDirectory(tmp_path), tmp_path))
    assert lowered > os.nice(0)
