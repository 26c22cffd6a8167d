"""One run with one fault in it, and the verdict.

    outcome = try_once(kind, film, folder, seed=7)

A run *survives* where the output is there and proven frame by frame, be it by the run itself or,
after a kill, by the same command run again. It ends in a *clear error* where it says in one
paragraph what is wrong, with a right exit code, and leaves no output, nothing running and the
source and all other files as they were; and the same command, run again without the fault, makes
the right output. Everything else is *lost*.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random

from tests.end_to_end.program import processes_about
from tests.faults.film import Film, digest_of, fault_of
from tests.faults.place import NEIGHBOUR, Ended, Place

KILLED = -signal.SIGKILL
INTERRUPTED = 130


class Outcome(StrEnum):
    SURVIVED = "survived"
    CLEAR_ERROR = "clear error"
    LOST = "lost"
    MISSED = "missed"  # the job had ended before the fault came


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of fault. `inject` runs the program with it, up to the program's end.

    `codes` are the exit codes besides 0 that are a right answer to it, `early_codes` those that are
    one as long as the program has not said its first event. `apart`: the work directory is on
    another place than the output.
    """

    name: str
    inject: Callable[[Place], Ended]
    codes: frozenset[int] = frozenset({1})
    early_codes: frozenset[int] = frozenset()
    apart: bool = False


def try_once(kind: Kind, film: Film, folder: Path, seed: int) -> Verdict:
    """One run in a directory of its own below `folder`, which is kept where something was lost."""
    home = folder / f"{kind.name} {seed}".replace("/", " ")
    home.mkdir(parents=True)
    place = Place(home, film, Random(f"{kind.name} {seed}"), apart=kind.apart)
    try:
        ended = kind.inject(place)
        verdict = _judge(kind, place, ended)
    finally:
        place.end_all()
        for take_down in reversed(place.at_end):
            take_down()
    if verdict.outcome is Outcome.LOST:
        return Verdict(verdict.outcome, f"{verdict.why} ({home})")
    shutil.rmtree(home, ignore_errors=True)
    return verdict


def _judge(kind: Kind, place: Place, ended: Ended) -> Verdict:
    if not _nothing_runs(place.home, patience_s=10.0 if ended.code < 0 else 1.0):
        return Verdict(Outcome.LOST, f"still running: {processes_about(place.home)}")
    again = ended.code != 0
    if again and (problem := _unclear(kind, ended)):
        return Verdict(Outcome.LOST, problem)
    if again and ended.code != KILLED and place.output.exists():
        return Verdict(Outcome.LOST, f"exit {ended.code}, but there is an output")
    if place.output.exists() and (problem := fault_of(place.output, place.film)):
        return Verdict(Outcome.LOST, problem)
    _put_right(place)
    if again and (problem := _fails_again(place)):
        return Verdict(Outcome.LOST, f"after the fault {problem}")
    problem = fault_of(place.output, place.film) or _out_of_place(place)
    if problem:
        return Verdict(Outcome.LOST, problem)
    if not ended.hit:
        return Verdict(Outcome.MISSED)
    said = ended.code > 0 and ended.code != INTERRUPTED
    return Verdict(Outcome.CLEAR_ERROR if said else Outcome.SURVIVED, ended.error)


def _unclear(kind: Kind, ended: Ended) -> str | None:
    """What is wrong with the way in which a run failed."""
    said = ended.stderr.strip()
    codes = kind.codes if ended.stdout else kind.codes | kind.early_codes
    if ended.code < 0 and ended.code not in codes:
        return f"killed by signal {-ended.code}: {said[-1500:]}"
    if ended.code not in codes:
        return f"exit {ended.code}: {said[-1500:]}"
    if "Traceback" in said or "fault in Drapto" in said:
        return f"no clear error: {said[-1500:]}"
    if ended.code < 0:  # by a signal that the kind allows
        return None
    if ended.code != INTERRUPTED and not ended.error:
        return f"no clear error: {said[-1500:]!r}"
    return None


def _put_right(place: Place) -> None:
    while place.undo:
        place.undo.pop()()


def _fails_again(place: Place) -> str | None:
    """The same command without the fault. Where the output is there already, it says so."""
    was_there = place.output.exists()
    ended = place.run()
    if ended.code == 0 or (was_there and "exists already" in ended.stderr):
        return None
    return f"the same command ends with {ended.code}: {ended.stderr.strip()[-1500:]}"


def _out_of_place(place: Place) -> str | None:
    """A file that was changed, is missing, or is left."""
    if digest_of(place.source) != place.film.digest:
        return "the source was changed"
    if sorted(place.source.parent.iterdir()) != [place.source, place.source.parent / NEIGHBOUR]:
        return f"beside the source lies {sorted(place.source.parent.iterdir())}"
    beside = {path.name for path in place.out.iterdir()}
    left = {path.name for path in (*place.work.iterdir(), *place.temp.iterdir())}
    if beside != {"out.mkv", NEIGHBOUR} or left != {NEIGHBOUR}:
        return f"left: {sorted(beside | left)}"
    folders = (place.source.parent, place.out, place.work)
    if any((folder / NEIGHBOUR).read_text() != "not ours" for folder in folders):
        return "a file of somebody else was changed"
    return None


def _nothing_runs(home: Path, patience_s: float) -> bool:
    """Children of a killed parent are killed by the kernel: soon, not at once."""
    give_up_s = time.monotonic() + patience_s
    while processes_about(home):
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.02)
    return True
