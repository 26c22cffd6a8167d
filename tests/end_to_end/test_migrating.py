"""`docs/migrating.md`, from its first command to its last, as a reader would run them."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drapto.core.comparison import Comparison
from drapto.core.routing import RoutedStage
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from tests.end_to_end.program import ROOT, drapto_here, processes_about
from tests.end_to_end.team import Team

PAGE = (ROOT / "docs" / "migrating.md").read_text()
SETTINGS = {"DRAPTO_PRESET": "13", "DRAPTO_CRF": "50"}  # quality is not what the page is about
BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass
class Reader:
    """Follows the page in a directory where scripts and films are, and sees what happens."""

    home: Path
    said: dict[str, str]  # command -> what it printed, the newest

    def write(self, text: str) -> None:
        name = text.splitlines()[0].removeprefix("# ")
        (self.home / name).write_text(text)

    def run(self, command: str) -> None:
        if command.split()[:3] == ["drapto", "shadow", "show"]:
            command = command.replace("ID", self.comparisons[0].id)
        done = drapto_here(*shlex.split(command)[1:], cwd=self.home, **SETTINGS, **self.places)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert "warning:" not in done.stdout, command
        self.said[command] = done.stdout + done.stderr
        self.wait_for_the_background()

    @property
    def places(self) -> dict[str, str]:
        return {
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
        }

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        store = SqliteComparisonStore(self.home / "state" / "drapto")
        return asyncio.run(store.comparisons(RoutedStage.DETECTION))

    def wait_for_the_background(self) -> None:
        end_s = time.monotonic() + 60
        while processes_about(self.home):
            assert time.monotonic() < end_s, processes_about(self.home)
            time.sleep(0.1)

    def side(self, film: str) -> str:
        """Who was to serve detection, by the summary of the encode of this film."""
        (said,) = [text for command, text in self.said.items()
                   if f"av1/{film}.mkv" in command and "dry-run" not in command]  # fmt: skip
        return "legacy" if "detection: legacy." in said else "new"

    def listed(self) -> str:
        """The line of detection in `drapto flags list`."""
        (line,) = [
            line for line in self.said["drapto flags list"].splitlines()
            if line.startswith("detection")
        ]  # fmt: skip
        return line


def as_it_was(reader: Reader) -> None:
    assert reader.side("one") == "legacy"
    assert reader.listed().split()[:2] == ["detection", "legacy"]


def looked_at(reader: Reader) -> None:
    assert "match" in reader.said["drapto shadow compare films/one.mkv --stage detection"]
    assert reader.comparisons == ()


def shadowed(reader: Reader) -> None:
    assert reader.side("two") == "legacy"
    assert (
        "Shadow run of detection: match" in reader.said["drapto encode films/two.mkv av1/two.mkv"]
    )
    films = {path.stem for path in (reader.home / "films").iterdir()}
    assert {path.stem for path in (reader.home / "av1").iterdir()} == films
    assert len(reader.comparisons) == len(films) - 1  # all but the first, which was before
    for name in ("four", "five", "six", "seven", "eight", "nine", "ten"):  # films keep coming
        (reader.home / "films" / f"{name}.mkv").write_bytes(
            (reader.home / "films" / "one.mkv").read_bytes()
        )


def reported(reader: Reader) -> None:
    assert "hold" in reader.said["drapto shadow report --stage detection --since 7d"].lower()
    assert "<svg" in (reader.home / "report.html").read_text()


def canaried(reader: Reader) -> None:
    assert reader.listed().split()[:2] == ["detection", "canary"]
    rule = reader.said["drapto encode films/five.mkv av1/five.mkv --priority low"]
    assert reader.side("five") == "new" or "Rule 1 (priority low)" in rule


def renewed(reader: Reader) -> None:
    assert reader.side("six") == "new"
    assert reader.listed().split()[:2] == ["detection", "new"]


def gone_back(reader: Reader) -> None:
    assert reader.side("seven") == "legacy"
    seven = reader.said["drapto encode films/seven.mkv av1/seven.mkv"]
    assert "wrong crop on the night shift" in seven
    history = reader.said["drapto flags history --stage detection"]
    assert history.count("\n") >= 6
    assert "kill switch" in reader.said["drapto encode films/nine.mkv av1/nine.mkv"]
    assert reader.listed().split()[:2] == ["detection", "shadow"]
    assert "revision: 2" in reader.said["drapto shadow report --stage detection"]


CHECKS: dict[str, Callable[[Reader], None]] = {
    "1. Everything as it was": as_it_was,
    "2. A look at the other side": looked_at,
    "3. Shadow": shadowed,
    "4. The report": reported,
    "5. Canary": canaried,
    "6. New": renewed,
    "7. Going back": gone_back,
}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    team = Team(tmp_path)
    (tmp_path / "our scripts").rename(tmp_path / "our-scripts")
    team.flags_file.unlink()
    (tmp_path / "av1").mkdir()
    for name in ("one", "two", "three"):
        team.film(f"{name}.mkv")
    return Reader(tmp_path, {})


def test_every_command_of_the_page_does_what_it_says(reader: Reader) -> None:
    checked = []
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        blocks = BLOCK.findall(section)
        for kind, text in blocks:
            if kind == "toml":
                reader.write(text)
            else:
                for command in text.splitlines():
                    reader.run(command)
        if blocks:
            CHECKS[heading](reader)
            checked.append(heading)
    assert checked == list(CHECKS)
