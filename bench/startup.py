"""How much `drapto --version` costs beside starting Python at all.

    python bench/startup.py [--runs 41]

Both are run alternately, so that whatever else the machine does hits both alike. Prints the
median wall time of each, and their ratio; `--help` (which loads Typer) is shown for comparison.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def wall_s(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=41)
    runs = parser.parse_args().runs
    drapto = [sys.executable, "-m", "cli.main"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "drapto --version": [*drapto, "--version"],
        "drapto --help": [*drapto, "--help"],
    }
    for command in commands.values():  # compiles whatever has not been compiled
        wall_s(command)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            times[name].append(wall_s(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["python -c pass"]
    for name, median_s in medians.items():
        print(f"{name:<17} {median_s * 1000:7.1f} ms  {median_s / base:5.2f} x")


if __name__ == "__main__":
    main()
