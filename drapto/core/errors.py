"""Every error Drapto raises on purpose.

    DraptoError                 exit 1   something failed
    ├── UsageError              exit 2   the command line or the settings are wrong
    ├── InputError              exit 3   the source cannot be used
    ├── MissingToolError        exit 4   something is not on this machine
    ├── ValidationFailedError   exit 5   the output does not match the source
    ├── NoSavingError           exit 6   the output would be larger than was allowed
    ├── QualityMissedError      exit 7   --strict: the quality asked for was not reached
    ├── ProcessFailedError      exit 1   a child process failed
    │   └── OutOfMemoryError    exit 1   because it got no memory
    ├── ScriptContractError     exit 1   a legacy script printed something else than it should
    ├── SegmentFailedError      exit 1   a segment could not be encoded, after all retries
    │   └── EncoderFailedError  exit 1   by a graphics card: another encoder may do better
    ├── ResourceError           exit 1   no disk, memory or other resource left
    ├── JobLockedError          exit 1   another process works on this job
    ├── PublishError            exit 1   the output could not be put in its place
    └── StateError              exit 1   what a job remembers makes no sense, or is not there

An interrupted run exits 130 and raises nothing of this tree. Every message is one paragraph:
what was tried, on which file, why it failed, and (`hint`) what to do next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from shlex import join
from signal import Signals


class DraptoError(Exception):
    """Base of all. `hint` is the next step for the user, one sentence or empty."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(DraptoError):
    """The command line, the settings or an argument is wrong."""

    exit_code = 2


class InputError(DraptoError):
    """The source cannot be used: missing, unreadable, damaged beyond use, or without video."""

    exit_code = 3


class MissingToolError(DraptoError):
    """A program, encoder or filter is not on this machine."""

    exit_code = 4


class ValidationFailedError(DraptoError):
    """The output does not match the source; it was not published."""

    exit_code = 5


class NoSavingError(DraptoError):
    """The output would be larger than --max-size-percent allows; the source stays as it is."""

    exit_code = 6


class QualityMissedError(DraptoError):
    """With --strict: segments could not be brought to the target."""

    exit_code = 7


class ProcessFailedError(DraptoError):
    """A child process failed. Carries what is needed to run it again by hand.

    `returncode` None: it was ended before its end, and `cut_short` says why. `brief` says the same
    in one sentence without the command, for where it is one of several.
    """

    def __init__(
        self,
        what: str,
        *,
        command: Sequence[str],
        returncode: int | None,
        stderr_tail: str,
        cut_short: str = "ran past its deadline",
        hint: str = "",
    ) -> None:
        self.command = tuple(command)
        self.returncode = returncode
        self.stderr_tail = stderr_tail
        how = cut_short if returncode is None else _describe_exit(returncode)
        lines = _last_lines(stderr_tail)
        said = f" It said: {' / '.join(lines)}" if lines else ""
        last = f", saying: {lines[-1].rstrip('.')}" if lines else ""
        self.brief = f"{what}: the program {how}{last}."
        super().__init__(f"{what}: {self.command_line} {how}.{said}", hint=hint)

    @property
    def command_line(self) -> str:
        """The command, quoted so that it can be pasted into a shell."""
        return join(self.command)


class OutOfMemoryError(ProcessFailedError):
    """A child process got no memory: it said so, or the kernel killed it for it."""


class ScriptContractError(DraptoError):
    """A legacy script ended well, but what it printed or wrote is not what it should be."""


class SegmentFailedError(DraptoError):
    """A segment could not be encoded, after all retries, or is not what was encoded any more."""


class EncoderFailedError(SegmentFailedError):
    """An encoder that needs a graphics card failed, after all retries. Another one may not.

    `said`: the last that ffmpeg said.
    """

    def __init__(self, message: str, *, hint: str = "", said: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said


class ResourceError(DraptoError):
    """No disk space, memory or other resource is left."""


class JobLockedError(DraptoError):
    """Another process works on this job."""


class PublishError(DraptoError):
    """The output could not be put in its place."""


class StateError(DraptoError):
    """An illegal transition, a journal that makes no sense, or work that is not what it says."""


@contextmanager
def one_error() -> Iterator[None]:
    """Turn the exception group of a task group into its most telling member.

    Tasks of one group fail for one reason most of the time, and a caller wants that reason;
    the group stays reachable as the cause. A DraptoError goes before any other.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        known = [leaf for leaf in leaves if isinstance(leaf, DraptoError)]
        raise (known or leaves)[0] from group


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for member in group.exceptions:
        if isinstance(member, BaseExceptionGroup):
            yield from _leaves(member)
        else:
            yield member


def _last_lines(text: str, lines: int = 5, most: int = 600) -> list[str]:
    """The last lines that say something, no more characters than a person reads."""
    said = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
    while len(said) > 1 and sum(map(len, said)) > most:
        said.pop(0)
    return [line[-most:] for line in said]


def _describe_exit(returncode: int) -> str:
    if returncode < 0:
        with suppress(ValueError):  # real-time signals have no name
            return f"was killed by signal {-returncode} ({Signals(-returncode).name})"
        return f"was killed by signal {-returncode}"
    return f"exited with status {returncode}"
