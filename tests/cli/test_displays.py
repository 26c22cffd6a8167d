"""What is shown of a job: on a terminal, in a log, and to a program."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest
from rich.console import Console

from cli.render.console import make_console, print_facts, print_table
from cli.render.display import JobDisplay
from cli.render.facts import result_facts
from cli.render.frontend import (
    BatchRow,
    JsonFrontend,
    PlainFrontend,
    TerminalFrontend,
    choose_frontend,
    print_batch,
)
from cli.render.view import JobView
from drapto.core.events import (
    CommandPlanned,
    JobSkipped,
    StageProgress,
    StageStarted,
    WarningRaised,
)
from drapto.core.job import Stage
from tests.cli import recorded


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def screen(width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain_lines(events: list[object], clock: Clock | None = None) -> list[str]:
    lines: list[str] = []
    view = JobView()
    console = Console(file=io.StringIO())
    frontend = PlainFrontend(lines.append, view, console, clock or Clock())
    for event in events:
        view.emit(event)  # type: ignore[arg-type]
        frontend.emit(event)  # type: ignore[arg-type]
    return lines


class TestView:
    def test_frame_rate_eta_and_size_follow_from_what_was_encoded(self) -> None:
        clock = Clock()
        view = JobView(clock)
        view.emit(recorded.started())
        view.emit(recorded.plan(segments=4, frames=400))
        view.emit(StageStarted(job="j", stage=Stage.ENCODING))
        clock.now_s += 10
        view.emit(recorded.finished_segment(0, frames=100, size_bytes=5000))
        view.emit(recorded.progress(1, 50))
        now = view.snapshot()
        assert (now.frames_done, now.segments_done, now.segments) == (150, 1, 4)
        assert now.fps == pytest.approx(15.0)
        assert now.eta_s == pytest.approx(250 / 15)
        assert now.projected_bytes == 20_000
        assert now.share == pytest.approx(150 / 400)

    def test_resumed_frames_count_as_done_but_not_as_speed(self) -> None:
        clock = Clock()
        view = JobView(clock)
        view.emit(recorded.started(resumed=True))
        view.emit(recorded.plan(segments=4, frames=400, resumed_segments=2, resumed_frames=200))
        view.emit(StageStarted(job="j", stage=Stage.ENCODING))
        clock.now_s += 10
        view.emit(recorded.progress(2, 50))
        now = view.snapshot()
        assert (now.frames_done, now.segments_done) == (250, 2)
        assert now.fps == pytest.approx(5.0)

    def test_retried_segment_gives_its_frames_back(self) -> None:
        view = JobView()
        for event in recorded.whole_job():
            before = view.snapshot().frames_done
            view.emit(event)
            if type(event).__name__ == "SegmentRetried":
                assert view.snapshot().frames_done == before - 95
        assert view.snapshot().frames_done == 400

    def test_next_job_of_a_batch_starts_from_nothing(self) -> None:
        view = JobView()
        for event in recorded.whole_job():
            view.emit(event)
        view.emit(recorded.started("/films/other.mkv"))
        now = view.snapshot()
        assert (now.source, now.frames, now.segments_done) == ("other.mkv", 0, 0)

    def test_a_later_stage_is_shown_once_encoding_is_over(self) -> None:
        view = JobView()
        for event in recorded.whole_job()[:-1]:
            view.emit(event)
        view.emit(StageStarted(job="j", stage=Stage.VALIDATION))
        view.emit(StageProgress(job="j", stage=Stage.VALIDATION, done=30, total=120))
        now = view.snapshot()
        assert (now.stage, now.share, now.eta_s) == (Stage.VALIDATION, 0.25, None)

    def test_between_two_stages_the_one_just_over_is_shown(self) -> None:
        view = JobView()
        for event in recorded.whole_job()[:-1]:
            view.emit(event)
        assert view.snapshot().stage is Stage.ENCODING

    def test_no_number_is_shown_before_anything_was_encoded(self) -> None:
        view = JobView(Clock())
        view.emit(recorded.started())
        view.emit(recorded.plan())
        view.emit(StageStarted(job="j", stage=Stage.ENCODING))
        now = view.snapshot()
        assert (now.fps, now.eta_s, now.projected_bytes) == (None, None, None)


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
