"""Metrics in Prometheus text format."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drapto.core.comparison import Comparison, Outcome, Served
from drapto.core.errors import DraptoError
from drapto.core.events import (
    CommandPlanned,
    ComparisonDone,
    DeviceFallback,
    Event,
    JobFailed,
    JobFinished,
    JobStarted,
    LeaksFound,
    SegmentFinished,
    SegmentProgress,
    SegmentRetried,
    StageFinished,
    StageRolledBack,
    StageServed,
    WarningRaised,
)
from drapto.core.job import EncodeResult, Stage
from drapto.core.routing import RoutedStage, Side
from drapto.core.segments import VideoSettings
from drapto.infrastructure.metrics import Metrics


def values(metrics: Metrics) -> dict[str, float]:
    """'name{label=value}' -> value, read back by Prometheus's own parser."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def started(job: str = "j", resumed: bool = False) -> JobStarted:
    return JobStarted(
        job=job, source=Path("in"), output=Path("out"), work_dir=Path("work"), resumed=resumed
    )


def finished(job: str = "j") -> JobFinished:
    result = EncodeResult(
        source=Path("in"),
        output=Path("out"),
        source_bytes=1000,
        output_bytes=400,
        frames=96,
        duration_s=4,
        wall_s=8,
        encode_fps=12,
        segments=4,
        resumed_segments=1,
        settings=VideoSettings(width=2, height=2, source_width=2, source_height=2),
        crop=None,
        dynamic_range="sdr",
    )
    return JobFinished(job=job, result=result)


def failed(exit_code: int, job: str = "j") -> JobFailed:
    return JobFailed(
        job=job,
        source=Path("in"),
        output=Path("out"),
        error="E",
        message="m",
        exit_code=exit_code,
    )


def segment_finished(wall_s: float = 3) -> SegmentFinished:
    return SegmentFinished(
        job="j",
        segment=0,
        frames=24,
        size_bytes=100,
        wall_s=wall_s,
        cpu_s=5,
        peak_rss_bytes=300 * 1024**2,
        attempt=0,
    )


def test_a_job_is_counted_with_its_frames_bytes_and_segments() -> None:
    metrics = Metrics()
    metrics.emit(started(resumed=True))
    assert values(metrics)["drapto_jobs_running"] == 1
    metrics.emit(segment_finished())
    metrics.emit(segment_finished(wall_s=70))
    metrics.emit(SegmentRetried(job="j", segment=0, attempt=1, reason="short"))
    metrics.emit(WarningRaised(job="j", message="odd"))
    metrics.emit(StageFinished(job="j", stage=Stage.ENCODING, wall_s=70))
    metrics.emit(finished())
    found = values(metrics)
    expected = {
        "drapto_jobs_total{outcome=done}": 1,
        "drapto_jobs_total{outcome=failed}": 0,
        "drapto_jobs_resumed_total": 1,
        "drapto_jobs_running": 0,
        "drapto_frames_total": 96,
        "drapto_source_bytes_total": 1000,
        "drapto_output_bytes_total": 400,
        "drapto_segments_encoded_total": 2,
        "drapto_segments_retried_total": 1,
        "drapto_encoded_frames_total": 48,
        "drapto_encoded_bytes_total": 200,
        "drapto_segment_seconds_sum": 73,
        "drapto_segment_seconds_bucket{le=5.0}": 1,
        "drapto_segment_seconds_bucket{le=+Inf}": 2,
        "drapto_segment_cpu_seconds_total": 10,
        "drapto_worker_peak_bytes_bucket{le=2.68435456e+08}": 0,
        "drapto_worker_peak_bytes_bucket{le=5.36870912e+08}": 2,
        "drapto_stage_seconds_sum{stage=encoding}": 70,
        "drapto_warnings_total": 1,
    }
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("exit_code", "outcome"), [(1, "failed"), (5, "failed"), (130, "interrupted")]
)
def test_a_job_that_ended_otherwise_is_counted_as_such(exit_code: int, outcome: str) -> None:
    metrics = Metrics()
    metrics.emit(started())
    metrics.emit(failed(exit_code))
    found = values(metrics)
    assert found[f"drapto_jobs_total{{outcome={outcome}}}"] == 1
    assert found["drapto_jobs_running"] == 0


def test_leaks_are_counted_by_kind() -> None:
    metrics = Metrics()
    metrics.emit(
        LeaksFound(
            job="j",
            slots=2,
            processes=(),
            open_files=("a",),
            temporary_files=("b", "c", "d"),
        )
    )
    found = values(metrics)
    kinds = ("slots", "processes", "open_files", "temporary_files")
    assert [found[f"drapto_leaks_total{{kind={kind}}}"] for kind in kinds] == [2, 0, 1, 3]


