"""The report on shadow runs as one HTML file, light and dark (`html.py`).

page = render_page(report)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from drapto.core.comparison import Comparison, Outcome, Severity
from drapto.core.judging import Decision
from drapto.core.shadow_report import ShadowReport, StageReport
from drapto.infrastructure.report import plots
from drapto.infrastructure.report.html import environment

_MEANING = {
    Outcome.MATCH: "every field within its tolerance",
    Outcome.IGNORED: "only what the flags say to ignore",
    Outcome.MISMATCH: "outside a tolerance",
    Outcome.CRITICAL: "new would have lost something of the source",
    Outcome.CANDIDATE_ERROR: "new crashed, wrote garbage, or broke a rule",
    Outcome.TIMEOUT: "new was still running at its deadline",
    Outcome.INCOMPARABLE: "both ran, but cannot be set side by side",
    Outcome.SKIPPED: "dropped: queue full, source gone, interrupted",
    Outcome.LEGACY_ERROR: "legacy itself failed or lost something",
}


@dataclass(frozen=True)
class OutcomeRow:
    outcome: Outcome
    runs: int
    share: float
    meaning: str


@dataclass(frozen=True)
class Plot:
    title: str
    svg: Markup


def render_page(report: ShadowReport) -> str:
    made = environment()
    made.globals |= {
        "Decision": Decision,
        "outcome_rows": outcome_rows,
        "fields_of": lambda stage: plots.differing_fields(stage.fields),
        "discrepancies": _discrepancies,
        "course_plot": lambda stage: Markup(plots.course_plot(stage)),
        "outcomes_plot": lambda stage: Markup(plots.outcomes_plot(stage)),
        "fields_plot": lambda stage: Markup(plots.fields_plot(stage)),
        "ratio_plots": _ratio_plots,
    }
    return made.get_template("report.html").render(report=report)


def outcome_rows(stage: StageReport, *, is_aa: bool = False) -> list[OutcomeRow]:
    """Those that came out at all, in the order of `Outcome`."""
    counts = {outcome: stage.total(outcome, is_aa=is_aa) for outcome in Outcome}
    total = sum(counts.values())
    return [
        OutcomeRow(outcome, runs, runs / total, _MEANING[outcome])
        for outcome, runs in counts.items()
        if runs
    ]


def _ratio_plots(stage: StageReport) -> list[Plot]:
    limits = stage.tolerances
    beyond = 1e9
    wanted = (
        ("size", stage.size, "Size", "bytes of new / bytes of legacy", limits.size_ratio, 1.0),
        ("vmaf_mean", stage.vmaf_mean, "VMAF, mean", "VMAF points, new - legacy",
         (-limits.vmaf_mean, beyond), 0.0),
        ("vmaf_p1", stage.vmaf_p1, "VMAF, first percentile", "VMAF points, new - legacy",
         (-limits.vmaf_p1, beyond), 0.0),
        ("time", stage.time, "Time", "wall time of new / of legacy", None, 1.0),
    )  # fmt: skip
    shown = [row for row in wanted if row[1].new.runs or row[1].aa.runs]
    width_px = 1140 if len(shown) == 1 else 560
    return [
        Plot(title, Markup(plots.ratio_plot(stage, name, ratio, label, allowed, even, width_px)))
        for name, ratio, title, label, allowed, even in shown
    ]


def _discrepancies(comparison: Comparison, most: int = 12) -> Sequence[object]:
    order = list(Severity)
    return sorted(comparison.discrepancies, key=lambda field: -order.index(field.severity))[:most]
