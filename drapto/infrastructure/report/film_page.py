"""The report on one finished film as one HTML file, light and dark (`html.py`).

page = render_film_page(report)
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from drapto.core.film_report import FilmReport, Still
from drapto.core.manifest import ManifestRow, RowOutcome
from drapto.core.quality import Metric, Pool, Reference
from drapto.core.words import count, duration, saving, sentence, size
from drapto.infrastructure.report import film_plots
from drapto.infrastructure.report.html import environment

_DIGITS = {Metric.VMAF: 1, Metric.XPSNR: 1, Metric.SSIM: 4}
_POOLS = {Pool.MEAN: "", Pool.HARMONIC: " as harmonic mean", Pool.P5: " of its worst 5 %"}


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart; `parts` are (share of the longest, colour), one after the other."""

    label: str
    value: str
    parts: tuple[tuple[float, str], ...]


def render_film_page(report: FilmReport) -> str:
    made = environment()
    made.filters |= {
        "clock": film_plots.clock,
        "rate": _rate,
        "moment": _moment,
        "sentence": sentence,
    }
    quality = report.manifest.quality
    metric = quality.measuring.metric if quality else Metric.VMAF
    made.globals |= {
        "score": lambda value: _score(value, metric),
        "metric": _name(metric) if quality else "score",
        "pool": _POOLS[quality.pool] if quality else "",
        "summary": summary(report),
        "course_plot": lambda course: Markup(film_plots.course_plot(report, course)),
        "histogram_plot": lambda found: Markup(film_plots.histogram_plot(report, found)),
        "size_bars": _size_bars(report),
        "stage_bars": _stage_bars(report),
        "open_rows": _not_passed(report.manifest.rows),
        "picture": _picture,
    }
    page = made.get_template("film.html")
    return page.render(report=report, film=report.manifest, quality=quality)


def summary(report: FilmReport) -> str:
    """For somebody in a hurry: 'VMAF 94.9 of 95, 4.2 GiB saved, 61 % smaller, …'."""
    film = report.manifest
    quality, encoding_s = film.quality, report.stage_s("encoding")
    said = []
    if quality is not None and report.pooled is not None:
        metric = quality.measuring.metric
        score = _score(report.pooled, metric)
        asked = "" if quality.target is None else f" of {quality.target:g}"
        bare = " without grain" if quality.measuring.reference is Reference.DENOISED else ""
        said.append(f"{_name(metric)} {score}{asked}{_POOLS[quality.pool]}{bare}")
    saved = film.source_bytes - film.output_bytes
    less = f"{size(saved)} saved, " if saved > 0 else ""
    said.append(f"{less}{saving(film.source_bytes, film.output_bytes)}")
    if encoding_s is not None:
        said.append(f"encoded in {duration(encoding_s)}")
    elif report.encoding_cpu_s:
        said.append(f"{duration(report.encoding_cpu_s)} of CPU time")
    return ", ".join(said)


def _name(metric: Metric) -> str:
    return film_plots.LABELS[metric].partition(",")[0]


def _score(value: float, metric: Metric) -> str:
    return f"{value:.{_DIGITS[metric]}f}{metric.unit}"


def _moment(written: str) -> str:
    """'2026-01-31 21:04 UTC' of what the manifest says; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(written).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return written


def _rate(kbps: float) -> str:
    return f"{kbps / 1000:.1f} Mb/s" if kbps >= 1000 else f"{kbps:.0f} kb/s"


def _size_bars(report: FilmReport) -> list[Bar]:
    film, video = report.manifest, report.video_bytes
    beside = max(0, film.output_bytes - video)
    estimate = report.single_crf_bytes
    longest = max(film.source_bytes, film.output_bytes, estimate or 0, 1)
    output = [(video, "accent"), (beside, "muted")] if video else [(film.output_bytes, "accent")]
    rows = [("source", film.source_bytes, [(film.source_bytes, "noise")])]
    rows.append(("output", film.output_bytes, output))
    quality = film.quality
    if estimate is not None and quality is not None and quality.single_crf is not None:
        parts = [(quality.single_crf.video_bytes, "single"), (beside, "muted")]
        rows.append((f"one CRF, {quality.single_crf.crf:g}", estimate, parts))
    return [
        Bar(label, size(whole), tuple((part / longest, tone) for part, tone in parts))
        for label, whole, parts in rows
    ]


def _stage_bars(report: FilmReport) -> list[Bar]:
    stages = report.manifest.stages
    longest = max((stage.wall_s for stage in stages), default=0) or 1
    return [
        Bar(stage.stage, duration(stage.wall_s), ((stage.wall_s / longest, "accent"),))
        for stage in stages
    ]


@dataclass(frozen=True)
class OpenRows:
    """Rows of the manifest that are not 'pass', the failed ones first, and how many are."""

    failed: tuple[ManifestRow, ...]
    named: tuple[ManifestRow, ...]
    passed: int

    @property
    def said(self) -> str:
        return (
            f"{count(self.passed, 'check')} passed, {len(self.failed)} failed, "
            f"{count(len(self.named), 'difference')} named"
        )


def _not_passed(rows: Sequence[ManifestRow]) -> OpenRows:
    failed = tuple(row for row in rows if row.outcome is RowOutcome.FAIL)
    named = tuple(row for row in rows if row.outcome is RowOutcome.NAMED)
    return OpenRows(failed, named, len(rows) - len(failed) - len(named))


def _picture(still: Still, of: str) -> Markup:
    data = base64.b64encode(still.jpeg).decode("ascii")
    return Markup('<img src="data:image/jpeg;base64,{}" width="{}" height="{}" alt="{}">').format(
        data, still.width, still.height, of
    )
