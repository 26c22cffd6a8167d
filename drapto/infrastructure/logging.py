"""Structured logs: JSON lines in the work directory, plain lines on stderr.

Nothing here touches structlog's or the standard library's global configuration, so a program
that uses Drapto keeps its own. A log that cannot be written (full disk, directory gone) never
fails a job: the line is lost and the job goes on.

    log = job_logger(log_path(work_dir), job="3f2a")
    log.info("segment encoded", segment=4)
    # {"timestamp": "2026-01-02T03:04:05.678901Z", "level": "info", "event": "segment encoded",
    #  "job": "3f2a", "stage": null, "segment": 4}
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from drapto.core.comparison import Comparison, FieldResult, Outcome, Severity
from drapto.core.events import (
    ComparisonDone,
    DeviceFallback,
    EncoderSettled,
    Event,
    JobFailed,
    JobFinished,
    JobStarted,
    LeaksFound,
    SegmentFinished,
    SegmentProgress,
    SegmentRetried,
    StageProgress,
    StageRolledBack,
    StageServed,
    StageStarted,
    WarningRaised,
)
from drapto.core.job import Stage
from drapto.core.json_text import dumps

LOG_FILE_NAME = "log.jsonl"
# The order of the keys that every line has; the rest follow as they were given.
_FIRST_KEYS = ("timestamp", "level", "event", "job", "stage", "segment")
_EventDict = MutableMapping[str, Any]


def log_path(work_dir: Path) -> Path:
    """Where the log of the job in `work_dir` lies."""
    return work_dir / LOG_FILE_NAME


def job_logger(path: Path, job: str, level: str = "info") -> FilteringBoundLogger:
    """A logger that appends JSON lines to `path`, `job` on each. Safe from any thread.

    The file is opened for every line, so there is no handle to close, and nothing is written
    any more once the work directory is gone.
    """
    return _logger(_JsonLines(path), _as_json, level).bind(job=job)


def stderr_logger(level: str = "info") -> FilteringBoundLogger:
    """A logger that writes one plain line per entry to stderr, for -v."""
    return _logger(_StderrLines(), _as_text, level)


class LogSink:
    """An EventSink: every event becomes one log line with job, stage and segment.

    A comparison is followed by one line for each of its discrepancies.
    """

    def __init__(self, logger: FilteringBoundLogger) -> None:
        self._logger = logger
        self._stage: Stage | None = None

    def emit(self, event: Event) -> None:
        fields = event.model_dump()
        name = fields.pop("event")
        if isinstance(event, JobStarted):
            self._stage = None
        elif isinstance(event, StageStarted):
            self._stage = event.stage
        elif isinstance(event, JobFinished):
            fields = {"job": event.job, **_result_facts(event)}
        elif isinstance(event, ComparisonDone):
            fields = {"job": event.job, **_comparison_facts(event.comparison)}
        elif isinstance(event, StageServed):
            fields = {"job": event.job, **event.served.model_dump(exclude={"job", "at"})}
        if isinstance(event, SegmentProgress | SegmentFinished | SegmentRetried):
            fields["stage"] = Stage.ENCODING
        fields.setdefault("stage", self._stage)
        self._write(_level_of(event), name, fields)
        if isinstance(event, ComparisonDone):
            self._discrepancies(event.job, event.comparison)

    def _discrepancies(self, job: str, comparison: Comparison) -> None:
        about = {"job": job, "stage": comparison.stage, "id": comparison.id}
        for found in comparison.discrepancies:
            self._write(_level_of_field(found), "discrepancy", about | found.model_dump())

    def _write(self, level: str, name: str, fields: dict[str, Any]) -> None:
        write: Callable[..., Any] = getattr(self._logger, level)
        write(name, **fields)


def _result_facts(event: JobFinished) -> dict[str, Any]:
    """The numbers of a result; its tracks were already said by the plan."""
    result = event.result
    names = (
        "source", "output", "source_bytes", "output_bytes", "frames", "wall_s", "encode_fps",
        "segments", "resumed_segments", "manifest",
    )  # fmt: skip
    return {name: getattr(result, name) for name in names}


def _comparison_facts(comparison: Comparison) -> dict[str, Any]:
    """What a person reads; the fields have lines of their own, and the store has all of it."""
    names = (
        "id", "stage", "primary", "candidate", "outcome", "reason", "primary_s", "candidate_s",
        "revision", "mode",
    )  # fmt: skip
    return {name: getattr(comparison, name) for name in names}


def _level_of_field(found: FieldResult) -> str:
    return "info" if found.severity is Severity.IGNORED else "warning"


_WARNINGS = (WarningRaised, SegmentRetried, LeaksFound, StageRolledBack, DeviceFallback)


def _level_of(event: Event) -> str:
    if isinstance(event, SegmentProgress | StageProgress):
        return "debug"
    if isinstance(event, EncoderSettled):
        return "info" if event.instead_of is None else "warning"
    if isinstance(event, _WARNINGS):
        return "warning"
    if isinstance(event, StageServed):
        return "warning" if event.served.failed else "info"
    if isinstance(event, ComparisonDone):
        outcome = event.comparison.outcome
        return "info" if outcome.agrees or outcome is Outcome.SKIPPED else "warning"
    return "error" if isinstance(event, JobFailed) else "info"


def _logger(target: Any, render: Processor, level: str) -> FilteringBoundLogger:
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        render,
    ]
    bound = structlog.wrap_logger(
        target,
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return cast(FilteringBoundLogger, bound.bind())


def _ordered(entry: _EventDict) -> dict[str, Any]:
    first = {key: entry.get(key) for key in _FIRST_KEYS}
    return first | {key: value for key, value in entry.items() if key not in first}


def _as_json(_: Any, __: str, entry: _EventDict) -> str:
    return dumps(_ordered(entry))


def _as_text(_: Any, __: str, entry: _EventDict) -> str:
    """'03:04:05 info  stage_started job=3f2a stage=encoding', a traceback on lines below."""
    rest = _ordered(entry)
    when, level, name = rest.pop("timestamp"), rest.pop("level"), rest.pop("event")
    trace = rest.pop("exception", None)
    pairs = [f"{key}={_plain(value)}" for key, value in rest.items() if value is not None]
    line = " ".join([str(when)[11:19], f"{level:<7}", str(name), *pairs])
    return f"{line}\n{trace}" if trace else line


def _plain(value: Any) -> str:
    text = dumps(value) if isinstance(value, dict | list | tuple) else str(value)
    return dumps(text) if " " in text or not text.isprintable() else text


class _Lines:
    """What structlog calls with the finished line, whatever the level."""

    def write(self, line: str) -> None:
        raise NotImplementedError

    def msg(self, line: str) -> None:
        self.write(line)

    debug = info = warning = error = critical = exception = log = msg


class _JsonLines(_Lines):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._torn = False  # the last write stopped half-way, so the next starts on a new line

    def write(self, line: str) -> None:
        data = (("\n" if self._torn else "") + line + "\n").encode()
        with self._lock:
            try:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(self._path, flags, 0o600)
            except OSError:
                return
            try:
                self._torn = os.write(descriptor, data) != len(data)
            except OSError:
                self._torn = True
            finally:
                os.close(descriptor)


class _StderrLines(_Lines):
    def __init__(self) -> None:
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock:
            try:
                sys.stderr.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
                sys.stderr.flush()
            except (OSError, ValueError):
                return
