"""Print by how much quicker presets of SVT-AV1 are worse and larger than preset 6 at the same CRF.

    python bench/target_quality_presets.py --data FOLDER

FOLDER holds all_presets.csv with the columns scene, preset, crf, bytes and vm (mean VMAF). The
figures stand in drapto/services/encoding/target_quality/presets.py.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path
from statistics import mean, stdev

REFERENCE = 6
CRFS = (25.0, 35.0, 45.0)
VMAF_LIMIT = 103.0  # as in curves.py

Cell = tuple[float, float]  # ln(103 - VMAF), ln(bytes)


def read(folder: Path) -> dict[int, dict[tuple[str, float], Cell]]:
    """By preset, then by scene and CRF."""
    found: dict[int, dict[tuple[str, float], Cell]] = {}
    with (folder / "all_presets.csv").open() as file:
        for row in csv.DictReader(file):
            cell = math.log(VMAF_LIMIT - float(row["vm"])), math.log(float(row["bytes"]))
            found.setdefault(int(row["preset"]), {})[row["scene"], float(row["crf"])] = cell
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    cells = read(parser.parse_args().data)
    reference = cells.pop(REFERENCE)
    print("| preset | pairs | ln(103 - VMAF) | s.d. | ln(bytes) | s.d. |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for preset in sorted(cells):
        pairs = [
            (cell, reference[key])
            for key, cell in cells[preset].items()
            if key[1] in CRFS and key in reference
        ]
        gaps = [cell[0] - other[0] for cell, other in pairs]
        rates = [cell[1] - other[1] for cell, other in pairs]
        figures = [mean(gaps), stdev(gaps), mean(rates), stdev(rates)]
        print(f"| {preset} | {len(pairs)} |", " | ".join(f"{one:+.3f}" for one in figures), "|")


if __name__ == "__main__":
    main()
