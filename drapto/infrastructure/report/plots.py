"""The plots of the report, each an SVG element. matplotlib is loaded with this module."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from drapto.core.comparison import Outcome
from drapto.core.shadow_figures import FieldFigures
from drapto.core.shadow_report import Distribution, RatioReport, StageReport
from drapto.infrastructure.report.svg import color, drawing, figure_of, to_svg

FIELDS_SHOWN = 14
DAYS_SHOWN = 60  # bars; more days are put together


def course_plot(stage: StageReport) -> str:
    """Agreement, its interval, the gate and the looks, over the comparisons."""
    points = stage.course
    counted = [point.counted for point in points]
    with drawing():
        figure, axes = _figure(560, 300)
        axes.fill_between(
            counted,
            [point.lower_95 for point in points],
            [point.upper_95 for point in points],
            color=color("accent"), alpha=0.16, lw=0, label="Wilson 95% interval",
        )  # fmt: skip
        shares = [point.agreed / point.counted for point in points]
        axes.plot(counted, shares, color=color("accent"), lw=2, label="agreement")
        gate = stage.verdict.gate
        axes.axhline(gate, color=color("bad"), lw=1.4, ls=(0, (5, 3)), label=f"gate {gate:.1%}")
        last = points[-1]
        axes.plot([last.counted], [shares[-1]], "o", color=color("accent"), ms=6)
        low = min([gate, *(point.lower_95 for point in points[len(points) // 10 :])])
        bottom = max(0.0, 1 - max(0.04, (1 - low) * 1.25))
        axes.set_ylim(bottom, 1 + (1 - bottom) * 0.03)
        axes.set_xlim(0, max(last.counted * 1.04, 5))
        for look in stage.looks:
            if look <= last.counted * 1.04:
                axes.axvline(look, color=color("muted"), lw=1, ls=(0, (1, 3)))
                axes.text(look, bottom, f" look at {look}", rotation=90, va="bottom", ha="right",
                          color=color("muted"), size=10)  # fmt: skip
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if bottom < 0.9 else 1))
        axes.set_xticks(*_dated_ticks(stage))
        axes.set_xlabel("comparisons that count, and when")
        axes.grid(axis="x", visible=False)
        figure.legend(loc="outside upper left", ncols=3, fontsize=11, handlelength=1.6)
        return to_svg(figure, f"course-{stage.stage}", f"Agreement of {stage.stage} over time")


def _dated_ticks(stage: StageReport) -> tuple[list[int], list[str]]:
    points = stage.course
    places = [
        int(place)
        for place in MaxNLocator(5, integer=True).tick_values(0, points[-1].counted)
        if 0 < place <= points[-1].counted
    ]
    dates = [next(point.at for point in points if point.counted >= place) for place in places]
    return places, [f"{n}\n{at:%d %b}" for n, at in zip(places, dates, strict=True)]


def outcomes_plot(stage: StageReport) -> str:
    """How many of which outcome, day by day, A/A left out."""
    runs: dict[Outcome, dict[date, int]] = defaultdict(dict)
    for found in stage.outcomes:
        if not found.is_aa:
            runs[found.outcome][found.day] = found.runs
    days = [_number(day) for by_day in runs.values() for day in by_day]
    first, span = min(days), max(days) - min(days) + 1
    step = int(np.ceil(span / DAYS_SHOWN))
    edges = np.arange(first, first + span + step, step)
    with drawing():
        figure, axes = _figure(560, 300)
        below = np.zeros(len(edges) - 1)
        for outcome in Outcome:
            if outcome not in runs:
                continue
            places = [_number(day) for day in runs[outcome]]
            heights, _ = np.histogram(places, edges, weights=list(runs[outcome].values()))
            axes.bar(edges[:-1], heights, width=step * 0.86, bottom=below, align="edge",
                     color=color(outcome.value), label=outcome.value.replace("_", " "))  # fmt: skip
            below += heights
        marked = edges[:-1][:: int(np.ceil(len(edges) / 7))]
        labels = [f"{date(1970, 1, 1) + timedelta(int(day)):%d %b}" for day in marked]
        axes.set_xticks(marked + 0.43 * step, labels)
        if span <= 3:
            axes.set_xlim(first - 3, first + span + 3)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("runs a day" if step == 1 else f"runs in {step} days")
        figure.legend(loc="outside upper left", ncols=4, fontsize=11, handlelength=0.9)
        return to_svg(figure, f"outcomes-{stage.stage}", f"Outcomes of {stage.stage} by day")


def _number(day: date) -> int:
    """Days since 1970, as matplotlib counts them."""
    return (day - date(1970, 1, 1)).days


def fields_plot(stage: StageReport) -> str:
    """In which share of the runs a field was outside: raw, above noise, and in A/A runs."""
    fields = differing_fields(stage.fields)[::-1]
    runs, aa_runs = max(stage.comparisons, 1), max(stage.aa_runs, 1)
    rows = np.arange(len(fields))
    raw = np.array([field.outside for field in fields]) / runs
    above = np.array([field.above_noise for field in fields]) / runs
    noise = np.array([field.aa_outside for field in fields]) / aa_runs
    with drawing():
        figure, axes = _figure(1140, 96 + 30 * len(fields))
        axes.barh(rows + 0.2, raw, 0.34, color=color("accent"), alpha=0.35, label="new, raw")
        axes.barh(rows + 0.2, above, 0.34, color=color("accent"), label="new, above noise")
        axes.barh(rows - 0.2, noise, 0.34, color=color("noise"), label="legacy against itself")
        most = max([*raw, *noise, 0.01])
        for row, value in [
            *zip(rows + 0.2, raw, strict=True),
            *zip(rows - 0.2, noise, strict=True),
        ]:
            axes.text(value + most * 0.006, row, f"{value:.1%}", va="center", size=10,
                      color=color("muted"))  # fmt: skip
        axes.set_yticks(rows, [field.field for field in fields])
        axes.tick_params(axis="y", labelcolor=color("ink"))
        axes.set_xlim(0, most * 1.08)
        axes.set_ylim(-0.6, len(fields) - 0.4)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if most > 0.05 else 1))
        axes.set_xlabel("share of the runs in which it was outside its tolerance")
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside upper left", ncols=3, fontsize=11, handlelength=0.9)
        return to_svg(figure, f"fields-{stage.stage}", f"Fields of {stage.stage}, raw and noise")


def differing_fields(fields: Sequence[FieldFigures]) -> list[FieldFigures]:
    """Those worth a row, the most frequent first."""
    ever = [field for field in fields if field.outside or field.aa_outside or field.critical]
    return sorted(ever, key=lambda f: (-f.critical, -f.outside, f.field))[:FIELDS_SHOWN]


def ratio_plot(
    stage: StageReport,
    name: str,
    ratio: RatioReport,
    label: str,
    allowed: tuple[float, float] | None,
    even: float,
    width_px: int,
) -> str:
    """Both distributions; `allowed` shades what is within the tolerance, `even` means alike."""
    with drawing():
        figure, axes = _figure(width_px, 230)
        shown = [found for found in (ratio.new, ratio.aa) if found.runs]
        edges = np.array(shown[0].edges)
        low, high = min(edges[0], even), max(edges[-1], even)
        margin = (high - low) * 0.04
        axes.set_xlim(low - margin, high + margin)
        if allowed is not None:
            axes.axvspan(max(allowed[0], low - margin), min(allowed[1], high + margin),
                         color=color("good"), alpha=0.1, lw=0,
                         label="within tolerance")  # fmt: skip
        axes.axvline(even, color=color("muted"), lw=1, ls=(0, (1, 3)))
        if ratio.new.runs:
            axes.stairs(_shares(ratio.new), edges, fill=True, color=color("accent"), alpha=0.75,
                        label="new against legacy")  # fmt: skip
            axes.axvline(ratio.new.median, color=color("ink"), lw=1.6,
                         label=f"median {ratio.new.median:.3g}")  # fmt: skip
        if ratio.aa.runs:
            axes.stairs(_shares(ratio.aa), edges, color=color("noise"), lw=1.8,
                        label="legacy against itself")  # fmt: skip
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylim(bottom=0)
        axes.set_xlabel(label)
        axes.set_ylabel("runs")
        axes.grid(axis="x", visible=False)
        figure.legend(loc="outside upper left", ncols=4, fontsize=10, handlelength=0.9,
                      columnspacing=1.2)  # fmt: skip
        return to_svg(figure, f"{name}-{stage.stage}", f"Distribution of {label}")


def _shares(found: Distribution) -> list[float]:
    return [count / found.runs for count in found.counts]


def _figure(width_px: float, height_px: float) -> tuple[Figure, Axes]:
    figure = figure_of(width_px, height_px)
    return figure, figure.add_subplot()
