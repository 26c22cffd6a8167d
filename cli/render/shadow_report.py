"""What `drapto shadow report` prints or writes."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from cli import text
from cli.errors import say
from cli.render.console import make_console, print_facts, print_table, write_line
from cli.render.shadow_tables import words
from drapto.core.comparison import Outcome
from drapto.core.json_text import dumps
from drapto.core.shadow_report import RatioReport, ShadowReport, StageReport
from drapto.infrastructure.files import write_atomically

FIELDS_SHOWN = 12
WORST_SHOWN = 5


def write_report(report: ShadowReport, form: str, file: Path | None) -> None:
    """To `file`, or to stdout. Errors: OSError."""
    if file is None and form == "table":
        _print(make_console(), report)
        return
    content = _content(report, form)
    if file is None:
        print(content)
        return
    write_atomically(file, content.encode())
    say(f"Written to {file}.")


def _content(report: ShadowReport, form: str) -> str:
    if form == "json":
        return dumps(report)
    if form == "html":
        from drapto.infrastructure.report.page import render_page  # matplotlib takes a second

        return render_page(report)
    plain = StringIO()
    _print(make_console(plain), report)
    return plain.getvalue()


def _print(console: Console, report: ShadowReport) -> None:
    if report.kill_switch:
        write_line(console, "THE KILL SWITCH IS ON: legacy serves everything.")
    if report.is_empty:
        since = f" since {report.since:%Y-%m-%d %H:%M} UTC" if report.since else ""
        write_line(console, f"Nothing has been compared yet{since} ({text.path(report.store)}).")
        write_line(
            console,
            "`drapto flags set detection shadow` lets legacy serve and new run beside it from the "
            "next encode on; `drapto shadow compare --keep FILE` compares both on one file now.",
        )
        write_line(console, "")
    print_table(
        console,
        ("stage", "verdict", "mode", "agree", "at least", "gate", "critical", "next look"),
        [_row(stage) for stage in report.stages],
        right="at least,gate,critical,next look",
    )
    for stage in report.stages:
        if stage.runs or stage.course:
            _print_stage(console, stage)


def _row(stage: StageReport) -> list[str]:
    verdict = stage.verdict
    percent = "" if stage.percent is None else f" {stage.percent:g} %"
    counted = verdict.total.counted
    return [
        stage.stage.value,
        verdict.decision.value,
        words(stage.mode) + percent,
        str(verdict.total) if counted else "-",
        f"{verdict.lower_95:.1%}" if counted else "-",
        f"{verdict.gate:.1%}",
        str(stage.total(Outcome.CRITICAL)),
        str(verdict.next_look or "-"),
    ]


def _print_stage(console: Console, stage: StageReport) -> None:
    verdict = stage.verdict
    dry = " (dry run)" if verdict.dry_run else ""
    write_line(console, "")
    write_line(console, f"{stage.stage}: {verdict.decision}. {text.printable(verdict.reason)}")
    facts = [
        ("action", f"{words(verdict.action)}{dry}"),
        ("mode", f"{stage.because} Since {stage.mode_since:%Y-%m-%d %H:%M} UTC."),
        ("revision", stage.revision),
        ("outcomes", _outcomes(stage, is_aa=False)),
        ("legacy with itself", _outcomes(stage, is_aa=True)),
        *((f"sources: {found.stratum}", f"{found.agreed} of {found.counted} agree")
          for found in stage.strata),
        *((f"jobs for {found.side}", f"{found.served}, {found.failed} failed")
          for found in stage.served),
        ("size, new / legacy", _ratio(stage.size)),
        ("VMAF mean, new - legacy", _ratio(stage.vmaf_mean)),
        ("VMAF p1, new - legacy", _ratio(stage.vmaf_p1)),
        ("time, new / legacy", _ratio(stage.time)),
    ]  # fmt: skip
    print_facts(console, [(label, text.printable(value)) for label, value in facts if value])
    _print_fields(console, stage)
    _print_worst(console, stage)


def _outcomes(stage: StageReport, *, is_aa: bool) -> str:
    counts = {outcome: stage.total(outcome, is_aa=is_aa) for outcome in Outcome}
    said = ", ".join(f"{n} {words(outcome)}" for outcome, n in counts.items() if n)
    if stage.excused and not is_aa:
        said += f"; {stage.excused} of the mismatches are within noise and count as agreement"
    return said


def _ratio(ratio: RatioReport) -> str:
    """'median 0.98, 90 % of the runs from 0.91 to 1.05 (legacy with itself 0.99 to 1.01)'."""
    found = ratio.new
    if not found.runs:
        return ""
    said = f"median {found.median:.3g}, 90 % of the runs from {found.p5:.3g} to {found.p95:.3g}"
    if ratio.aa.runs:
        said += f" (legacy with itself: {ratio.aa.p5:.3g} to {ratio.aa.p95:.3g})"
    return said


def _print_fields(console: Console, stage: StageReport) -> None:
    fields = [f for f in stage.fields if f.outside or f.aa_outside or f.ignored][:FIELDS_SHOWN]
    if not fields:
        return
    rows = [
        [
            text.printable(field.field),
            str(field.outside),
            str(field.above_noise),
            str(field.critical),
            str(field.ignored),
            f"{field.p95:.3g}",
            f"{field.aa_p95:.3g}",
            "unknown" if field.noise is None else f"{field.noise:.3g}",
        ]
        for field in fields
    ]
    write_line(console, "")
    headers = (
        *("field", "outside", "above noise", "critical", "ignored"),
        *("95 %", "A/A 95 %", "noise"),
    )
    print_table(console, headers, rows, right=",".join(headers[1:]))


def _print_worst(console: Console, stage: StageReport) -> None:
    if not stage.worst:
        return
    rows = [
        [
            case.id,
            words(case.outcome),
            f"{case.at:%Y-%m-%d %H:%M}",
            text.path(case.source),
            text.printable(case.reason),
        ]
        for case in stage.worst[:WORST_SHOWN]
    ]
    write_line(console, "")
    print_table(console, ("worst", "outcome", "when (UTC)", "source", "why"), rows)
