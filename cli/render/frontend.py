"""The four ways to show a job: for programs, for silence, for a log, for a terminal.

Every one is an EventSink that takes events from any thread. It is entered around each job
(`with frontend:`), so that a display is up only while a job runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli import text
from cli.render.console import is_display, make_console, print_facts, print_table, write_line
from cli.render.display import JobDisplay, facts_of
from cli.render.facts import plan_facts, result_facts
from cli.render.view import JobView, Snapshot
from drapto.core.events import (
    CommandPlanned,
    EncoderSettled,
    Event,
    JobSkipped,
    JobStarted,
    LeaksFound,
    PlanReady,
    SegmentFinished,
    SegmentProgress,
    SegmentRetried,
    StageFinished,
    StageProgress,
    WarningRaised,
)
from drapto.core.job import EncodeResult, Stage
from drapto.core.json_text import dumps


@dataclass(frozen=True)
class BatchRow:
    """One line of the table at the end of a batch. `outcome` only of a finished job."""

    source: Path
    result: Literal["done", "planned", "failed", "skipped", "not started", "interrupted"]
    detail: str = ""
    outcome: EncodeResult | None = None


class Frontend:
    """Shows nothing but errors (which go to stderr elsewhere): what -q asks for."""

    def emit(self, event: Event) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def heading(self, line: str) -> None:
        """Something to say before a job, such as its number in a batch."""

    def summary(self, result: EncodeResult, log: Path | None = None) -> None:
        """The result of one job, after its display is gone. `log`: where it was kept."""

    def table(self, rows: Sequence[BatchRow]) -> None:
        """The end of a batch."""


class JsonFrontend(Frontend):
    """Newline-delimited JSON events on stdout and nothing else there."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def emit(self, event: Event) -> None:
        self._write(dumps(event))


class PlainFrontend(Frontend):
    """Plain lines: one per stage, and progress once per step."""

    # A line when this much more is done, or after this time when at least 1 % more is.
    _STEP = 0.10
    _INTERVAL_S = 30.0

    def __init__(
        self,
        write: Callable[[str], None],
        view: JobView,
        console: Console,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._view, self._console, self._now_s = write, view, console, now_s
        self._lock = threading.Lock()
        self._said: dict[Stage, float] = {}
        self._said_s = 0.0

    def emit(self, event: Event) -> None:
        with self._lock:
            for line in self._lines(event):
                self._write(line)

    def heading(self, line: str) -> None:
        self._write(line)

    def summary(self, result: EncodeResult, log: Path | None = None) -> None:
        print_facts(self._console, result_facts(result, log))

    def table(self, rows: Sequence[BatchRow]) -> None:
        print_batch(self._console, rows)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case JobStarted():
                self._said = {}
                again = " (going on with an earlier run)" if event.resumed else ""
                return [f"{text.path(event.source)} -> {text.path(event.output)}{again}"]
            case StageFinished():
                detail = f": {text.printable(event.detail)}" if event.detail else " done"
                return [f"{event.stage}{detail} ({text.duration(event.wall_s)})"]
            case PlanReady():
                return ["plan:", *(f"  {label}: {value}" for label, value in plan_facts(event))]
            case StageProgress() if event.stage is not Stage.ENCODING:
                return self._progress(self._view.snapshot(), event.stage)
            case SegmentProgress() | SegmentFinished():
                return self._progress(self._view.snapshot(), Stage.ENCODING)
            case _:
                return rare_lines(event)

    def _progress(self, now: Snapshot, stage: Stage) -> list[str]:
        share = now.share if now.stage is stage else None
        if share is None or share >= 1.0:
            return []
        gained = share - self._said.get(stage, 0.0)
        waited_s = self._now_s() - self._said_s
        if gained < self._STEP and not (gained >= 0.01 and waited_s >= self._INTERVAL_S):
            return []
        self._said[stage], self._said_s = share, self._now_s()
        return [f"{stage}: " + ", ".join([f"{int(share * 100)} %", *facts_of(now)])]


class TerminalFrontend(Frontend):
    """One display for the whole job, redrawn in place, and a summary in its stead."""

    def __init__(self, view: JobView, console: Console) -> None:
        self._console, self._display = console, JobDisplay(view)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(
            self._display, console=self._console, refresh_per_second=4, transient=True
        )
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def emit(self, event: Event) -> None:
        for line in rare_lines(event):
            self._console.print(Text(line, style="yellow"), soft_wrap=True)

    def heading(self, line: str) -> None:
        self._console.print(Text(line, style="bold"), soft_wrap=True)

    def summary(self, result: EncodeResult, log: Path | None = None) -> None:
        print_facts(self._console, result_facts(result, log))

    def table(self, rows: Sequence[BatchRow]) -> None:
        print_batch(self._console, rows)


def rare_lines(event: Event) -> list[str]:
    """Events worth a line wherever lines are shown."""
    match event:
        case WarningRaised():
            return [f"warning: {text.printable(event.message)}"]
        case EncoderSettled() if event.instead_of is None:
            return [f"encoder: {event.encoder}, {text.printable(event.reason)}"]
        case SegmentRetried():
            reason = text.printable(event.reason)
            return [f"segment {event.segment} is tried again (attempt {event.attempt}): {reason}"]
        case LeaksFound():
            held = [text.count(event.slots, "slot")] if event.slots else []
            left = [*held, *event.processes, *event.open_files, *event.temporary_files]
            return [f"warning: left behind: {text.printable(', '.join(left))}"]
        case JobSkipped():
            return [f"skipped {text.path(event.source)}: {text.printable(event.reason)}"]
        case CommandPlanned():
            return [text.command(event.command)]
        case _:
            return []


def print_batch(console: Console, rows: Sequence[BatchRow]) -> None:
    def cells(row: BatchRow) -> list[str]:
        done = row.outcome
        if done is None:
            return [text.path(row.source), row.result, "-", "-", "-", "-"]
        return [
            text.path(row.source),
            row.result,
            text.size(done.source_bytes),
            text.size(done.output_bytes),
            text.saving(done.source_bytes, done.output_bytes),
            text.duration(done.wall_s),
        ]

    headers = ("file", "result", "before", "after", "saving", "time")
    print_table(console, headers, [cells(row) for row in rows], right="before,after,time")
    for row in rows:
        if row.result == "failed":
            file = text.path(row.source)
            said = text.printable(row.detail)
            write_line(console, f"failed: {said if file in said else f'{file}: {said}'}")
    write_line(console, _total(rows))


def _total(rows: Sequence[BatchRow]) -> str:
    """'2 done, 1 failed; 2.0 GiB -> 0.8 GiB (60 % smaller)'."""
    results = [row.result for row in rows]
    counts = ", ".join(f"{results.count(r)} {r}" for r in dict.fromkeys(results))
    done = [row.outcome for row in rows if row.outcome is not None]
    if not done:
        return counts
    before, after = sum(r.source_bytes for r in done), sum(r.output_bytes for r in done)
    saved = text.saving(before, after)
    return f"{counts}; {text.size(before)} -> {text.size(after)} ({saved})"


def choose_frontend(
    *, json_lines: bool, quiet: bool, plain: bool, view: JobView, write: Callable[[str], None]
) -> Frontend:
    """`write` puts one line on stdout. `plain` rules out the redrawn display (--dry-run)."""
    if json_lines:
        return JsonFrontend(write)
    if quiet:
        return Frontend()
    console = make_console()
    if is_display(console) and not plain:
        return TerminalFrontend(view, console)
    return PlainFrontend(write, view, console)
