"""Asks the ffmpeg program about a file, before this process looks into it itself.

What PyAV does not tell is read from its report. And it goes first: a file whose headers bring
libav down, or make it take time or memory without end, does so to a child within bounds and not to
the process that holds the job. What the program cannot open it could not encode either, so that is
refused here. It is often newer than the libav in PyAV, and knows more of such files.

Tests: tests/security/test_bombs.py, tests/infrastructure/ffmpeg/test_probe.py.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import anyio

from drapto.core.errors import InputError, MissingToolError, ProcessFailedError
from drapto.core.opening import input_arguments
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.opening import check_input, refusal
from drapto.infrastructure.ffmpeg.side_data import StreamFacts, parse_stream_facts
from drapto.infrastructure.process import ProcessResult, run_process

DEADLINE_S = 120.0  # a choice: much longer than a slow network disk needs for the head of a file
# Ten times what the longest honest file takes: a day of film in an MP4, of 25 frames and 47 packets
# of AAC a second, has 6.2 million samples, for each of which libavformat keeps about 40 bytes.
MEMORY_BYTES = 4 * 1024**3

_NO_OUTPUT = 1  # how it ends where all is well: it was given no output file
# Its exit status for AVERROR(ENOMEM), and how the kernel ends it where a container has a limit.
_OUT_OF_MEMORY = frozenset({256 - errno.ENOMEM, -signal.SIGKILL})
_FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL})
_REFUSED = re.compile(
    r"^(?:\[in#0[^]]*\] (.*)\n(?:\[AVIO.*\n)?)?\[in#0[^]]*\] Error opening input: (.*)$",
    re.MULTILINE,
)


def ask_program(path: Path, ffmpeg: Path | None = None) -> dict[int, StreamFacts]:
    """What `ffmpeg -i` says of each stream; nothing if there is no such program.

    Errors: InputError where the file is none that can be opened, or is made to do harm;
    ResourceError where no more files can be opened.
    """
    head = check_input(path)
    try:
        result = _ask(path, ffmpeg)
    except ProcessFailedError as error:
        raise InputError(
            f"{path}: ffmpeg has not found out its streams within {DEADLINE_S:g} s. The disk is "
            "very slow, or the file is damaged or made to keep it busy.",
            hint="Copy it to another disk, and see whether a player opens it.",
        ) from error
    except MissingToolError:
        return {}
    report = result.stdout.decode("utf-8", "replace")
    out_of_memory = result.returncode in _OUT_OF_MEMORY
    if out_of_memory or -result.returncode in _FAULTS:
        how = "runs out of memory" if out_of_memory else "crashes"
        raise InputError(
            f"{path}: ffmpeg {how} over its headers. The file is damaged, or made to do harm.",
            hint="See whether another copy of it is sound.",
        )
    if result.returncode != _NO_OUTPUT and (refused := _REFUSED.search(report)):
        why, words = refused.groups()
        raise refusal(path, head, f"{words}; {why}" if why else words)
    return parse_stream_facts(report)


def _ask(path: Path, ffmpeg: Path | None) -> ProcessResult:
    """The report goes to stdout, because only a bounded tail of stderr is kept. The event loop
    of the child is a thread's own, so that this works wherever a blocking call does."""
    ask = partial(
        run_process,
        [
            *(find_ffmpeg(ffmpeg), "-hide_banner", "-nostdin", "-v", "verbose"),
            *input_arguments(path),
        ],
        what=f"Asking ffmpeg about {path}",
        env={**os.environ, "FFREPORT": "file=/dev/stdout:level=40"},
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        check=False,
    )
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(anyio.run, ask).result()
