"""Runs the real program in a real process, as a person would."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]

QUICK = ("--preset", "13", "--crf", "50")
"""Options that make an encode as short as it can be."""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cli.main", *map(str, arguments)]


def environment(**extra: str) -> dict[str, str]:
    """The environment of this process without any setting of Drapto in it."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("DRAPTO_")}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


def drapto(
    *arguments: str | Path, cwd: Path | None = None, timeout_s: float = 240, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end; nothing is asserted."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=timeout_s,
        env=environment(**env),
    )


def drapto_here(
    *arguments: str | Path, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """As `drapto`, but inside this process, which takes less than half the CPU time: most of what a
    short encode costs is to start Python and load everything. For tests of what becomes of a file;
    those of the end of the program, its output and signals start a process."""
    from cli.app import run

    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - environment().keys():
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        if cwd:
            patch.chdir(cwd)
        with redirect_stdout(stdout), redirect_stderr(stderr):
            code = run(list(map(str, arguments)))
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start and return at once; stdout is a pipe."""
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )


def events_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The events that --json printed."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def processes_about(path: Path) -> list[str]:
    """Command lines of live processes that mention a path."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(path) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found
