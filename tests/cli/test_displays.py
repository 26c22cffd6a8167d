"""What is shown of a running job: on a terminal, in a log, and to a program."""

from __future__ import annotations

import io
import json
import threading

import pytest
from rich.console import Console

from cli.render.display import JobDisplay
from cli.render.frontend import (
    JsonFrontend,
    PlainFrontend,
    TerminalFrontend,
    choose_frontend,
)
from cli.render.view import JobView
from drapto.core.events import (
    CommandPlanned,
    JobSkipped,
    StageStarted,
    WarningRaised,
)
from drapto.core.job import Stage
from tests.cli import recorded
from tests.cli.screens import Clock, screen, text_of


def plain_lines(events: list[object], clock: Clock | None = None) -> list[str]:
    lines: list[str] = []
    view = JobView()
    console = Console(file=io.StringIO())
    frontend = PlainFrontend(lines.append, view, console, clock or Clock())
    for event in events:
        view.emit(event)  # type: ignore[arg-type]
        frontend.emit(event)  # type: ignore[arg-type]
    return lines


class TestPlainLines:
    def test_every_stage_has_its_line_and_progress_comes_in_steps(self) -> None:
        lines = plain_lines(recorded.whole_job())
        assert lines[0] == "/films/in.mkv -> /av1/out.mkv"
        assert "detection: detection is over (1.5 s)" in lines
        steps = [line for line in lines if line.startswith("encoding: ") and "%" in line]
        assert 8 <= len(steps) <= 10
        assert len([x for x in lines if x.startswith("detection: ") and "%" in x]) in (9, 10)

    def test_slow_work_says_something_every_half_minute(self) -> None:
        clock = Clock()
        events: list[object] = [recorded.started(), recorded.plan(frames=10_000)]
        events.append(StageStarted(job="j", stage=Stage.ENCODING))
        lines: list[str] = []
        view = JobView()
        frontend = PlainFrontend(lines.append, view, Console(file=io.StringIO()), clock)
        for event in events:
            view.emit(event)  # type: ignore[arg-type]
            frontend.emit(event)  # type: ignore[arg-type]
        lines.clear()
        for done in range(0, 600, 10):  # 6 % of the work in ten minutes
            clock.now_s += 10
            event = recorded.progress(0, done, frames=1000)
            view.emit(event)
            frontend.emit(event)
        assert 3 <= len(lines) <= 6

    def test_plan_names_what_becomes_of_every_track(self) -> None:
        text = "\n".join(plain_lines([recorded.started(), recorded.plan()]))
        assert "audio 1: [eng] 'Main [stereo]' encoded: AAC stereo -> Opus 128 kb/s" in text
        assert "subtitle 2: dropped: Matroska cannot hold it" in text
        assert "crop: 1920:800:0:140" in text

    def test_planned_command_can_be_pasted_into_a_shell(self) -> None:
        command = ("ffmpeg", "-i", "file:/a b/it's.mkv", "-x")
        (line,) = plain_lines([CommandPlanned(job="j", stage=Stage.ENCODING, command=command)])
        import shlex

        assert tuple(shlex.split(line)) == command

    def test_skipped_file_is_named_with_its_reason(self) -> None:
        (line,) = plain_lines([JobSkipped(source="/a.txt", output="/o", reason="no video")])
        assert line == "skipped /a.txt: no video"

    def test_control_characters_of_a_file_name_are_harmless(self) -> None:
        (line,) = plain_lines([recorded.started("/films/\x1b[31mred\n.mkv")])
        assert "\x1b" not in line
        assert "\n" not in line
        assert r"\x1b[31mred\n.mkv" in line


class TestTerminal:
    @pytest.mark.parametrize("width", [1, 10, 20, 30, 40, 60, 80, 200])
    def test_display_never_wraps(self, width: int) -> None:
        clock = Clock()
        view = JobView(clock)
        name = "/films/" + "a long name of a film " * 5 + ".mkv"
        for event in (recorded.started(name), *recorded.whole_job()[1:-8]):
            view.emit(event)
            clock.now_s += 0.1
        console = screen(width)
        console.print(JobDisplay(view))
        lines = text_of(console).splitlines()
        assert len(lines) == 2
        assert all(len(line) <= width for line in lines)

    def test_wide_display_shows_stage_segments_rate_eta_and_size(self) -> None:
        clock = Clock()
        view = JobView(clock)
        for event in (recorded.started(), recorded.plan()):
            view.emit(event)
        view.emit(StageStarted(job="j", stage=Stage.ENCODING))
        clock.now_s += 100
        view.emit(recorded.finished_segment(0, size_bytes=2**20))
        console = screen(120)
        console.print(JobDisplay(view))
        shown = text_of(console)
        for fact in ("encoding", "in.mkv", "25 %", "1.0 fps", "5:00 left", "1 of 4 segments"):
            assert fact in shown
        assert "video about 4.0 MiB" in shown

    def test_display_is_gone_when_the_summary_is_printed(self) -> None:
        view = JobView()
        console = screen(100)
        frontend = TerminalFrontend(view, console)
        with frontend:
            for event in recorded.whole_job():
                view.emit(event)
                frontend.emit(event)
        frontend.summary(recorded.result())
        shown = text_of(console)
        assert "warning: Three frames are damaged." in shown
        assert "segment 2 is tried again (attempt 1): a frame short" in shown
        assert "1.9 MiB -> 742.2 KiB (62 % smaller)" in shown

    def test_events_may_come_from_any_thread(self) -> None:
        view = JobView()
        frontend = TerminalFrontend(view, screen())
        failures: list[BaseException] = []

        def send() -> None:
            try:
                for event in recorded.whole_job()[1:]:
                    view.emit(event)
                    frontend.emit(event)
                    view.snapshot()
            except BaseException as error:
                failures.append(error)

        with frontend:
            threads = [threading.Thread(target=send) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert failures == []
        assert view.snapshot().segments_done == 16


class TestJson:
    def test_every_event_is_one_line_of_json(self) -> None:
        lines: list[str] = []
        frontend = JsonFrontend(lines.append)
        for event in recorded.whole_job():
            frontend.emit(event)
        assert len(lines) == len(recorded.whole_job())
        assert [json.loads(line)["job"] for line in lines] == [recorded.JOB] * len(lines)
        assert all(line.isascii() and "\n" not in line for line in lines)


def test_the_display_is_chosen_by_flags_and_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    view = JobView()

    def chosen(**flags: bool) -> str:
        wanted = {"json_lines": False, "quiet": False, "plain": False} | flags
        frontend = choose_frontend(**wanted, view=view, write=lambda line: None)
        return type(frontend).__name__

    assert chosen(json_lines=True, quiet=True) == "JsonFrontend"
    assert chosen(quiet=True) == "Frontend"
    assert chosen() == "PlainFrontend"  # the tests' stdout is no terminal


def test_quiet_shows_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    frontend = choose_frontend(
        json_lines=False, quiet=True, plain=False, view=JobView(), write=print
    )
    frontend.emit(WarningRaised(job="j", message="odd"))
    frontend.summary(recorded.result())
    assert capsys.readouterr().out == ""
