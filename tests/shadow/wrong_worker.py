"""A candidate with one fault: python wrong_worker.py FAULT run|measure DIRECTORY

Takes the place of `python -m drapto.shadow_worker`. It runs that very program, behind the same
fences, and then spoils what came out in one way; or it puts up the fences and does something else
altogether. Measuring is left to the real program. Its faults are the functions of `faults.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from drapto import shadow_worker
from drapto.core.json_text import loads
from drapto.core.shadow_task import ShadowTask
from drapto.infrastructure.confine import confine, fences_for
from tests.shadow import faults


def main(name: str, verb: str, directory: str) -> int:
    home = Path(directory)
    if verb == "measure" or name == "honest":
        return shadow_worker.main([verb, directory])
    if instead := faults.INSTEAD.get(name):
        task = ShadowTask.model_validate(loads((home / "task.json").read_bytes()))
        confine(fences_for(task, home))
        instead(task, home)
        return 0
    if before := faults.BEFORE.get(name):
        before(home)
    shadow_worker.main([verb, directory])
    if after := faults.AFTER.get(name):
        after(home)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
