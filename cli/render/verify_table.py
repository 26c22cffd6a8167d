"""`drapto verify`: the figures of one pair of files, and its worst moments."""

from __future__ import annotations

from cli import text
from cli.render.console import make_console, print_facts, print_table
from cli.render.facts import Facts
from drapto.core.deinterlacing import Method
from drapto.core.json_text import dumps
from drapto.core.quality import Metric
from drapto.core.verification import Verification

_SHOWN_AS = {Metric.VMAF: "{:.2f}", Metric.XPSNR: "{:.2f} dB", Metric.SSIM: "{:.4f}"}


def print_verification(found: Verification, *, json_object: bool) -> None:
    if json_object:
        print(dumps(found))
        return
    console = make_console()
    print_facts(console, _facts(found))
    rows = [
        [text.clock(moment.time_s), str(moment.frame), _score(found.metric, moment.score)]
        for moment in found.worst
    ]
    headers = ("worst at", "frame", _name(found.metric))
    print_table(console, headers, rows, right=",".join(headers))


def _facts(found: Verification) -> Facts:
    quality, metric = found.quality, found.metric
    model = f", model {found.model}" if found.model else ""
    every = "" if found.every == 1 else ", one of every " + str(found.every)
    facts = [
        ("output", text.path(found.output)),
        ("source", text.path(found.source)),
        ("metric", f"{_name(metric)}{model}"),
        ("mean", _score(metric, quality.mean)),
        ("harmonic mean", _score(metric, quality.harmonic)),
        ("p5", f"{_score(metric, quality.p5)} (95 % of the frames are at least so good)"),
        ("minimum", _score(metric, quality.minimum)),
        ("measured", f"{quality.measured} of {text.count(found.frames, 'frame')}{every}"),
    ]
    if found.crop is not None:
        facts.append(("crop", str(found.crop)))
    if found.deinterlacing is not Method.OFF:
        facts.append(("deinterlacing", found.deinterlacing.value))
    return [*facts, *(("note", text.printable(note)) for note in found.notes)]


def _score(metric: Metric, value: float) -> str:
    return _SHOWN_AS[metric].format(value)


def _name(metric: Metric) -> str:
    return metric.value.upper()
