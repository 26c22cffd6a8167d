"""`drapto encode` beside a candidate that fails in every way: nothing of it reaches the user."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import psutil
import pytest

from drapto.core.comparison import Comparison, Outcome
from drapto.core.routing import RoutedStage
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from tests.end_to_end.disturbing import beside, contents
from tests.end_to_end.program import QUICK, command, drapto_here, environment, processes_about
from tests.media import clips

FLAGS = 'schema = 1\n[stage.detection]\nmode = "{mode}"\n{more}shadow = {{ {shadow} }}\n'

# What a team's own `detect` does in place of its work. NOTE is a file to say something in.
CRASH = "kill -SEGV $$"
FAIL = "echo 'it is broken' >&2; exit 1"
NONSENSE = "echo 'All went well!'"
FLOOD = "timeout 2 yes | tee /dev/stderr"
HANG = "sleep 601 & echo $! >NOTE.tmp; mv NOTE.tmp NOTE; wait"
DELETE = 'rm -f "$DRAPTO_INPUT"; : >"$DRAPTO_INPUT"'
SLOW = "echo begun >NOTE.tmp; mv NOTE.tmp NOTE; sleep 3; exit 1"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.simple(tmp_path_factory.mktemp("unharmed"), frames=24)


@pytest.fixture(scope="module")
def alone(source: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What comes out where nothing runs beside it."""
    output = tmp_path_factory.mktemp("alone") / "out.mkv"
    assert drapto_here("encode", source, output, *QUICK).returncode == 0
    return contents(output)


