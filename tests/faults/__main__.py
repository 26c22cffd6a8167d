"""Injects faults into short encodes and prints what became of each kind.

    python -m tests.faults --runs 200 --seed 1            # runs of each kind
    python -m tests.faults --only 'SIGKILL of drapto' --runs 5

Exit status 1 if anything was lost (its directory is then kept and named), if a kind was never hit
by its fault, or if there is no such kind.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from tests.faults.film import Film, make_film
from tests.faults.harness import Kind, Outcome, try_once
from tests.faults.kinds import all_kinds
from tests.faults.table import Table

MISSES_PER_RUN = 3  # a fault that came too late is tried again at another moment


def main() -> int:
    arguments = _arguments()
    kinds = [kind for kind in all_kinds() if arguments.only.lower() in kind.name.lower()]
    if not kinds:
        names = "\n  ".join(kind.name for kind in all_kinds())
        print(f"No kind of fault holds {arguments.only!r} in its name. There are:\n  {names}")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="drapto-faults-"))
    film = make_film(folder)
    print(f"An undisturbed encode takes {film.took_s:.1f} s; faults are tried in {folder}.")
    table = Table()
    for kind in kinds:
        _try(kind, film, folder, table, runs=arguments.runs, seed=arguments.seed)
    print(f"\n{table}")
    if not table.lost:
        shutil.rmtree(folder, ignore_errors=True)
    if table.never_hit:
        print(f"Never hit, so nothing is known of: {', '.join(table.never_hit)}")
    return 1 if table.lost or table.never_hit else 0


def _try(kind: Kind, film: Film, folder: Path, table: Table, *, runs: int, seed: int) -> None:
    row = table.row(kind.name)
    for number in range(runs * MISSES_PER_RUN):
        if row.injected >= runs:
            return
        started_s = time.monotonic()
        try:
            verdict = try_once(kind, film, folder, seed * 100_000 + number)
        except pytest.skip.Exception as why:
            row.skipped = str(why)
            print(f"{kind.name}: skipped: {why}", flush=True)
            return
        table.add(kind.name, verdict)
        took_s = time.monotonic() - started_s
        said = verdict.why if verdict.outcome is Outcome.LOST else verdict.why[-300:]
        print(f"{kind.name} #{number}: {verdict.outcome} in {took_s:.1f} s  {said}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="faults of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only kinds whose name holds this")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
