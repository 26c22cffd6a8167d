"""`drapto encode` as a person or a program sees it, with real encodes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.end_to_end import program
from tests.media import clips


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.simple(tmp_path_factory.mktemp("clip"), "clip.mkv", frames=48)


def encode(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return program.drapto("encode", *arguments, *program.QUICK)


def encode_here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return program.drapto_here("encode", *arguments, *program.QUICK)


class TestOneFile:
    def test_plain_output_ends_with_a_summary(self, clip: Path, tmp_path: Path) -> None:
        done = encode(clip, "out.mkv")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[0] == f"{clip} -> {tmp_path}/out.mkv"
        for stage in ("probe", "detection", "segmentation", "assembly", "validation"):
            assert [line for line in lines if re.match(rf"{stage}\b.*\(.* s\)$", line)]
        summary = dict(line.split(": ", 1) for line in lines if ": " in line)
        size = (tmp_path / "out.mkv").stat().st_size
        assert f"-> {size / 1024:.1f} KiB (" in summary["size"]
        assert summary["frames"].startswith("48 (")
        assert "Opus" in summary["audio 1"]

    def test_json_is_events_and_nothing_else(self, clip: Path, tmp_path: Path) -> None:
        done = encode(clip, "out.mkv", "--json")
        events = program.events_of(done)
        names = [event["event"] for event in events]
        assert (names[0], names[-1]) == ("job_started", "job_finished")
        assert names.index("plan_ready") < names.index("segment_finished")
        assert len({event["job"] for event in events}) == 1
        assert events[-1]["result"]["frames"] == 48
        assert done.stderr == ""

    def test_quiet_says_nothing_when_all_is_well(self, clip: Path) -> None:
        done = encode_here(clip, "out.mkv", "-q")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_verbose_adds_the_log_on_stderr(self, clip: Path) -> None:
        done = encode_here(clip, "out.mkv", "-v", "--json")
        assert re.search(r"^\d\d:\d\d:\d\d info +stage_started .*stage=encoding", done.stderr, re.M)
        assert program.events_of(done)[-1]["event"] == "job_finished"

    def test_kept_work_holds_a_log_with_job_stage_and_segment(
        self, clip: Path, tmp_path: Path
    ) -> None:
        done = encode_here(clip, "out.mkv", "--keep-work", "--work-dir", tmp_path)
        (log,) = re.findall(r"^log: (.*)$", done.stdout, re.MULTILINE)
        lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
        assert all(
            {"timestamp", "level", "event", "job", "stage", "segment"} <= set(x) for x in lines
        )
        finished = [x for x in lines if x["event"] == "segment_finished"]
        assert {x["stage"] for x in finished} == {"encoding"}
        assert [x["segment"] for x in finished] == list(range(len(finished)))

    @pytest.mark.slow
    def test_settings_file_decides_where_no_flag_does(self, clip: Path, tmp_path: Path) -> None:
        (tmp_path / "drapto.toml").write_text("crf = 60\npreset = 13\naudio = 'none'\n")
        done = program.drapto("encode", clip, "out.mkv", "--json", "--crf", "55.5")
        plan = next(e for e in program.events_of(done) if e["event"] == "plan_ready")
        assert (plan["crf"], plan["preset"]) == (55.5, 13)
        assert [t["action"] for t in plan["tracks"] if t["kind"] == "audio"] == ["dropped"]

    def test_metrics_are_written_also_when_the_job_fails(self, clip: Path, tmp_path: Path) -> None:
        encode_here(clip, "out.mkv", "--metrics-file", "good.prom")
        assert 'drapto_jobs_total{outcome="done"} 1.0' in (tmp_path / "good.prom").read_text()
        done = encode_here("missing.mkv", "out2.mkv", "--metrics-file", "bad.prom")
        assert done.returncode == 3
        assert 'drapto_jobs_total{outcome="failed"} 1.0' in (tmp_path / "bad.prom").read_text()

    def test_failure_is_one_paragraph_and_one_event(self, tmp_path: Path) -> None:
        (tmp_path / "text.mkv").write_text("no video here")
        done = encode_here("text.mkv", "out.mkv", "--json")
        assert done.returncode == 3
        failed = [e for e in program.events_of(done) if e["event"] == "job_failed"]
        assert [e["exit_code"] for e in failed] == [3]
        paragraphs = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
        assert len(paragraphs) == 1
        assert failed[0]["message"] in paragraphs[0]

    def test_dry_run_prints_commands_that_run_when_pasted(self, clip: Path, tmp_path: Path) -> None:
        done = encode_here(clip, "out.mkv", "--dry-run")
        assert done.returncode == 0
        commands = [line for line in done.stdout.splitlines() if " -c:v libsvtav1 " in line]
        assert len(commands) >= 1
        assert not (tmp_path / "out.mkv").exists()
        pasted = commands[0].rpartition(" file:")[0] + f" file:{tmp_path}/piece.mkv"
        subprocess.run(["sh", "-c", pasted], check=True, capture_output=True)
        assert (tmp_path / "piece.mkv").stat().st_size > 0

    @pytest.mark.slow
    def test_file_name_that_is_no_text_is_encoded(self, clip: Path, tmp_path: Path) -> None:
        source = tmp_path / os.fsdecode(b"film \xff\x1b[31m.mkv")
        source.symlink_to(clip)
        for flags in ([], ["--json", "--overwrite"]):
            done = encode(source, tmp_path / os.fsdecode(b"out \xff.mkv"), *flags)
            assert done.returncode == 0, done.stderr
            assert "\x1b" not in done.stdout
        assert (tmp_path / os.fsdecode(b"out \xff.mkv")).exists()

    @pytest.mark.slow
    def test_name_that_starts_with_a_dash_is_a_name(self, clip: Path, tmp_path: Path) -> None:
        (tmp_path / "-in.mkv").symlink_to(clip)
        done = program.drapto("encode", *program.QUICK, "--", "-in.mkv", "-out.mkv")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "-out.mkv").exists()

    def test_reader_that_goes_away_stops_the_job_quietly(self, clip: Path, tmp_path: Path) -> None:
        child = subprocess.Popen(
            program.command("encode", clip, "out.mkv", "--json", *program.QUICK),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=program.environment(),
        )
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        _, said = child.communicate(timeout=120)
        assert child.returncode == 130
        assert b"Traceback" not in said
        assert program.processes_about(tmp_path) == []


class TestBatch:
    def test_batch_goes_on_after_a_broken_file_and_mirrors_the_rest(
        self, clip: Path, tmp_path: Path
    ) -> None:
        films = tmp_path / "films"
        (films / "sub").mkdir(parents=True)
        (films / "a-broken.mp4").write_bytes(clip.read_bytes()[:2000])
        (films / "one.mkv").symlink_to(clip)
        (films / "sub" / "two.mov").symlink_to(clip)
        (films / "notes.txt").write_text("hello")
        (films / ".hidden.mkv").symlink_to(clip)
        first = encode_here(films, films / "out")
        assert first.returncode == 1
        made = sorted(str(p.relative_to(films / "out")) for p in (films / "out").rglob("*"))
        assert made == ["one.mkv", "sub", "sub/two.mkv"]
        table = first.stdout.splitlines()
        assert [x for x in table if re.match(r".*/a-broken\.mp4 +failed +-", x)]
        assert [x for x in table if re.match(r".*/sub/two\.mov +done +[\d.]+ KiB", x)]
        assert f"skipped {films}/notes.txt: not a video by its name" in table
        assert table[-1].startswith("1 failed, 2 done; ")
        assert first.stderr.count("Error: ") == 1

        # The output directory lies inside the input: it is not encoded again.
        (films / "a-broken.mp4").unlink()
        second = encode_here(films, films / "out", "--json")
        assert second.returncode == 0
        events = program.events_of(second)
        assert {e["event"] for e in events} == {"job_skipped"}
        assert {Path(e["source"]).name for e in events} == {"notes.txt", "one.mkv", "two.mov"}

    @pytest.mark.slow
    def test_several_files_go_into_a_directory_that_is_made(
        self, clip: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "b.mkv").symlink_to(clip)
        done = encode_here(clip, "b.mkv", "missing.mkv", "new/dir")
        assert done.returncode == 1
        assert {p.name for p in (tmp_path / "new" / "dir").iterdir()} == {"clip.mkv", "b.mkv"}
        assert "missing.mkv does not exist" in done.stderr

    def test_nothing_is_left_where_every_file_failed(self, tmp_path: Path) -> None:
        done = encode_here("missing.mkv", "gone.mkv", "new/dir")
        assert done.returncode == 1
        assert not (tmp_path / "new").exists()

    def test_dry_run_of_a_batch_makes_nothing(self, clip: Path, tmp_path: Path) -> None:
        done = encode_here(clip, "new/", "--dry-run")
        assert done.returncode == 0, done.stderr
        assert "planned" in done.stdout
        assert not (tmp_path / "new").exists()


class Terminal:
    """A program on a pseudo terminal of a given width."""

    def __init__(self, width: int, *arguments: str | Path) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self.child = subprocess.Popen(
            program.command(*arguments),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=program.environment(TERM="xterm-256color", COLUMNS=""),
        )
        os.close(slave)
        self.shown = ""

    def read_until(self, wanted: str | None) -> None:
        """Until text that matches `wanted` was shown; None: until the end."""
        while wanted is None or not re.search(wanted, self.shown):
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not data:
                break
            self.shown += data.decode("utf-8", "replace")

    def close(self) -> int:
        self.read_until(None)
        os.close(self.master)
        return self.child.wait(timeout=60)


class TestOnATerminal:
    def test_display_is_redrawn_and_a_summary_stays(self, clip: Path) -> None:
        terminal = Terminal(50, "encode", clip, "out.mkv", *program.QUICK)
        assert terminal.close() == 0
        assert "\x1b[?25l" in terminal.shown  # the cursor is hidden while the display is up
        assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l")
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.shown)
        summary = plain[plain.rindex("output  ") :]
        assert "smaller" in summary or "bigger" in summary
        assert "48 (" in summary

    def test_ctrl_c_leaves_a_clean_terminal_and_says_how_to_go_on(self, tmp_path: Path) -> None:
        long, _ = clips.with_cuts(tmp_path, audio=False, size="192x108")
        terminal = Terminal(100, "encode", long, "out.mkv", "--crf", "50", "--preset", "4",
                            "--workers", "1")  # fmt: skip
        terminal.read_until(r"[1-9] of \d+ segments")
        os.write(terminal.master, b"\x03")
        terminal.read_until(r"Interrupted")
        os.write(terminal.master, b"\x03")
        assert terminal.close() == 130
        assert "Traceback" not in terminal.shown
        assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l")
        assert "The same command goes on from there" in terminal.shown
        assert program.processes_about(tmp_path) == []


def test_interrupted_batch_says_what_was_not_started(clip: Path, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        (films / name).symlink_to(clip)
    child = subprocess.Popen(
        program.command("encode", films, "out", *program.QUICK),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(),
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("2 of 3"):
            break
    child.send_signal(signal.SIGTERM)
    shown, said = child.communicate(timeout=120)
    assert child.returncode == 130
    assert said.startswith("Interrupted.")
    results = re.findall(r"/films/\w\.mkv +(\w+(?: \w+)?)", shown)
    assert results == ["done", "interrupted", "not started"]
