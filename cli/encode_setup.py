"""Everything `drapto encode` decides before the first job: settings, files, what is shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.batch import Work, plan_work
from cli.errors import Failure, describe
from cli.jobs import Jobs
from cli.render.frontend import choose_frontend
from cli.render.view import JobView
from cli.runtime import StdoutLines, Stop
from drapto.core.errors import DraptoError, UsageError
from drapto.core.events import JobFailed
from drapto.core.interfaces import EventSink
from drapto.core.routing import Mode, RoutedStage
from drapto.infrastructure.flags.opening import open_flags
from drapto.infrastructure.logging import LogSink, stderr_logger
from drapto.infrastructure.metrics import Metrics
from drapto.infrastructure.settings import Settings, load_settings
from drapto.services.encoding.registry import possible_encoders


@dataclass(frozen=True)
class Call:
    """The command line as it was given. `flags` are settings, None where not given."""

    inputs: tuple[str, ...]
    output: str
    flags: Mapping[str, Any]
    run: Mapping[str, bool]
    routes: tuple[str, ...] = ()  # 'stage=mode'
    config_file: Path | None = None
    metrics_file: Path | None = None
    json_lines: bool = False
    verbose: bool = False
    quiet: bool = False


def prepare(call: Call, stop: Stop) -> tuple[Jobs, Work]:
    """Judge the call as a whole. Errors: UsageError, InputError; with --json also as an event."""
    view = JobView()
    frontend = choose_frontend(
        json_lines=call.json_lines,
        quiet=call.quiet,
        plain=call.run["dry_run"],
        view=view,
        write=StdoutLines(stop),
    )
    try:
        settings, work = _judge(call)
        routes = parse_routes(call.routes)
    except (DraptoError, OSError) as error:
        frontend.emit(_refused(call, describe(error)))
        raise
    sinks: list[EventSink] = [view, frontend]
    metrics = Metrics() if call.metrics_file else None
    if metrics:
        sinks.append(metrics)
    if level := _stderr_level(call, settings):
        sinks.append(LogSink(stderr_logger(level)))
    jobs = Jobs(
        settings=settings,
        options=settings.encode_options(),
        run=settings.run_options(**call.run, routes=routes),
        frontend=frontend,
        view=view,
        sinks=sinks,
        metrics=metrics,
        metrics_file=call.metrics_file,
        verbose=call.verbose,
        quiet=call.quiet,
    )
    return jobs, work


def _judge(call: Call) -> tuple[Settings, Work]:
    if call.verbose and call.quiet:
        raise UsageError("-v and -q contradict each other.", hint="Give one of them.")
    settings = load_settings(call.flags, config_file=call.config_file).settings
    possible_encoders(settings.encoder)
    open_flags(settings)  # a broken flags file is found before the first job, not by each of them
    if call.metrics_file:
        _check_metrics_file(call.metrics_file)
    return settings, plan_work(call.inputs, call.output)


ROUTABLE = tuple(mode for mode in Mode if mode is not Mode.ROLLED_BACK)


def parse_routes(texts: Iterable[str]) -> dict[RoutedStage, Mode]:
    """'detection=legacy' and the like. Errors: UsageError."""
    routes: dict[RoutedStage, Mode] = {}
    for text in texts:
        stage, _, mode = text.partition("=")
        try:
            routes[RoutedStage(stage)] = ROUTABLE[ROUTABLE.index(Mode(mode))]
        except ValueError:
            stages, modes = ", ".join(RoutedStage), ", ".join(ROUTABLE)
            raise UsageError(
                f"--route {text} is no route.",
                hint=f"Give STAGE=MODE, with a stage of {stages}, and a mode of {modes}.",
            ) from None
    return routes


def _stderr_level(call: Call, settings: Settings) -> str:
    """-v shows the log; with --json its warnings are shown anyway; -q silences it."""
    if call.quiet:
        return ""
    if call.verbose:
        return settings.log_level
    return "warning" if call.json_lines else ""


def _check_metrics_file(file: Path) -> None:
    """Known before hours of work, not after them."""
    directory = file.absolute().parent
    if file.is_dir():
        raise UsageError(f"--metrics-file {file} is a directory.", hint="Name a file.")
    if not directory.is_dir():
        raise UsageError(f"--metrics-file {file}: there is no directory {directory}.")
    if not os.access(directory, os.W_OK):
        raise UsageError(f"--metrics-file {file}: {directory} cannot be written to.")


def _refused(call: Call, failure: Failure) -> JobFailed:
    return JobFailed(
        job="",
        source=Path(call.inputs[0]),
        output=Path(call.output),
        error=failure.error,
        message=failure.message,
        hint=failure.hint,
        exit_code=failure.exit_code,
    )