class Side:
    """A user whose legacy scripts are broken, in a directory of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / "state"
        self.output = home / "out" / "out.mkv"
        self.output.parent.mkdir()
        self.variables: dict[str, str] = {}

    @property
    def note(self) -> Path:
        """Written by the script; in the only place where it may write, its home."""
        found = sorted((self.state / "shadow").glob("run-*/run/**/note"))
        return found[0] if found else self.home / "no note yet"

    def detects_by(
        self, script: str, *, mode: str = "new", more: str = "", shadow: str = "sample = 1.0"
    ) -> None:
        scripts = self.home / "scripts"
        scripts.mkdir(exist_ok=True)
        (scripts / "detect").write_text(f"#!/bin/sh\n{script.replace('NOTE', 'note')}\n")
        (scripts / "detect").chmod(0o755)
        flags = self.home / "flags.toml"
        flags.write_text(FLAGS.format(mode=mode, more=more, shadow=shadow))
        self.variables = {
            "DRAPTO_STATE_DIR": str(self.state),
            "DRAPTO_FLAGS_FILE": str(flags),
            "DRAPTO_LEGACY_SCRIPTS_DIR": str(scripts),
        }

    def encode(self, source: Path, *options: str) -> subprocess.CompletedProcess[str]:
        options = (*QUICK, "--overwrite", *options)
        return drapto_here("encode", source, self.output, *options, **self.variables)

    def start(self, source: Path, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command("encode", source, self.output, *QUICK, *options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**self.variables),
        )

    def comparisons(self) -> tuple[Comparison, ...]:
        store = SqliteComparisonStore(self.state)
        return anyio.run(store.comparisons, RoutedStage.DETECTION)

    def is_clean(self) -> bool:
        return not list((self.state / "shadow").glob("run-*")) and not processes_about(self.home)


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return Side(tmp_path)


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("mode", "script", "words"),
    [
        pytest.param("new", CRASH, "SEGV", id="crash"),
        pytest.param(
            "canary", FAIL, "it is broken", id="failure, in canary", marks=pytest.mark.slow
        ),
        pytest.param("new", NONSENSE, "All went well!", id="nonsense", marks=pytest.mark.slow),
        pytest.param("new", FLOOD, "", id="flood", marks=pytest.mark.slow),
        pytest.param("new", DELETE, "", id="deletes the source"),
    ],
)
def test_failing_candidate_is_one_plain_line(
    side: Side, source: Path, alone: str, mode: str, script: str, words: str
) -> None:
    before = source.read_bytes()
    side.detects_by(script, mode=mode, more="percent = 100.0\n")
    done = side.encode(source)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "hadow run" in line]
    assert lines[0].startswith("Waiting for 1 shadow run")
    assert lines[1].startswith("Shadow run of detection: legacy_error. ")
    assert words in lines[1], lines[1]
    assert len(lines) == 2
    assert len(lines[1]) < 1000
    assert "Traceback" not in done.stderr
    assert contents(side.output) == alone
    assert source.read_bytes() == before
    assert beside(side.output) == ["out.mkv"]
    assert side.is_clean()
    assert [c.outcome for c in side.comparisons()] == [Outcome.LEGACY_ERROR]


def test_ctrl_c_drops_the_shadow_run_and_nothing_else(side: Side, source: Path, alone: str) -> None:
    side.detects_by(HANG)
    process = side.start(source)
    wait_until(lambda: side.note.exists())
    hanging = int(side.note.read_text())
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "dropped" in stderr.splitlines()[-1]
    assert not psutil.pid_exists(hanging)
    assert side.is_clean()
    assert contents(side.output) == alone
    (comparison,) = side.comparisons()
    assert (comparison.outcome, "interrupted" in comparison.reason) == (Outcome.SKIPPED, True)


def test_killed_program_takes_the_candidate_along_and_the_next_one_clears_up(
    side: Side, source: Path, alone: str
) -> None:
    side.detects_by(HANG)
    process = side.start(source)
    wait_until(lambda: side.note.exists())
    hanging = int(side.note.read_text())
    process.kill()
    process.communicate(timeout=60)
    wait_until(lambda: not psutil.pid_exists(hanging) and not processes_about(side.home))
    assert contents(side.output) == alone
    assert len(list((side.state / "shadow").glob("run-*"))) == 1
    side.detects_by(FAIL)
    assert side.encode(source).returncode == 0
    assert side.is_clean()
    assert [c.outcome for c in side.comparisons()] == [Outcome.LEGACY_ERROR]


def test_nobody_waits_for_a_shadow_run_that_is_left_to_the_background(
    side: Side, source: Path, alone: str
) -> None:
    side.detects_by(SLOW)
    done = side.encode(source, "--no-wait-shadow")
    assert done.returncode == 0, done.stderr
    assert "1 shadow run left to the background" in done.stderr
    assert side.comparisons() == ()
    assert contents(side.output) == alone
    wait_until(lambda: len(side.comparisons()) == 1)
    assert side.comparisons()[0].outcome is Outcome.LEGACY_ERROR
    wait_until(side.is_clean)
    assert not list((side.state / "shadow").glob("detached-*"))


def test_full_queue_drops_and_counts(side: Side, source: Path, alone: str) -> None:
    side.detects_by(HANG, shadow="sample = 1.0, queue = 0")
    done = side.encode(source)
    assert done.returncode == 0, done.stderr
    assert "Waiting" not in done.stderr
    assert contents(side.output) == alone
    assert [c.outcome for c in side.comparisons()] == [Outcome.SKIPPED]


@pytest.mark.slow
def test_no_room_for_a_shadow_run_is_no_failure(side: Side, source: Path, alone: str) -> None:
    side.detects_by(FAIL)
    side.state.mkdir()
    (side.state / "shadow").write_text("a file where a directory should be")
    done = side.encode(source)
    assert done.returncode == 0, done.stderr
    assert "Shadow run of detection: skipped. No shadow run can be made in" in done.stderr
    assert contents(side.output) == alone


@pytest.mark.slow
def test_damaged_history_is_no_failure(side: Side, source: Path, alone: str) -> None:
    side.detects_by(FAIL)
    side.state.mkdir()
    (side.state / "shadow.sqlite3").write_bytes(b"no database" * 1000)
    done = side.encode(source)
    assert done.returncode == 0, done.stderr
    assert "Shadow run of detection: legacy_error." in done.stderr
    assert contents(side.output) == alone
