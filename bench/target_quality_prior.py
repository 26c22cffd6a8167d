"""Print the module ordinary.py of drapto/services/encoding/target_quality from measured scenes.

    python bench/target_quality_prior.py --data FOLDER > ordinary.py

FOLDER holds truth.csv and feats.csv: see `_target_quality_films.py`. Figures are rounded to four
digits, which moves no CRF.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _target_quality_films import fit_prior, read_scenes

HEADER = '''"""What an ordinary film is like: the prior that Drapto is shipped with.

Printed by bench/target_quality_prior.py from {scenes} scenes of {sources} sources (1.5 to 5 s,
340 to 1920 pixels wide, three with added noise) at 9 CRFs each: SVT-AV1 4.2, preset 6, 10 bits,
VMAF v0.6.1. It only decides where a film begins: what is measured in the film itself soon weighs
more. Features: `complexity` in film.py.
"""

from __future__ import annotations

from drapto.services.encoding.target_quality.curves import Prior

# fmt: off
ORDINARY = Prior('''


def _numbers(row: tuple[float, ...]) -> str:
    numbers = [f"{number:.4g}" for number in row]
    lines = [", ".join(numbers[i : i + 9]) for i in range(0, len(numbers), 9)]
    return ",\n        ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    scenes = read_scenes(parser.parse_args().data)
    prior = fit_prior(scenes)
    out = HEADER.format(scenes=len(scenes), sources=len({scene.source for scene in scenes}))
    for name in ("mean", "shapes", "weights", "between", "within"):
        table = getattr(prior, name)
        rows = [_numbers(table)] if name == "mean" else [f"({_numbers(row)})" for row in table]
        out += (
            f"\n    {name}=(" + "\n        ".join(["", *(f"{row}," for row in rows)]) + "\n    ),"
        )
    sys.stdout.write(out + "\n)\n")


if __name__ == "__main__":
    main()
