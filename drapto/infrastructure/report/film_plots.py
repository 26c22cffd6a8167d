"""The plots of the report on a film, each an SVG element. matplotlib is loaded with this module."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from drapto.core.film_report import Course, FilmReport, Histogram
from drapto.core.quality import Metric
from drapto.infrastructure.report.svg import color, drawing, figure_of, to_svg

CUTS_AS_LINES = 60  # more would be a grey wall, and are ticks below the plot
LABELS = {Metric.VMAF: "VMAF", Metric.XPSNR: "XPSNR, dB", Metric.SSIM: "SSIM"}

_WIDE_PX, _HALF_PX = 1140, 440
_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def course_plot(report: FilmReport, course: Course) -> str:
    """Quality, CRF and bitrate above each other on one time axis, with the cuts."""
    heights = [2.4, 1, 1.3] if course.mean is not None else [1, 1.3]
    with drawing():
        figure = figure_of(_WIDE_PX, 120 * sum(heights) + 70)
        rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
        *quality, crf, bitrate = [row[0] for row in rows]
        for axes in quality:
            _draw_quality(axes, report, course)
        _draw_steps(crf, course, course.crf, "CRF", "noise")
        _draw_steps(bitrate, course, course.kbps / 1000, "Mb/s", "muted", filled=True)
        for axes in (*quality, crf, bitrate):
            axes.set_xlim(course.edges_s[0], course.edges_s[-1])
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.grid(axis="x", visible=False)
            _draw_cuts(axes, course, is_lowest=axes is bitrate)
        bitrate.set_ylim(bottom=0)
        bitrate.set_xticks(_time_ticks(course.edges_s[-1]))
        bitrate.xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock(at)))
        figure.align_ylabels()
        if quality:
            figure.legend(loc="outside upper left", ncols=5, fontsize=11, handlelength=1.6)
        return to_svg(figure, "course", "Quality, CRF and bitrate along the film")


def histogram_plot(report: FilmReport, histogram: Histogram) -> str:
    """How many of the film's frames have which score."""
    quality = report.manifest.quality
    metric = quality.measuring.metric if quality else Metric.VMAF
    with drawing():
        figure = figure_of(_HALF_PX, 330)
        axes = figure.add_subplot()
        edges = histogram.edges
        axes.bar(edges[:-1], histogram.shares, width=np.diff(edges) * 0.88, align="edge",
                 color=color("accent"), alpha=0.85)  # fmt: skip
        if quality is not None:
            if quality.target is not None:
                axes.axvline(quality.target, color=color("good"), lw=1.6, ls=(0, (5, 3)),
                             label="asked for")  # fmt: skip
            axes.axvline(quality.film.mean, color=color("ink"), lw=1.6, label="mean")
            axes.axvline(quality.film.p5, color=color("noise"), lw=1.6,
                         label="5 % are worse")  # fmt: skip
            figure.legend(loc="outside upper left", ncols=3, fontsize=11, handlelength=1.6)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(LABELS[metric])
        axes.set_ylabel("frames")
        axes.grid(axis="x", visible=False)
        return to_svg(figure, "histogram", "How many frames have which quality")


def clock(seconds: float) -> str:
    """A place in the film: '1:02:03', or '2:03' below an hour."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _draw_quality(axes: Axes, report: FilmReport, course: Course) -> None:
    quality = report.manifest.quality
    if course.mean is None or course.p5 is None:
        return
    axes.stairs(course.mean, course.edges_s, baseline=course.p5, fill=True, lw=0,
                color=color("accent"), alpha=0.22, label="down to its worst 5 %")  # fmt: skip
    axes.stairs(course.mean, course.edges_s, baseline=None, color=color("accent"), lw=1.8,
                label="mean of a segment")  # fmt: skip
    if quality is not None and quality.target is not None:
        axes.axhline(quality.target, color=color("good"), lw=1.4, ls=(0, (5, 3)),
                     label="asked for")  # fmt: skip
    middles = [report.time_s(s.start_frame + s.end_frame) / 2 for s in report.worst]
    means = [s.quality.mean for s in report.worst if s.quality is not None]
    axes.plot(middles, means, "o", ms=5, color=color("bad"), lw=0,
              label=f"the worst {len(means)}")  # fmt: skip
    metric = quality.measuring.metric if quality else Metric.VMAF
    axes.set_ylabel(LABELS[metric])


def _draw_steps(
    axes: Axes,
    course: Course,
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
    label: str,
    role: str,
    *,
    filled: bool = False,
) -> None:
    if filled:
        axes.stairs(values, course.edges_s, fill=True, color=color(role), alpha=0.3, lw=0)
    axes.stairs(values, course.edges_s, baseline=None, color=color(role), lw=1.5)
    axes.set_ylabel(label)
    low, high = float(values.min()), float(values.max())
    margin = max(0.08 * (high - low), 0.02 * abs(high), 1e-3)
    axes.set_ylim(low - margin, high + margin)


def _draw_cuts(axes: Axes, course: Course, *, is_lowest: bool) -> None:
    label = "cut" if is_lowest else ""
    if len(course.cuts_s) <= CUTS_AS_LINES:
        for cut in course.cuts_s:
            axes.axvline(cut, color=color("muted"), lw=0.8, ls=(0, (1, 3)), label=label, zorder=0.5)
            label = ""
    elif is_lowest:
        axes.vlines(course.cuts_s, 0, 0.1, transform=axes.get_xaxis_transform(), lw=0.5,
                    color=color("ink"), label=label)  # fmt: skip


def _time_ticks(end_s: float, most: int = 12) -> list[float]:
    steps = (*_TIME_STEPS_S, *(3600 * hours for hours in (2, 5, 10, 24, 100, 1000)))
    step = next((step for step in steps if end_s / step <= most), end_s)
    return [float(at) for at in np.arange(0, end_s + step * 1e-3, step)]
