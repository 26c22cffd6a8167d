"""Every failure as one paragraph on stderr and one exit code."""

from __future__ import annotations

import errno
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.text import printable
from drapto.core.errors import DraptoError, ResourceError
from drapto.core.resources import OUT_OF_FILES_HINTS

INTERRUPTED = 130


@dataclass(frozen=True)
class Failure:
    """What went wrong, in the words the user gets and the `job_failed` event carries."""

    error: str  # class name
    message: str
    hint: str
    exit_code: int
    unexpected: bool = False

    @property
    def text(self) -> str:
        return f"{self.message} {self.hint}".strip()


def sole_cause(error: BaseException) -> BaseException:
    """The error that matters inside exception groups: Drapto's own first, else the first."""
    while isinstance(error, BaseExceptionGroup):
        known = [e for e in error.exceptions if isinstance(sole_cause(e), DraptoError)]
        error = (known or error.exceptions)[0]
    return error


def describe(error: BaseException, *, log: Path | None = None) -> Failure:
    """Translate any exception. `log` is where its traceback was written, if anywhere."""
    error = sole_cause(error)
    name = type(error).__name__
    if isinstance(error, DraptoError):
        return Failure(name, error.message, error.hint, error.exit_code)
    if isinstance(error, MemoryError):
        return Failure(
            ResourceError.__name__, "The memory of this machine is used up.",
            "Give the job fewer workers (--workers) or less memory (--memory).",
            ResourceError.exit_code,
        )  # fmt: skip
    if isinstance(error, OSError) and error.strerror:
        return _describe_os_error(error)
    where = f"the traceback in {log}" if log else "the traceback (run again with -v)"
    return Failure(
        name,
        f"Drapto itself failed: {name}: {error}".rstrip(": ") + ".",
        f"This is a fault in Drapto; please report it with {where} and the output of "
        "`drapto doctor`.",
        1,
        unexpected=True,
    )


def _describe_os_error(error: OSError) -> Failure:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    what = f"{' and '.join(names)}: {error.strerror}." if names else f"{error.strerror}."
    hint = {
        errno.ENOSPC: "Free some space, or name another work directory with --work-dir.",
        errno.EDQUOT: "Free some space, or name another work directory with --work-dir.",
        errno.EACCES: "Check who may read and write there.",
        errno.EPERM: "Check who may read and write there.",
        errno.EROFS: "Choose a directory that can be written to.",
        errno.ENOENT: "If something removed it while the job was running, run the command again.",
        errno.EIO: "The disk reports a fault: check it, or use another.",
        **OUT_OF_FILES_HINTS,
    }.get(error.errno or 0, "")
    return Failure(type(error).__name__, f"The system refused: {what}", hint, 1)


def show(failure: Failure) -> None:
    say(f"Error: {failure.text}")


def say(text: str) -> None:
    """One paragraph on stderr; a closed stderr is no reason to fail."""
    try:
        sys.stderr.write(printable(text, newlines=True) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
