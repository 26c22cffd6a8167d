"""What `drapto shadow compare` and `drapto shadow show` print."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from cli import text
from cli.render.console import make_console, print_facts, print_table, write_line
from drapto.core.comparison import Comparison, FieldResult, Outcome, Severity
from drapto.core.json_text import dumps
from drapto.core.offline import OfflineComparison, Trial
from drapto.core.routing import RoutedStage, Side

# Worst first; what a table of several runs shows.
_GRAVITY = (
    Outcome.CRITICAL, Outcome.CANDIDATE_ERROR, Outcome.TIMEOUT, Outcome.MISMATCH,
    Outcome.LEGACY_ERROR, Outcome.INCOMPARABLE, Outcome.SKIPPED, Outcome.IGNORED, Outcome.MATCH,
)  # fmt: skip


def print_comparisons(found: OfflineComparison, *, json_object: bool) -> None:
    if json_object:
        print(dumps(found))
        return
    console = make_console()
    for stage in RoutedStage:
        if trials := found.of(stage):
            _print_stage(console, stage, trials, kept=found.kept)
    if not found.kept:
        write_line(console, "Nothing was stored; --keep puts comparisons into the report.")


def _print_stage(
    console: Console, stage: RoutedStage, trials: tuple[Trial, ...], *, kept: bool
) -> None:
    gravest = min(trials, key=lambda trial: _GRAVITY.index(trial.comparison.outcome))
    shown = gravest.comparison
    write_line(console, f"{stage}: {words(shown.outcome)}. {text.printable(shown.reason)}")
    if len(trials) > 1:
        outcomes = ", ".join(words(trial.comparison.outcome) for trial in trials)
        number = trials.index(gravest) + 1
        write_line(console, f"{len(trials)} runs: {outcomes}. Shown is run {number}.")
    if shown.fields:
        _print_fields(console, shown.fields)
    for number, trial in enumerate(trials, start=1):
        which = f"run {number}: " if len(trials) > 1 else ""
        stored = f"; stored as {trial.comparison.id}" if kept else ""
        write_line(console, f"{which}{_timings(trial)}{stored}")
    write_line(console, "")


def _timings(trial: Trial) -> str:
    """'new 1.2 s, then legacy 3.4 s; new takes 0.35 times as long'."""
    said = ", then ".join(
        f"{run.side} {run.wall_s:.2f} s{' (failed)' if run.fault else ''}" for run in trial.runs
    )
    times = {run.side: run.wall_s for run in trial.runs if not run.fault}
    if len(times) < 2 or times[Side.LEGACY] <= 0:
        return said
    return f"{said}; new takes {times[Side.NEW] / times[Side.LEGACY]:.2g} times as long"


def print_comparison(found: Comparison, *, json_object: bool) -> None:
    if json_object:
        print(dumps(found))
        return
    console = make_console()
    facts = [
        ("comparison", found.id),
        ("outcome", words(found.outcome)),
        ("why", found.reason),
        ("stage", found.stage.value),
        ("source", str(found.source)),
        ("kind", ", ".join(found.strata) or "not known"),
        ("when", f"{found.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("job", found.job or "none: compared offline"),
        ("mode", f"{words(found.mode)}, candidate revision {found.revision}"),
        ("served", f"{found.primary}, {found.primary_s:.2f} s"),
        ("beside it", f"{found.candidate}{_aa(found)}, {found.candidate_s:.2f} s"),
        *((words(name), f"{value:.4g}") for name, value in found.measures.items()),
        ("reproduce", found.reproduce),
    ]
    print_facts(console, [(label, text.printable(value)) for label, value in facts])
    if found.fields:
        write_line(console, "")
        _print_fields(console, found.fields)


def _aa(found: Comparison) -> str:
    return " once more, to measure noise" if found.is_aa else ""


def _print_fields(console: Console, fields: Iterable[FieldResult]) -> None:
    order = list(Severity)
    rows = [
        [
            text.printable(field.field),
            text.printable(field.legacy),
            text.printable(field.new),
            f"{field.distance:.4g}",
            f"{field.tolerance:.4g}",
            field.severity.value + (f" (lost by {field.lost_by})" if field.lost_by else ""),
            text.printable(field.detail),
        ]
        for field in sorted(fields, key=lambda f: -order.index(f.severity))
    ]
    headers = ["field", "legacy", "new", "distance", "tolerance", "severity", "note"]
    if not any(row[-1] for row in rows):
        headers, rows = headers[:-1], [row[:-1] for row in rows]
    print_table(console, headers, rows, right="distance,tolerance")


def words(name: str) -> str:
    """'candidate error' for `candidate_error`."""
    return str(name).replace("_", " ")
