"""The processes of shadow runs.

    python -m drapto.shadow_worker run|measure DIRECTORY   one candidate, behind fences
    python -m drapto.shadow_worker detached FILE           the runs that an encode left behind

The first reads its task from DIRECTORY, puts up the fences, does one piece of work, and leaves its
result there; it writes nowhere else, and says nothing. Neither is meant to be called by a person:
`drapto shadow compare` is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Numerical libraries start a thread for every core as they are loaded, and a candidate is the
# last in line for all of them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(arguments: list[str]) -> int:
    """The exit code: for a DraptoError its own, with its message in the directory's stderr file;
    whatever else goes wrong ends as a traceback there."""
    verb, place = arguments[0], Path(arguments[1])
    if verb == "detached":
        import anyio

        from drapto.bootstrap.shadowing import run_detached

        content = place.read_bytes()
        place.unlink()  # killed from here on, the runs are lost; nobody waits for them
        anyio.run(run_detached, place, content)
        return 0

    from drapto.core.json_text import dumps, loads
    from drapto.core.shadow_task import ShadowTask
    from drapto.infrastructure.candidates import RESULT_FILE, SETTINGS_FILE, STDERR_FILE, TASK_FILE
    from drapto.infrastructure.confine import confine, fences_for
    from drapto.infrastructure.settings import Settings

    task = ShadowTask.model_validate(loads((place / TASK_FILE).read_bytes()))
    settings = Settings(**loads((place / SETTINGS_FILE).read_bytes()))
    _redirect(place / STDERR_FILE)
    confine(fences_for(task, place))

    import anyio

    from drapto.bootstrap.shadowing import run_shadow
    from drapto.core.errors import DraptoError

    try:
        result = anyio.run(run_shadow, verb, task, settings, place)
    except DraptoError as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201 (our own file)
        return error.exit_code
    partial = place / f"{RESULT_FILE}.tmp"
    partial.write_text(dumps(result))
    partial.replace(place / RESULT_FILE)
    return 0


def _redirect(stderr: Path) -> None:
    """A flood of output must not cost the reader anything: there is none."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    with stderr.open("wb") as file:
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
