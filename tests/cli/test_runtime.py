"""Signals, broken pipes and failures, with real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from cli.errors import describe
from cli.runtime import Stop, run_command
from drapto.core.errors import InputError, ValidationFailedError
from tests.end_to_end import program

ROOT = Path(__file__).parents[2]


def start(mode: str, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cli.stoppable", mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=program.environment(),
        **settings,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_command_with_130_and_no_traceback(number: signal.Signals) -> None:
    child = start("wait")
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert said == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_after_the_command_has_ended_does_not_change_the_exit_code(
    number: signal.Signals,
) -> None:
    child = start("done")
    assert child.stdout is not None
    assert child.stdout.readline() == "leaving\n"
    child.send_signal(number)
    child.send_signal(number)
    _, said = child.communicate("go\n", timeout=60)
    assert (child.returncode, said) == (7, "")


def test_second_signal_only_says_that_stopping_is_under_way() -> None:
    child = start("stubborn")
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "stopping\n"
    child.send_signal(signal.SIGINT)
    assert child.stderr.readline().startswith("Still stopping")
    child.send_signal(signal.SIGTERM)
    assert child.stderr.readline().startswith("Still stopping")
    _, said = child.communicate("go\n", timeout=60)
    assert child.returncode == 130
    assert said == ""


def test_what_fails_while_being_stopped_was_stopped() -> None:
    child = start("fail")
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert (child.returncode, said) == (130, "")


def test_signal_that_the_parent_chose_to_ignore_is_ignored() -> None:
    child = start("stubborn", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "stopping\n"
    _, said = child.communicate("go\n", timeout=60)
    assert child.returncode == 130
    assert said == ""  # had SIGHUP counted, SIGINT would have been the second


def test_closed_stdout_ends_the_command_quietly() -> None:
    child = start("lines")
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(timeout=60) == 130
    assert child.stderr is not None
    assert child.stderr.read() == ""


def failing(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    async def body(stop: Stop) -> int:
        await anyio.lowlevel.checkpoint()
        raise error

    code = run_command(body)
    captured = capsys.readouterr()
    assert captured.out == ""
    return code, captured.err


def test_known_error_is_one_paragraph_with_its_hint_and_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = InputError("a.txt is no video.", hint="Give a video.")
    assert failing(error, capsys) == (3, "Error: a.txt is no video. Give a video.\n")


def test_known_error_inside_groups_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup(
        "g", [ValueError("side effect"), ExceptionGroup("h", [ValidationFailedError("Row 3.")])]
    )
    assert failing(group, capsys) == (5, "Error: Row 3.\n")


def test_error_of_the_system_names_the_file_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        (tmp_path / "no" / "file").read_text()
    except OSError as error:
        code, said = failing(error, capsys)
    assert code == 1
    assert said == (
        f"Error: The system refused: {tmp_path}/no/file: No such file or directory. "
        "If something removed it while the job was running, run the command again.\n"
    )
    full = describe(OSError(28, "No space left on device", "/x"))
    assert "Free some space" in full.hint


def test_unexpected_error_is_one_paragraph_that_says_what_to_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = failing(KeyError("frames"), capsys)
    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith("Error: Drapto itself failed: KeyError: 'frames'.")
    assert "report it" in said
    assert "Traceback" not in said


def test_error_text_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _, said = failing(InputError("\x1b]0;title\x07.mkv is no video."), capsys)
    assert said == "Error: \\x1b]0;title\\x07.mkv is no video.\n"
