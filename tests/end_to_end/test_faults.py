"""Children and programs that die: nothing is lost, and the output is that of an undisturbed run."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.disturbing import Event, beside, contents, encode, encode_here, stage_begins
from tests.end_to_end.program import QUICK, command, drapto, environment, processes_about
from tests.media import clips


def child_of(process: subprocess.Popen[str], mark: str) -> psutil.Process:
    """The child whose command line holds `mark`, as soon as there is one."""
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if mark in " ".join(child.cmdline()):
                    return child
            except psutil.Error:
                continue
    raise AssertionError(f"no child {mark}")


@pytest.mark.parametrize(
    "sent", [signal.SIGKILL, pytest.param(signal.SIGSEGV, marks=pytest.mark.slow)]
)
def test_first_segment_whose_encoder_is_killed_is_encoded_again(
    film: Path, output: Path, undisturbed: str, sent: signal.Signals
) -> None:
    done = encode(
        film,
        output,
        when=stage_begins("encoding"),
        then=lambda process: child_of(process, "00000.partial").send_signal(sent),
    )
    assert done.code == 0, done.stderr
    (retried,) = [event for event in done.events if event["event"] == "segment_retried"]
    assert sent.name in retried["reason"]
    assert contents(output) == undisturbed


def test_audio_whose_encoder_is_killed_is_encoded_again(
    film: Path, output: Path, undisturbed: str
) -> None:
    done = encode(
        film,
        output,
        when=stage_begins("encoding"),
        then=lambda process: child_of(process, "0:1").kill(),
    )
    assert done.code == 0, done.stderr
    assert done.warnings == []
    assert contents(output) == undisturbed


@pytest.mark.parametrize(
    "sent", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_signal_after_the_output_has_its_name_loses_nothing(
    film: Path, output: Path, undisturbed: str, sent: signal.Signals
) -> None:
    def published(event: Event) -> bool:
        return bool(event["event"] == "stage_finished" and event["stage"] == "publishing")

    done = encode(film, output, when=published, then=lambda p: p.send_signal(sent))
    assert contents(output) == undisturbed
    if sent is signal.SIGTERM:
        assert done.code == 0, done.stderr
    else:
        assert encode_here(film, output).code == 0
    assert beside(output) == ["out.mkv"]
    assert contents(output) == undisturbed


def test_signal_before_an_earlier_run_is_taken_up_keeps_what_it_has_finished(
    film: Path, output: Path, undisturbed: str
) -> None:
    encode(film, output, when=stage_begins("assembly"), then=lambda process: process.kill())
    stopped = encode(
        film,
        output,
        when=lambda event: event["event"] == "job_started",
        then=lambda process: process.terminate(),
    )
    assert (stopped.code, stopped.warnings) == (130, [])
    done = encode_here(film, output)
    assert done.result["resumed_segments"] == done.result["segments"]
    assert contents(output) == undisturbed


def test_reader_of_the_events_that_goes_away_ends_the_job_and_leaves_nothing_running(
    film: Path, output: Path
) -> None:
    process = subprocess.Popen(
        command("encode", film, output, *QUICK, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["event"] == "job_started"
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 130
    assert processes_about(output) == []
    assert "out.mkv" not in beside(output)


STAGES = ("probe", "detection", "segmentation", "encoding", "assembly", "validation", "publishing")


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_job_killed_in_any_stage_goes_on(
    stage: str, film: Path, output: Path, undisturbed: str
) -> None:
    killed = encode(film, output, when=stage_begins(stage), then=lambda p: p.kill())
    assert killed.acted
    assert not output.exists()
    assert encode_here(film, output).code == 0
    assert contents(output) == undisturbed
    assert beside(output) == ["out.mkv"]


@pytest.mark.slow
def test_job_killed_while_a_bare_stream_is_rewrapped_goes_on(tmp_path: Path, output: Path) -> None:
    source = clips.raw_h264(tmp_path)
    assert encode_here(source, tmp_path / "whole.mkv").code == 0
    encode(source, output, when=stage_begins("probe"), then=lambda p: p.kill())
    assert encode_here(source, output).code == 0
    assert contents(output) == contents(tmp_path / "whole.mkv")


@pytest.mark.slow
def test_encoder_that_is_stopped_and_goes_on_is_waited_for(
    film: Path, output: Path, undisturbed: str
) -> None:
    def stop_and_go(process: subprocess.Popen[str]) -> None:
        child = child_of(process, ".partial")
        child.suspend()
        child.resume()

    done = encode(film, output, when=stage_begins("encoding"), then=stop_and_go)
    assert done.code == 0
    assert contents(output) == undisturbed


@pytest.mark.slow
def test_batch_goes_on_after_a_broken_file(film: Path, tmp_path: Path, undisturbed: str) -> None:
    inputs = tmp_path / "in"
    (inputs / "deep").mkdir(parents=True)
    shutil.copy2(film, inputs / "a.mkv")
    (inputs / "b.mkv").write_text("no film")
    shutil.copy2(film, inputs / "deep" / "c.mkv")
    done = drapto("encode", inputs, tmp_path / "out", *QUICK)
    assert done.returncode == 1
    assert "b.mkv is a text file" in done.stderr
    made = sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "out").rglob("*"))
    assert made == ["out/a.mkv", "out/deep", "out/deep/c.mkv"]
    assert contents(tmp_path / "out" / "a.mkv") == undisturbed
