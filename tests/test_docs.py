"""What the pages promise: their examples run, their links lead somewhere, their options exist."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path

import pytest

import drapto
from tests.end_to_end import program
from tests.media import clips

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "bench").glob("*.md")]
README = (ROOT / "README.md").read_text()
API = (ROOT / "docs" / "python-api.md").read_text()

# Heading of docs/python-api.md -> what the example under it prints for `clips.simple`.
PRINTED = {
    "One file, in a script": r"out\.mkv: 72 frames, -?\d+% smaller\n(video|audio) \w+ .+\n(.+\n)*",
    "In a program with an event loop": r"30\.0 10\n",
    "Events": r"segment 0: \d+ frames\n(segment \d+: \d+ frames\n)*done: \d+ segments\n",
    "Stopping and going on": r"stopped\ndone, \d+ of \d+ segments were there already\n",
    "Errors": r"exit code 3: .*missing\.mkv.*\n",
    "Estimating": r"\d+ to \d+ bytes, \d+ s\n",
    "Looking without encoding": (
        r"matroska,webm \['h264', 'aac'\]\n72 frames at 24 per second\n"
        r"cuts at frames \(.*\) crop None\n\d+ segments\n"
    ),
    "Measuring a pair": r"ssim 1\.000 of 72 frames\n(frame \d+ at [012]\.000 s: 1\.0\n){3}",
}


def _examples() -> dict[str, str]:
    sections = re.split(r"^## ", API, flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        for code in re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            assert section.partition("\n")[0] not in found, "one example under each heading"
            found[section.partition("\n")[0]] = code
    return found


def test_every_example_of_the_api_page_is_known_here() -> None:
    assert set(_examples()) == set(PRINTED)


@pytest.mark.parametrize("heading", list(PRINTED))
def test_example_of_the_api_page_runs_as_it_stands(
    heading: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clips.simple(tmp_path, "in.mkv")
    (tmp_path / "example.py").write_text(_examples()[heading])
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - program.environment().keys():
        monkeypatch.delenv(name)
    runpy.run_path("example.py", run_name="__main__")
    printed = capsys.readouterr().out
    assert re.fullmatch(PRINTED[heading], printed), printed
    left = {path.name for path in tmp_path.iterdir()} - {"in.mkv", "example.py"}
    assert left == ({"out.mkv"} if '"out.mkv", crf' in _examples()[heading] else set())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_architecture_names_only_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`([\w./]+(?:\.py|\.toml|\.txt|/))`", page)
    assert "core/interfaces.py" in named
    homes = (ROOT, ROOT / "drapto")
    assert [name for name in named if not any((home / name).exists() for home in homes)] == []


def test_readme_opens_with_the_two_commands() -> None:
    block = README.partition("```sh\n")[2].partition("```")[0]
    commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert commands == [["scripts/drapto", "encode", "in.mkv", "out.mkv"], ["scripts/test"]]
    assert README.index("```sh") < 20


def test_readme_names_only_options_that_help_has() -> None:
    shown = program.drapto_here("encode", "--help", COLUMNS="200").stdout
    known = set(re.findall(r"--[a-z][a-z-]+", shown))
    said = set(re.findall(r"--[a-z][a-z-]+", README))
    assert said >= {"--crf", "--preset", "--workers"}
    assert said - known == set()


def test_readme_gives_the_exit_code_of_every_error() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE))
    errors = [getattr(drapto, name) for name in drapto.__all__ if name.endswith("Error")]
    assert set(table) == {"0", "130"} | {str(error.exit_code) for error in errors}
