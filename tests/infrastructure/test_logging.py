"""The job log: every line whole and labelled, and never a reason for a job to fail."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from drapto.core.comparison import Comparison, FieldResult, Outcome, Served, Severity
from drapto.core.events import (
    ComparisonDone,
    JobFailed,
    JobStarted,
    SegmentProgress,
    SegmentRetried,
    StageRolledBack,
    StageServed,
    StageStarted,
    WarningRaised,
)
from drapto.core.job import Stage
from drapto.core.routing import RoutedStage, Side
from drapto.infrastructure.logging import LogSink, job_logger, log_path, stderr_logger


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_names_time_level_event_job_stage_and_segment(tmp_path: Path) -> None:
    log = job_logger(log_path(tmp_path), job="j1")
    log.info("hello", segment=3, size_bytes=9)
    (line,) = lines_of(tmp_path / "log.jsonl")
    assert list(line)[:6] == ["timestamp", "level", "event", "job", "stage", "segment"]
    assert str(line["timestamp"]).endswith("Z")
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "hello",
        "job": "j1",
        "stage": None,
        "segment": 3,
        "size_bytes": 9,
    }


def test_events_carry_the_stage_they_happened_in(tmp_path: Path) -> None:
    sink = LogSink(job_logger(log_path(tmp_path), job="j1", level="debug"))
    sink.emit(JobStarted(job="j1", source="a", output="b", work_dir=tmp_path))
    sink.emit(StageStarted(job="j1", stage=Stage.DETECTION))
    sink.emit(WarningRaised(job="j1", message="odd"))
    sink.emit(SegmentProgress(job="j1", segment=7, frames_done=1, frames=2))
    sink.emit(SegmentRetried(job="j1", segment=7, attempt=1, reason="one frame short"))
    lines = lines_of(tmp_path / "log.jsonl")
    assert [(x["level"], x["event"], x["stage"], x["segment"]) for x in lines] == [
        ("info", "job_started", None, None),
        ("info", "stage_started", "detection", None),
        ("warning", "warning", "detection", None),
        ("debug", "segment_progress", "encoding", 7),
        ("warning", "segment_retried", "encoding", 7),
    ]
    assert all(x["job"] == "j1" for x in lines)


def test_a_comparison_is_one_line_and_each_discrepancy_another(tmp_path: Path) -> None:
    def field(name: str, severity: Severity) -> FieldResult:
        return FieldResult(
            field=name, severity=severity, legacy="a", new="b", distance=1, tolerance=0
        )

    fields = (
        field("cuts.f1", Severity.WITHIN),
        field("crop.top", Severity.CRITICAL),
        field("size.ratio", Severity.IGNORED),
    )
    done = Comparison(
        id="5d1e90b7c2aa", at=datetime(2026, 1, 2, tzinfo=UTC), job="j1", source=Path("in"),
        stage=RoutedStage.DETECTION, primary=Side.LEGACY, candidate=Side.NEW,
        outcome=Outcome.CRITICAL, reason="r", fields=fields,
    )  # fmt: skip
    sink = LogSink(job_logger(log_path(tmp_path), job="j1"))
    sink.emit(ComparisonDone(job="j1", comparison=done))
    first, *rest = lines_of(tmp_path / "log.jsonl")
    assert (first["event"], first["level"], first["stage"], first["outcome"]) == (
        "comparison_done", "warning", "detection", "critical",
    )  # fmt: skip
    assert "fields" not in first
    assert [(x["event"], x["level"], x["field"], x["id"], x["stage"]) for x in rest] == [
        ("discrepancy", "warning", "crop.top", "5d1e90b7c2aa", "detection"),
        ("discrepancy", "info", "size.ratio", "5d1e90b7c2aa", "detection"),
    ]


def test_a_stage_that_legacy_had_to_serve_is_a_warning(tmp_path: Path) -> None:
    sink = LogSink(job_logger(log_path(tmp_path), job="j1"))
    served = Served(at=datetime(2026, 1, 2, tzinfo=UTC), job="j1", stage=RoutedStage.ENCODING,
                    side=Side.NEW)  # fmt: skip
    failed = served.model_copy(update={"failed": True, "reason": "it crashed"})
    sink.emit(StageServed(job="j1", served=served))
    sink.emit(StageServed(job="j1", served=failed))
    sink.emit(StageRolledBack(job="j1", stage=RoutedStage.ENCODING, revision="3", why="w"))
    lines = lines_of(tmp_path / "log.jsonl")
    assert [(x["event"], x["level"], x["stage"]) for x in lines] == [
        ("stage_served", "info", "encoding"),
        ("stage_served", "warning", "encoding"),
        ("stage_rolled_back", "warning", "encoding"),
    ]
    assert lines[1]["reason"] == "it crashed"


def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    sink = LogSink(job_logger(log_path(tmp_path), job="j1", level="warning"))
    sink.emit(StageStarted(job="j1", stage=Stage.DETECTION))
    sink.emit(WarningRaised(job="j1", message="odd"))
    assert [x["event"] for x in lines_of(tmp_path / "log.jsonl")] == ["warning"]


def test_many_threads_never_mix_their_lines(tmp_path: Path) -> None:
    log = job_logger(log_path(tmp_path), job="j1")

    def write(worker: int) -> None:
        for number in range(50):
            log.info("x" * 500, segment=worker * 100 + number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    segments = [line["segment"] for line in lines_of(tmp_path / "log.jsonl")]
    assert sorted(segments, key=str) == sorted(
        (w * 100 + n for w in range(8) for n in range(50)), key=str
    )


def test_log_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    job_logger(tmp_path / "gone" / "log.jsonl", job="j1").error("lost")
    job_logger(tmp_path, job="j1").error("a directory is in the way")
    job_logger(Path("/dev/full"), job="j1").error("no space")
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from drapto.infrastructure.logging import job_logger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
log = job_logger(path, job="j1")
log.info("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, resource.RLIM_INFINITY))
log.info("torn")
log.info("lost")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("after")
"""


def test_after_a_torn_line_the_next_one_starts_fresh(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], check=True)
    lines = path.read_text().splitlines()
    assert json.loads(lines[0])["event"] == "before"
    assert json.loads(lines[-1])["event"] == "after"


def test_exception_is_logged_with_its_traceback(tmp_path: Path) -> None:
    log = job_logger(log_path(tmp_path), job="j1")
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        log.error("unexpected", exc_info=True)
    (line,) = lines_of(tmp_path / "log.jsonl")
    assert "RuntimeError: boom" in str(line["exception"])


def test_stderr_line_is_plain_and_keeps_odd_names_on_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    sink = LogSink(stderr_logger())
    sink.emit(
        JobFailed(
            job="j1",
            source="a\nb.mkv",
            output="o.mkv",
            error="InputError",
            message="no video",
            exit_code=3,
        )
    )
    (line,) = stream.getvalue().splitlines()
    assert " error   job_failed job=j1" in line
    assert r'source="a\nb.mkv"' in line
    assert 'message="no video"' in line


def test_the_programs_own_structlog_configuration_is_left_alone(tmp_path: Path) -> None:
    before = structlog.get_config()
    job_logger(log_path(tmp_path), job="j1").info("hello")
    stderr_logger().debug("hello")
    assert structlog.get_config() == before
    assert not structlog.is_configured()
