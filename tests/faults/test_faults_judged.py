"""The harness sees what is lost: it is the judge, so it is tried with wrong outputs and endings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.film import Film, fault_of
from tests.faults.harness import Kind, Outcome, Verdict, try_once
from tests.faults.place import NEIGHBOUR, Ended, Place
from tests.faults.shims import clock_set, failing
from tests.faults.table import Table
from tests.media.clips import ffmpeg


@pytest.fixture(scope="module")
def good(film: Film) -> Path:
    return film.path.parent / "undisturbed.mkv"


def test_undisturbed_output_has_no_fault(good: Path, film: Film) -> None:
    assert fault_of(good, film) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-t", "2", "-c", "copy"), "frames, the source 110"),
        (("-an", "-c", "copy"), "the sound is neither"),
        (("-c", "copy", "-bsf:v", "setts=ts=TS+gte(N\\,50)*20"), "is shown at"),
        (("-vf", "negate", "-c:v", "libsvtav1", "-preset", "13", "-c:a", "copy"), "another pict"),
    ],
)
def test_wrong_output_is_told_from_a_right_one(
    options: tuple[str, ...], said: str, good: Path, film: Film, tmp_path: Path
) -> None:
    times = ("-fps_mode", "passthrough", "-enc_time_base", "demux")
    ffmpeg("-copyts", "-i", good, "-map", "0", *times, *options, tmp_path / "wrong.mkv")
    problem = fault_of(tmp_path / "wrong.mkv", film)
    assert problem is not None
    assert said in problem


def ends(code: int, stderr: str) -> Callable[[Place], Ended]:
    return lambda place: Ended(code, stderr)


def change_the_source(place: Place) -> Ended:
    shutil.copy2(place.film.path.parent / "undisturbed.mkv", place.output)
    with place.source.open("ab") as file:
        file.write(b"x")
    return Ended(0, "")


def change_a_neighbour(place: Place) -> Ended:
    shutil.copy2(place.film.path.parent / "undisturbed.mkv", place.output)
    (place.out / NEIGHBOUR).write_text("ours")
    return Ended(0, "")


def leave_something(place: Place) -> Ended:
    shutil.copy2(place.film.path.parent / "undisturbed.mkv", place.output)
    (place.out / ".out.mkv.drapto").mkdir()
    return Ended(0, "")


def leave_half_an_output(place: Place) -> Ended:
    place.output.write_bytes(b"half")
    return Ended(1, "Error: It failed.")


@pytest.mark.parametrize(
    ("inject", "said"),
    [
        (ends(0, ""), "cannot be read"),
        (ends(1, "Traceback (most recent call last):\n …"), "no clear error"),
        (ends(1, "Error: Drapto itself failed. This is a fault in Drapto"), "no clear error"),
        (ends(1, "it did not work"), "no clear error"),
        (ends(5, "Error: The output is wrong."), "exit 5"),
        (ends(-11, ""), "killed by signal 11"),
        (change_the_source, "the source was changed"),
        (change_a_neighbour, "somebody else was changed"),
        (leave_something, "left: "),
        (leave_half_an_output, "but there is an output"),
    ],
)
def test_wrong_ending_is_a_loss(
    inject: Callable[[Place], Ended], said: str, film: Film, tmp_path: Path
) -> None:
    verdict = try_once(Kind("trial", inject), film, tmp_path, seed=0)
    assert verdict.outcome is Outcome.LOST
    assert said in verdict.why


def test_signal_of_its_own_is_right_only_before_the_first_event(film: Film, tmp_path: Path) -> None:
    def killed_late(place: Place) -> Ended:
        return Ended(-15, "", stdout='{"event": "job_started"}\n')

    kind = Kind("trial", killed_late, frozenset({130}), early_codes=frozenset({-15}))
    verdict = try_once(kind, film, tmp_path, seed=0)
    assert verdict.outcome is Outcome.LOST
    assert "killed by signal 15" in verdict.why


def test_what_was_started_is_ended_where_a_fault_cannot_be_injected(
    film: Film, tmp_path: Path
) -> None:
    started = []

    def raises(place: Place) -> Ended:
        started.append(place.start())
        raise RuntimeError("no such fault")

    with pytest.raises(RuntimeError, match="no such fault"):
        try_once(Kind("trial", raises), film, tmp_path, seed=0)
    assert started[0].poll() is not None


@pytest.mark.parametrize(("path", "hit"), [("/out.txt", True), ("/nowhere", False)])
def test_shim_leaves_a_mark_only_where_a_call_failed(path: str, hit: bool, tmp_path: Path) -> None:
    mark, out = tmp_path / "hit", tmp_path / "out.txt"
    shim = {**failing("write", path, after=1), "FAULT_HIT": str(mark)}
    code = f"f = open({str(out)!r}, 'wb', 0)\nfor _ in range(3): f.write(b'x')"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **shim}, check=False,
                          capture_output=True)  # fmt: skip
    assert (mark.exists(), done.returncode != 0) == (hit, hit)


def test_clock_leaves_a_mark_when_it_was_set(tmp_path: Path) -> None:
    for after_s, hit in ((0.0, True), (600.0, False)):
        mark = tmp_path / f"hit {after_s}"
        shim = {**clock_set(after_s=after_s, step_s=60), "FAULT_HIT": str(mark)}
        argv = [sys.executable, "-c", "import time; time.time()"]
        subprocess.run(argv, env={**os.environ, **shim}, check=True)
        assert mark.exists() == hit


def test_kind_that_was_never_hit_is_named() -> None:
    table = Table()
    table.add("late", Verdict(Outcome.MISSED))
    table.add("hit", Verdict(Outcome.SURVIVED))
    table.row("impossible").skipped = "no mount"
    assert table.never_hit == ["late"]


def test_table_counts_what_became_of_the_faults() -> None:
    table = Table()
    for outcome in (Outcome.SURVIVED, Outcome.SURVIVED, Outcome.CLEAR_ERROR, Outcome.MISSED):
        table.add("one", Verdict(outcome))
    table.add("other", Verdict(Outcome.LOST))
    table.row("third").skipped = "no mount"
    assert table.lost == 1
    rows = [line.split() for line in str(table).splitlines()]
    assert rows[1:] == [
        ["one", "3", "2", "1", "0"],
        ["other", "1", "0", "0", "1"],
        ["third", "skipped:", "no", "mount"],
        ["all", "4", "2", "1", "1"],
    ]
