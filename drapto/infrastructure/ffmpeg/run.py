"""Runs an ffmpeg that writes a file, and says it plainly when disk or memory are used up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from drapto.core.errors import OutOfMemoryError, ProcessFailedError, ResourceError
from drapto.core.resources import looks_like_disk_full, looks_like_no_memory
from drapto.infrastructure.machine import out_of_memory_kills
from drapto.infrastructure.process import ProcessResult, run_process
from drapto.infrastructure.stalling import STALL_S

# SVT-AV1 writes a banner for every run unless it is told to write errors only.
QUIET_ENCODERS = {**os.environ, "SVT_LOG": "1"}


async def run_writer(
    argv: Sequence[str | os.PathLike[str]],
    *,
    what: str,
    out: Path,
    on_stdout_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    nice: int = 0,
    stall_s: float = STALL_S,
) -> ProcessResult:
    """`run_process` for a program that writes `out` and may not stand still for `stall_s`.

    Errors: ResourceError if no space is left, OutOfMemoryError; otherwise as `run_process`.
    """
    killed_before = out_of_memory_kills()
    try:
        return await run_process(
            argv,
            what=what,
            env=env,
            cwd=cwd,
            stall_s=stall_s,
            on_stdout_line=on_stdout_line,
            nice=nice,
        )
    except ProcessFailedError as error:
        too_large = error.returncode == -signal.SIGXFSZ  # the limit of `ulimit -f`
        if too_large or looks_like_disk_full(error.stderr_tail):
            raise ResourceError(
                f"{what}: no space is left for {out}.",
                hint="Free some space, or name another place with --work-dir, and run the same "
                "command again: it goes on from whatever was finished.",
            ) from error
        by_kernel = error.returncode == -signal.SIGKILL and out_of_memory_kills() > killed_before
        if by_kernel or looks_like_no_memory(error.stderr_tail):
            raise OutOfMemoryError(
                f"{what}: no memory was left for it",
                command=error.command,
                returncode=error.returncode,
                stderr_tail=error.stderr_tail,
            ) from error
        raise
