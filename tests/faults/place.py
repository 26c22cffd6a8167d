"""Where one run takes place: a directory with the film in it, and the real program at work."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import psutil

from tests.end_to_end.disturbing import Event
from tests.end_to_end.program import QUICK, command, environment
from tests.faults.film import Film

LIMIT_S = 240.0  # a run that takes longer hangs; undisturbed it takes 2 to 6 s
NEIGHBOUR = "neighbour.txt"


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended. `hit` is False where the fault came too late to be one.
    `stdout` is what was not read before the end."""

    code: int
    stderr: str
    hit: bool = True
    stdout: str = ""

    @property
    def error(self) -> str:
        """The one paragraph that says why it failed; empty if there is none, or several."""
        said = [line for line in self.stderr.splitlines() if line.startswith("Error: ")]
        return said[0] if len(said) == 1 else ""


@dataclass
class Place:
    """`work` and `out` are directories of their own, so that a fault can be aimed at one of them.

    Whoever changes something that has to be put right before the command is run again says so in
    `undo`; what is to be taken down once all is over, in `at_end`. `options` and `env` are for
    every run, the one after the fault included.
    """

    home: Path
    film: Film
    rng: Random
    options: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    undo: list[Callable[[], object]] = field(default_factory=list)
    at_end: list[Callable[[], object]] = field(default_factory=list)
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    apart: bool = False  # the work directory is not beside the output

    def __post_init__(self) -> None:
        for folder in (self.source.parent, self.out, self.work, self.temp):
            folder.mkdir()
        shutil.copy2(self.film.path, self.source)
        for folder in (self.source.parent, self.out, self.work):
            (folder / NEIGHBOUR).write_text("not ours")

    @property
    def source(self) -> Path:
        return self.home / "source" / "in.mkv"

    @property
    def out(self) -> Path:
        return self.home / "out"

    @property
    def output(self) -> Path:
        return self.out / "out.mkv"

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def temp(self) -> Path:
        return self.home / "temp"

    def work_dir(self) -> Path:
        """The job's own directory, while there is one."""
        (found,) = (path.parent for path in self.home.glob("*/*/journal.jsonl"))
        return found

    def restore_source(self) -> None:
        self.undo.append(lambda: shutil.copy2(self.film.path, self.source))

    def start(
        self, *options: str, output: Path | None = None, name: str = "", **env: str
    ) -> subprocess.Popen[str]:
        """`drapto encode --json`; events come out of stdout, stderr goes to a file."""
        with self._stderr(name).open("w") as stderr:
            process = subprocess.Popen(
                command("encode", self.source, output or self.output, *QUICK, "--json",
                        *(["--work-dir", str(self.work)] if self.apart else []),
                        *self.options, *options),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environment(
                    DRAPTO_STATE_DIR=str(self.home / "state"), TMPDIR=str(self.temp),
                    **{**self.env, **env},
                ),
            )  # fmt: skip
        self.started.append(process)
        return process

    def end_all(self) -> None:
        """Nothing that was started here goes on, whatever became of the test."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def _stderr(self, name: str) -> Path:
        return self.home / f"stderr {name}".rstrip()

    def finish(
        self,
        process: subprocess.Popen[str],
        *,
        hit: bool = True,
        name: str = "",
        limit_s: float = LIMIT_S,
    ) -> Ended:
        """Wait for the end. One that never comes is an exit code that no fault allows."""
        try:
            stdout, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Ended(-1000, f"It had not ended after {limit_s:.0f} s.")
        return Ended(process.returncode, self._stderr(name).read_text(), hit, stdout)

    def run(self, *options: str, hit: bool = True, **env: str) -> Ended:
        return self.finish(self.start(*options, **env), hit=hit)

    def run_shimmed(self, shim: dict[str, str]) -> Ended:
        """A run with this environment of `shims`, which says itself whether it did something."""
        mark = self.home / "hit"
        ended = self.run(FAULT_HIT=str(mark), **shim)
        return replace(ended, hit=mark.exists())

    def sleep_up_to(self, share: float, least_s: float = 0.0) -> None:
        """A random while, up to a share of what an undisturbed run takes."""
        time.sleep(self.rng.uniform(least_s, max(least_s, share * self.film.took_s)))


def until_event(process: subprocess.Popen[str], wanted: Callable[[Event], bool]) -> bool:
    """Read events until one is wanted; False if the program ended before."""
    assert process.stdout is not None
    return any(wanted(json.loads(line)) for line in iter(process.stdout.readline, ""))


def named(name: str, **more: object) -> Callable[[Event], bool]:
    return lambda event: event["event"] == name and more.items() <= event.items()


def children(process: subprocess.Popen[str], mark: str = "") -> list[psutil.Process]:
    """Live children whose command line holds `mark`."""
    found = []
    try:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                alive = child.status() != psutil.STATUS_ZOMBIE
                if alive and "-nostdin" in child.cmdline() and mark in " ".join(child.cmdline()):
                    found.append(child)
            except psutil.Error:
                continue
    except psutil.Error:
        return []
    return found


def await_child(process: subprocess.Popen[str], mark: str = "") -> list[psutil.Process]:
    """As `children`, as soon as there is one; empty if the program ended without."""
    while process.poll() is None:
        if found := children(process, mark):
            return found
        time.sleep(0.002)
    return []


def await_own_code(process: subprocess.Popen[str]) -> None:
    """Until Python itself has started: what happens before is not the program's doing."""
    maps = Path(f"/proc/{process.pid}/maps")
    while process.poll() is None:
        try:
            if "pydantic_core" in maps.read_text():
                return
        except OSError:
            return
        time.sleep(0.002)


@contextmanager
def held(process: subprocess.Popen[str]) -> Iterator[None]:
    """The program stands still inside, so that files can be changed between two of its steps."""
    psutil.Process(process.pid).suspend()
    try:
        yield
    finally:
        psutil.Process(process.pid).resume()
