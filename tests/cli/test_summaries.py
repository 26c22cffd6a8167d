"""What is printed at the end: of a job, and of a batch."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cli.render.console import make_console, print_facts, print_table
from cli.render.facts import plan_facts, result_facts
from cli.render.frontend import (
    BatchRow,
    print_batch,
)
from drapto.core.routing import Mode, Route, RoutedStage, Side
from tests.cli import recorded
from tests.cli.screens import screen, text_of


def route(stage: RoutedStage, primary: Side, mode: Mode, reason: str = "Why.") -> Route:
    return Route(stage=stage, primary=primary, mode=mode, reason=reason)


class TestWhoServes:
    SHADOW = route(
        RoutedStage.DETECTION,
        Side.LEGACY,
        Mode.SHADOW,
        "The flag of detection says shadow; new runs beside it, to be compared.",
    )
    NEW = route(RoutedStage.ENCODING, Side.NEW, Mode.CANARY)

    def test_stage_that_legacy_serves_is_named_with_the_reason(self) -> None:
        said = (
            "detection",
            "legacy. The flag of detection says shadow; new runs beside it, to be compared.",
        )
        plan = recorded.plan().model_copy(update={"routes": (self.SHADOW, self.NEW)})
        result = recorded.result(routes=(self.SHADOW, self.NEW))
        for facts in (plan_facts(plan), result_facts(result)):
            assert said in facts
            assert "encoding" not in dict(facts)

    def test_nothing_is_said_where_new_serves_everything(self) -> None:
        everything = tuple(route(stage, Side.NEW, Mode.NEW) for stage in RoutedStage)
        plan = recorded.plan().model_copy(update={"routes": everything})
        assert plan_facts(plan) == plan_facts(recorded.plan())


class TestSummary:
    def test_summary_says_everything_that_matters(self) -> None:
        facts = result_facts(recorded.result())
        text = "\n".join(f"{label}: {value}" for label, value in facts)
        assert "size: 1.9 MiB -> 742.2 KiB (62 % smaller)" in text
        assert "time: 1:15, 6.4 fps" in text
        assert "frames: 400 (0:16) in 4 segments" in text
        assert "video: svt-av1, CRF 26, preset 6, 1920x800" in text
        assert "crop: 1920:800:0:140" in text
        assert "dynamic range: sdr" in text
        assert "subtitle 2: dropped: Matroska cannot hold it" in text
        assert "warning: Three frames are damaged." in text
        assert "manifest: /av1/.w/manifest.json" in text

    def test_output_that_grew_is_called_bigger(self) -> None:
        facts = dict(result_facts(recorded.result(output_bytes=2_100_000)))
        assert facts["size"].endswith("(5 % bigger)")

    def test_brackets_in_a_title_are_no_markup(self) -> None:
        console = screen(100)
        print_facts(console, [("title", "[bold]film[/bold] [1080p]")])
        assert "[bold]film[/bold] [1080p]" in text_of(console)

    def test_away_from_a_terminal_nothing_is_cut_or_wrapped(self) -> None:
        out = io.StringIO()
        console = make_console(out)
        long = "x" * 500
        print_facts(console, [("label", long)])
        print_table(console, ("a", "b"), [[long, "1"], ["y", "2"]])
        lines = out.getvalue().splitlines()
        assert lines[0] == f"label: {long}"
        assert lines[2] == f"{long}  1"
        assert len(lines) == 4


class TestBatchTable:
    ROWS = (
        BatchRow(
            Path("/a/one.mkv"),
            "done",
            outcome=recorded.result(source_bytes=1000, output_bytes=400, wall_s=65.0),
        ),
        BatchRow(Path("/a/[two].mkv"), "failed", "There is no video stream."),
        BatchRow(Path("/a/three.mkv"), "skipped", "output exists"),
    )

    @pytest.mark.parametrize("terminal", [True, False])
    def test_every_file_has_its_result(self, terminal: bool) -> None:
        console = screen(100) if terminal else make_console(io.StringIO())
        print_batch(console, self.ROWS)
        shown = text_of(console)
        assert "60 % smaller" in shown
        assert "1:05" in shown
        assert "failed: /a/[two].mkv: There is no video stream." in shown
        assert "1 done, 1 failed, 1 skipped; 1000 B -> 400 B (60 % smaller)" in shown
