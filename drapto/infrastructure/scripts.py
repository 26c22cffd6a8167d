"""Runs the executables of one directory: the legacy scripts, ours or a team's own.

Promised: a process group of its own, a deadline, a bounded stderr tail, the priority of an
encoder; of the variables that begin with DRAPTO_ the script sees only those it is given, so a
setting in the user's environment never reaches it by accident.

Test: tests/infrastructure/test_scripts.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from drapto.core.errors import MissingToolError
from drapto.core.interfaces import ScriptRun
from drapto.infrastructure.ffmpeg.executor import ENCODER_NICE
from drapto.infrastructure.process import run_process
from drapto.infrastructure.settings import ENV_PREFIX

# Programs that the scripts look for and Drapto itself does not use: passed on as they are.
PASSED_ON = frozenset({"DRAPTO_FFPROBE", "DRAPTO_MEDIAINFO"})


class ScriptDirectory:
    """`interpreter` goes before the script: ('bash',) for the packaged ones, since installing a
    package does not keep the right to execute a file. Empty: the script is started itself."""

    def __init__(
        self, path: Path, *, interpreter: tuple[str, ...] = (), deadline_s: float | None = None
    ) -> None:
        self._path = path
        self._interpreter = interpreter
        self._deadline_s = deadline_s

    async def run(
        self, stage: str, variables: Mapping[str, str], *, what: str, work_dir: Path
    ) -> ScriptRun:
        """See `ScriptRunner`."""
        script = self._find(stage, what)
        done = await run_process(
            [*self._interpreter, script],
            what=what,
            env=_environment(variables),
            cwd=work_dir,
            deadline_s=self._deadline_s,
            check=False,
            nice=ENCODER_NICE,
        )
        return ScriptRun(done.command, done.returncode, done.stdout, done.stderr_tail, done.use)

    def _find(self, stage: str, what: str) -> Path:
        """`NAME.sh`, or `NAME` without a suffix. Errors: MissingToolError."""
        candidates = [self._path / f"{stage}.sh", self._path / stage]
        script = next((path for path in candidates if path.is_file()), None)
        if script is None:
            raise MissingToolError(
                f"{what}: there is neither {stage}.sh nor {stage} in {self._path}.",
                hint="Correct the setting 'legacy_scripts_dir', or unset it to use the scripts "
                "that come with Drapto.",
            )
        if not self._interpreter and not os.access(script, os.X_OK):
            raise MissingToolError(
                f"{what}: {script} is not executable.", hint=f"Run: chmod +x {script}"
            )
        return script.absolute()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    foreign = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ENV_PREFIX) or name in PASSED_ON
    }
    return {**foreign, **variables}
