"""What lies in a work directory between two runs is trusted only if it is what it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.disturbing import contents, encode, encode_here, work_dir


@dataclass(frozen=True)
class Left:
    """A killed job: its output, its work directory, and a copy to put back before each test."""

    output: Path
    copy: Path

    @property
    def work(self) -> Path:
        return work_dir(self.output)

    def segments(self) -> list[Path]:
        """Files of the segments that the journal calls finished."""
        lines = (self.work / "journal.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [Path(e["encoded"]["path"]) for e in entries if e["entry"] == "segment_done"]


@pytest.fixture(scope="module")
def killed(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    output = tmp_path_factory.mktemp("killed") / "out.mkv"
    segments = iter(range(10))
    ended = encode(
        film,
        output,
        "--workers",
        "1",
        when=lambda event: event["event"] == "segment_finished" and next(segments) == 2,
        then=lambda process: process.kill(),
    )
    assert ended.acted
    copy = tmp_path_factory.mktemp("copy") / "work"
    shutil.copytree(work_dir(output), copy)
    return Left(output, copy)


@pytest.fixture
def left(killed: Left) -> Left:
    shutil.rmtree(killed.work, ignore_errors=True)
    shutil.copytree(killed.copy, killed.work)
    killed.output.unlink(missing_ok=True)
    return killed


def cut_short(left: Left) -> list[str]:
    path = left.segments()[0]
    path.write_bytes(path.read_bytes()[:-100])
    return [f"Made again: segment {int(path.stem)}, because {path.name} has "]


def flip_a_bit(left: Left) -> list[str]:
    path = left.segments()[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    return [f"Made again: segment {int(path.stem)}, because {path.name} has other content"]


def swap_two(left: Left) -> list[str]:
    one, two = sorted(left.segments())[:2]
    one_data, two_data = one.read_bytes(), two.read_bytes()
    one.write_bytes(two_data)
    two.write_bytes(one_data)
    return [f"Made again: segment {int(p.stem)}, because {p.name} has " for p in (one, two)]


def remove_one(left: Left) -> list[str]:
    path = left.segments()[0]
    path.unlink()
    return [f"Made again: segment {int(path.stem)}, because {path.name} is missing."]


def damage_the_checkpoint(left: Left) -> list[str]:
    (left.work / "checkpoint.json").write_text("{")
    return []


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        flip_a_bit,
        swap_two,
        pytest.param(remove_one, marks=pytest.mark.slow),
        pytest.param(damage_the_checkpoint, marks=pytest.mark.slow),
    ],
)
def test_damaged_work_is_found_named_and_made_again(
    damage: Callable[[Left], list[str]], left: Left, film: Path, undisturbed: str
) -> None:
    finished = len(left.segments())
    expected = damage(left)
    done = encode_here(film, left.output)
    assert done.code == 0, done.stderr
    assert len(done.warnings) == len(expected)
    for said, start in zip(done.warnings, expected, strict=True):
        assert said.startswith(start)
    assert done.result["resumed_segments"] == finished - len(expected)
    assert contents(left.output) == undisturbed


def test_torn_last_line_of_the_journal_costs_one_segment(
    left: Left, film: Path, undisturbed: str
) -> None:
    journal = left.work / "journal.jsonl"
    finished = len(left.segments())
    journal.write_bytes(journal.read_bytes()[:-40])
    lost = finished - len([e for e in journal.read_text().splitlines() if "segment_done" in e[:60]])
    done = encode_here(film, left.output)
    assert done.code == 0, done.stderr
    assert done.warnings == []
    assert done.result["resumed_segments"] >= finished - 1
    assert lost <= 1
    assert contents(left.output) == undisturbed


def test_journal_damaged_in_the_middle_is_not_used_and_that_is_said(
    left: Left, film: Path, undisturbed: str
) -> None:
    journal = left.work / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    lines[3] = lines[3][:-30] + "\n"
    journal.write_text("".join(lines))
    done = encode_here(film, left.output)
    assert done.code == 0, done.stderr
    (said,) = done.warnings
    assert said.startswith("Started afresh: ")
    assert "Line 4" in said
    assert done.result["resumed_segments"] == 0
    assert contents(left.output) == undisturbed


def test_segment_that_passes_for_another_is_made_again_by_the_run_after(
    left: Left, film: Path, undisturbed: str
) -> None:
    """Its entry names a file that is what the entry says, but not what was encoded for it."""
    journal = left.work / "journal.jsonl"
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    one, other = [e["encoded"] for e in entries if e["entry"] == "segment_done"][:2]
    for key in ("path", "size_bytes", "digest"):
        one[key], other[key] = other[key], one[key]
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    refused = encode_here(film, left.output)
    assert refused.code == 1, refused.stderr
    assert "makes that segment anew" in refused.stderr
    done = encode_here(film, left.output)
    assert done.code == 0, done.stderr
    assert contents(left.output) == undisturbed
