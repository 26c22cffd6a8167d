"""Runs a real encode and does something to it at a chosen moment."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from tests.end_to_end.program import (
    QUICK,
    command,
    drapto_here,
    environment,
    events_of,
    processes_about,
)

Event = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a run ended that was disturbed (`acted`) or came to its end before it could be."""

    code: int
    stderr: str
    events: tuple[Event, ...]
    acted: bool

    @property
    def warnings(self) -> list[str]:
        return [event["message"] for event in self.events if event["event"] == "warning"]

    @property
    def result(self) -> Event:
        (finished,) = [event for event in self.events if event["event"] == "job_finished"]
        return dict(finished["result"])


def stage_begins(stage: str) -> Callable[[Event], bool]:
    return lambda event: event["event"] == "stage_started" and event["stage"] == stage


def encode(
    source: Path,
    output: Path,
    *options: str | Path,
    when: Callable[[Event], bool] = lambda _event: False,
    then: Callable[[subprocess.Popen[str]], object] = lambda _process: None,
    prefix: Sequence[str] = (),
    open_files: int | None = None,
    **env: str,
) -> Ended:
    """`drapto encode --json`; when an event says so, something is done to it."""

    def limit() -> None:
        if open_files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    process = subprocess.Popen(
        [*prefix, *command("encode", source, output, *QUICK, "--json", *options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
        preexec_fn=limit,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    events: list[Event] = []
    acted = False
    for line in process.stdout:
        events.append(json.loads(line))
        if not acted and when(events[-1]):
            acted = True
            then(process)
    stderr = process.stderr.read()
    code = process.wait(timeout=120)
    process.stdout.close()
    process.stderr.close()
    assert "Traceback" not in stderr
    assert processes_about(output) == []
    return Ended(code, stderr, tuple(events), acted)


def encode_here(source: Path, output: Path, *options: str | Path, **env: str) -> Ended:
    """As `encode`, but nothing is done to it, so it needs no process of its own: `drapto_here`."""
    done = drapto_here("encode", source, output, *QUICK, "--json", *options, **env)
    assert "Traceback" not in done.stderr
    assert processes_about(output) == []
    return Ended(done.returncode, done.stderr, tuple(events_of(done)), acted=False)


def contents(path: Path) -> str:
    """A hash for every stream of a file, container and all its random numbers aside."""
    argv = [str(find_ffmpeg()), "-v", "error", "-i", str(path), "-map", "0", "-c", "copy"]
    argv += ["-f", "streamhash", "-"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def beside(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


def work_dir(output: Path) -> Path:
    return output.parent / f".{output.name}.drapto"
