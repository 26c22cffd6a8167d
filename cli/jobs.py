"""Runs the jobs of one `drapto encode`: one after the other, each with its own outcome."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from cli.batch import Work
from cli.errors import INTERRUPTED, Failure, describe, say, show
from cli.render.frontend import BatchRow, Frontend
from cli.render.view import JobView
from cli.runtime import Stop, show_traceback
from cli.text import count
from drapto.api import Drapto
from drapto.core.errors import DraptoError, NoSavingError, ValidationFailedError
from drapto.core.events import Event, JobFailed, JobSkipped
from drapto.core.interfaces import EventSink
from drapto.core.job import EncodeOptions, RunOptions
from drapto.infrastructure.journal import JOURNAL_NAME
from drapto.infrastructure.logging import job_logger, log_path
from drapto.infrastructure.settings import Settings
from drapto.services.batch import BatchItem

if TYPE_CHECKING:
    from drapto.infrastructure.metrics import Metrics


@dataclass
class Jobs:
    """Everything the jobs of one command share."""

    settings: Settings
    options: EncodeOptions
    run: RunOptions
    frontend: Frontend
    view: JobView
    sinks: Sequence[EventSink]
    metrics: Metrics | None = None
    metrics_file: Path | None = None
    verbose: bool = False
    quiet: bool = False
    rows: list[BatchRow] = field(default_factory=list)

    async def all(self, work: Work, stop: Stop) -> int:
        """Encode everything; the exit code. A batch goes on after a failed file."""
        code = INTERRUPTED
        try:
            async with Drapto(self.settings, sinks=self.sinks) as drapto:
                if work.is_batch:
                    code = await self._batch(drapto, work, stop)
                else:
                    code = await self._one(drapto, work.plan.items[0], stop)
                await self._shadows(drapto, stop)
            return code
        finally:
            self._write_metrics()
            if stop.reason and code == INTERRUPTED:  # and not just too late
                self._say_interrupted()

    async def _shadows(self, drapto: Drapto, stop: Stop) -> None:
        """The results are there: what is compared beside them can be waited for, or dropped.

        Neither changes the exit code any more.
        """
        if not drapto.shadows_waiting:
            return
        runs = count(drapto.shadows_waiting, "shadow run")
        if not self.settings.wait_shadow:
            await drapto.detach_shadows()
            self._note(f"{runs} left to the background; `drapto shadow report` tells the outcome.")
            return
        self._note(f"Waiting for {runs}, to compare both sides. Ctrl-C drops what is left.")
        with anyio.CancelScope() as scope:
            stop.arm(scope)
            for found in await drapto.run_shadows():
                self._note(f"Shadow run of {found.stage}: {found.outcome}. {found.reason}")
        if scope.cancelled_caught:
            self._note("The shadow runs were dropped.")

    def _note(self, text: str) -> None:
        if not self.quiet:
            say(text)

    async def _batch(self, drapto: Drapto, work: Work, stop: Stop) -> int:
        for item in work.plan.skipped:
            self._emit(_skipped(item, "not a video by its name"))
        items = work.plan.items
        try:
            for number, item in enumerate(items, start=1):
                self.frontend.heading(f"{number} of {len(items)}: {item.source.name}")
                if item.output.exists() and not self.run.overwrite:
                    self._emit(
                        _skipped(item, "its output is already there (--overwrite redoes it)")
                    )
                    self.rows.append(BatchRow(item.source, "skipped", "output exists"))
                    continue
                with _parents(item.output):
                    await self._one(drapto, item, stop)
        finally:
            done = len(self.rows)
            self.rows += [BatchRow(item.source, "not started") for item in items[done:]]
            self.frontend.table(self.rows)
        return 1 if any(row.result == "failed" for row in self.rows) else 0

    async def _one(self, drapto: Drapto, item: BatchItem, stop: Stop) -> int:
        try:
            with self.frontend:
                row = await self._run(drapto, item)
        except anyio.get_cancelled_exc_class():
            self.rows.append(BatchRow(item.source, "interrupted"))
            raise
        except Exception as error:
            if stop.reason:  # what fails while being stopped was stopped
                self.rows.append(BatchRow(item.source, "interrupted"))
                return INTERRUPTED
            failure = self._failed(item, error)
            if isinstance(error, NoSavingError):  # what was asked for, and no fault
                self.rows.append(BatchRow(item.source, "skipped", "no saving"))
            else:
                self.rows.append(BatchRow(item.source, "failed", failure.message))
            return failure.exit_code
        self.rows.append(row)
        if row.outcome is not None:
            self.frontend.summary(row.outcome, self._log_of(item))
        return 0

    async def _run(self, drapto: Drapto, item: BatchItem) -> BatchRow:
        source, output, options, run = item.source, item.output, self.options, self.run
        if run.dry_run:
            await drapto.plan(source, output, options=options, run=run)
            return BatchRow(source, "planned")
        result = await drapto.encode(source, output, options=options, run=run)
        return BatchRow(source, "done", outcome=result)

    def _failed(self, item: BatchItem, error: Exception) -> Failure:
        """Say what failed, log it, and see that a `job_failed` event was sent."""
        event, started = self.view.failure, self.view.started
        mine = started if started and started.source == item.source else None
        log = self._log_of(item)
        failure = describe(error, log=log)
        if failure.unexpected:
            where = log or self.settings.state_dir / "crash.jsonl"
            with contextlib.suppress(OSError):
                where.parent.mkdir(parents=True, exist_ok=True)
            job_logger(where, job=mine.job if mine else "").error("unexpected", exc_info=error)
            failure = describe(error, log=where)
            if self.verbose:
                show_traceback(error)
        resumable = event is not None and event.source == item.source and event.resumable
        if event is None or event.source != item.source:
            self._emit(
                JobFailed(
                    job=mine.job if mine else "",
                    source=item.source,
                    output=item.output,
                    error=failure.error,
                    message=failure.message,
                    hint=failure.hint,
                    exit_code=failure.exit_code,
                )
            )
        show(failure)
        if resumable and self._would_go_on(item, failure):
            say("The finished segments are kept: the same command goes on from there.")
        if log and not failure.unexpected:
            say(f"The log is {log}.")
        return failure

    def _would_go_on(self, item: BatchItem, failure: Failure) -> bool:
        """Whether the same command has something to go on with, and would not fail at once."""
        started = self.view.started
        if started is None or not (started.work_dir / JOURNAL_NAME).exists():
            return False
        if item.output.exists() and not self.run.overwrite:
            return False
        fails_again = failure.exit_code == ValidationFailedError.exit_code
        return not fails_again and self.view.snapshot().segments_done > 0

    def _log_of(self, item: BatchItem) -> Path | None:
        """The log of the job on this file, if its work directory is still there."""
        started = self.view.started
        if started is None or started.source != item.source:
            return None
        log = log_path(started.work_dir)
        return log if log.exists() else None

    def _say_interrupted(self) -> None:
        event, now = self.view.failure, self.view.snapshot()
        if event is not None and event.resumable:
            done = f", with {now.segments_done} of {count(now.segments, 'segment')} done"
            say(f"Interrupted{done if now.segments else ''}. The same command goes on from there.")
        else:
            say("Interrupted.")

    def _emit(self, event: Event) -> None:
        for sink in self.sinks:
            sink.emit(event)

    def _write_metrics(self) -> None:
        if self.metrics is None or self.metrics_file is None:
            return
        try:
            self.metrics.write(self.metrics_file)
        except (OSError, DraptoError) as error:
            say(f"Warning: {describe(error).text}")


def _skipped(item: BatchItem, reason: str) -> JobSkipped:
    return JobSkipped(source=item.source, output=item.output, reason=reason)


@contextlib.contextmanager
def _parents(output: Path) -> Iterator[None]:
    """The mirrored directories of `output`; those left empty by a failure go again."""
    made = [parent for parent in output.parents if not parent.exists()]
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for directory in made:  # the innermost first
            with contextlib.suppress(OSError):
                directory.rmdir()