def test_what_a_device_could_not_do_is_counted_by_the_work() -> None:
    metrics = Metrics()
    metrics.emit(DeviceFallback(device="cuda:0", work="decoding", reason="no surfaces"))
    found = values(metrics)
    counted = [found[f"drapto_gpu_fallbacks_total{{work={w}}}"] for w in ("decoding", "features")]
    assert counted == [1, 0]


def test_events_that_count_nothing_are_taken_too() -> None:
    metrics = Metrics()
    before = values(metrics)
    metrics.emit(SegmentProgress(job="j", segment=0, frames_done=1, frames=2))
    metrics.emit(CommandPlanned(job="j", stage=Stage.ENCODING, command=("ffmpeg",)))
    created = {name: value for name, value in values(metrics).items() if "_created" not in name}
    assert created == {name: value for name, value in before.items() if "_created" not in name}


def test_two_sets_of_metrics_know_nothing_of_each_other() -> None:
    one, two = Metrics(), Metrics()
    one.emit(WarningRaised(job="j", message="odd"))
    assert values(one)["drapto_warnings_total"] == 1
    assert values(two)["drapto_warnings_total"] == 0


def test_events_from_many_threads_are_all_counted() -> None:
    metrics = Metrics()

    def send() -> None:
        for _ in range(500):
            metrics.emit(WarningRaised(job="j", message="odd"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(metrics)["drapto_warnings_total"] == 4000


def test_the_file_is_replaced_whole_and_readable_by_the_collector(tmp_path: Path) -> None:
    path = tmp_path / "drapto.prom"
    path.write_text("old")
    metrics = Metrics()
    metrics.write(path)
    assert path.read_bytes() == metrics.text()
    assert path.stat().st_mode & 0o444 == 0o444
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DraptoError, match=r"metrics file .* cannot be written"):
        metrics.write(tmp_path / "missing" / "drapto.prom")


def compared(outcome: Outcome, candidate: Side = Side.NEW, candidate_s: float = 5) -> Event:
    comparison = Comparison(
        id="5d1e90b7c2aa", at=datetime(2026, 1, 2, tzinfo=UTC), job="j", source=Path("in"),
        stage=RoutedStage.DETECTION, primary=Side.LEGACY, candidate=candidate, outcome=outcome,
        reason="r", candidate_s=candidate_s,
    )  # fmt: skip
    return ComparisonDone(job="j", comparison=comparison)


def stage_served(side: Side, failed: bool = False) -> Event:
    served = Served(
        at=datetime(2026, 1, 2, tzinfo=UTC), job="j", stage=RoutedStage.ENCODING, side=side,
        failed=failed,
    )  # fmt: skip
    return StageServed(job="j", served=served)


def test_shadow_runs_are_counted_by_stage_and_outcome_and_noise_apart() -> None:
    metrics = Metrics()
    metrics.emit(compared(Outcome.MATCH))
    metrics.emit(compared(Outcome.CRITICAL, candidate_s=30))
    metrics.emit(compared(Outcome.MISMATCH, candidate=Side.LEGACY))
    metrics.emit(compared(Outcome.SKIPPED, candidate_s=0))
    found = values(metrics)
    expected = {
        "drapto_shadow_comparisons_total{outcome=match,stage=detection}": 1,
        "drapto_shadow_comparisons_total{outcome=critical,stage=detection}": 1,
        "drapto_shadow_comparisons_total{outcome=mismatch,stage=detection}": 0,
        "drapto_shadow_noise_runs_total{outcome=mismatch,stage=detection}": 1,
        "drapto_shadow_candidate_seconds_sum{outcome=critical,stage=detection}": 30,
        "drapto_shadow_candidate_seconds_count{outcome=skipped,stage=detection}": None,
        "drapto_shadow_dropped_total": 1,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_who_served_and_rollbacks_are_counted_from_zero_on() -> None:
    metrics = Metrics()
    assert values(metrics)["drapto_rollbacks_total{stage=encoding}"] == 0
    metrics.emit(stage_served(Side.NEW))
    metrics.emit(stage_served(Side.NEW, failed=True))
    metrics.emit(StageRolledBack(job="j", stage=RoutedStage.ENCODING, revision="3", why="w"))
    found = values(metrics)
    assert found["drapto_stage_served_total{failed=no,side=new,stage=encoding}"] == 1
    assert found["drapto_stage_served_total{failed=yes,side=new,stage=encoding}"] == 1
    assert found["drapto_stage_served_total{failed=no,side=legacy,stage=encoding}"] == 0
    assert found["drapto_rollbacks_total{stage=encoding}"] == 1
