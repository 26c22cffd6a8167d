"""`drapto estimate`: one film as a list of facts, several as a table, and JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import text
from cli.errors import Failure
from cli.render.console import make_console, print_facts, print_table, write_line
from cli.render.facts import Facts, grain
from drapto.core.estimate import Estimate, Range
from drapto.core.json_text import dumps

_HEADERS = ("film", "source", "output", "from", "to", "saving", "time", "VMAF", "CRF", "crop")


@dataclass(frozen=True)
class Outcome:
    source: Path
    result: Estimate | Failure


def print_json(outcome: Outcome) -> None:
    """One object on one line; of a film that cannot be estimated, why not."""
    if isinstance(outcome.result, Estimate):
        print(dumps(outcome.result), flush=True)
        return
    failure = outcome.result
    print(dumps({
        "source": outcome.source, "error": failure.error, "message": failure.message,
        "hint": failure.hint, "exit_code": failure.exit_code,
    }), flush=True)  # fmt: skip


def print_estimate(found: Estimate) -> None:
    console = make_console()
    print_facts(console, _facts(found))
    write_line(console, "")
    write_line(console, _meaning(found.coverage))


def print_estimates(outcomes: Sequence[Outcome]) -> None:
    """A row for each film, and what all of them come to."""
    console = make_console()
    found = [outcome.result for outcome in outcomes if isinstance(outcome.result, Estimate)]
    rows = [_row(outcome) for outcome in outcomes]
    if len(found) > 1:
        rows.append(_total(found))
    print_table(console, _HEADERS, rows, right=",".join(_HEADERS[1:9]))
    for one in found:
        for note in one.notes:
            write_line(console, f"{text.printable(one.source.name)}: {text.printable(note)}")
    if found:
        memory = text.size(max(one.memory_bytes for one in found))
        disk = text.size(max(one.disk_bytes for one in found))
        write_line(console, f"memory: {memory}, disk: {disk}, at most, one film at a time")
        write_line(console, _meaning(found[0].coverage))


def _facts(found: Estimate) -> Facts:
    facts = [
        ("film", text.path(found.source)),
        (
            "size",
            f"{text.size(found.source_bytes)} -> {text.size(found.output_bytes.likely)} "
            f"({text.saving(found.source_bytes, round(found.output_bytes.likely))}); "
            f"{text.size(found.output_bytes.low)} to {text.size(found.output_bytes.high)}",
        ),
        ("of this", f"video {text.size(found.video_bytes.likely)}, "
                    f"all else {text.size(found.other_bytes)}"),
        ("time", f"{_spoken(found.wall_s)} here, if nothing else runs"),
        ("quality", _quality(found)),
        ("video", f"{found.encoder}, preset {found.preset}, {found.width}x{found.height}"
                  f"{grain(found.film_grain)}, {found.frames} frames "
                  f"({text.duration(found.duration_s)})"),
        ("crop", f"{found.crop or 'none'}. {text.printable(found.crop_reason)}".strip()),
        ("workers", f"{found.workers} (lp {found.lp} each)"),
        ("memory", text.size(found.memory_bytes)),
        ("disk", f"{text.size(found.disk_bytes)} free while it is encoded"),
        ("tried", f"{text.count(found.windows, 'window')} of together {found.sampled_frames} "
                  f"frames, in {text.duration(found.spent_wall_s)}"),
    ]  # fmt: skip
    if found.sheet is not None:
        facts.append(("contact sheet", text.path(found.sheet)))
    return facts + [("warning", text.printable(note)) for note in found.notes]


def _quality(found: Estimate) -> str:
    if found.target_vmaf is not None:
        return f"VMAF {found.target_vmaf:g}, around CRF {found.crf:g}"
    if found.vmaf is None:
        return f"CRF {found.crf:g}"
    vmaf = found.vmaf
    return f"CRF {found.crf:g}: VMAF {vmaf.likely:.1f} ({vmaf.low:.1f} to {vmaf.high:.1f})"


def _row(outcome: Outcome) -> list[str]:
    name = text.printable(outcome.source.name)
    found = outcome.result
    if isinstance(found, Failure):
        return [name, "failed", *[""] * (len(_HEADERS) - 2)]
    return [
        name,
        *_sizes(found.source_bytes, found.output_bytes),
        text.duration(found.wall_s.likely),
        "" if found.vmaf is None else f"{found.vmaf.likely:.1f}",
        f"{found.crf:g}",
        str(found.crop or ""),
    ]


def _total(found: Sequence[Estimate]) -> list[str]:
    """Ranges are added up as if all films erred to the same side."""
    output = Range(
        low=sum(one.output_bytes.low for one in found),
        likely=sum(one.output_bytes.likely for one in found),
        high=sum(one.output_bytes.high for one in found),
    )
    time = text.duration(sum(one.wall_s.likely for one in found))
    sizes = _sizes(sum(one.source_bytes for one in found), output)
    return [f"all {len(found)}", *sizes, time, "", "", ""]


def _sizes(source_bytes: int, output: Range) -> list[str]:
    sizes = [text.size(value) for value in (output.likely, output.low, output.high)]
    return [text.size(source_bytes), *sizes, text.saving(source_bytes, round(output.likely))]


def _spoken(time: Range) -> str:
    return " ".join([
        text.duration(time.likely), f"({text.duration(time.low)} to {text.duration(time.high)})"
    ])  # fmt: skip


def _meaning(coverage: float) -> str:
    return f"Ranges should hold {coverage:.0%} of finished encodes; docs/estimate.md says more."
