"""What a monitoring system wants to know, in Prometheus text format.

    metrics = Metrics()
    sink.add(metrics)                      # an EventSink: counts what it is told
    metrics.write(Path("drapto.prom"))     # for node_exporter's textfile collector

Metric by metric: `docs/state.md`. Each `Metrics` has a registry of its own; nothing is global.

Contract test: tests/infrastructure/test_metrics.py.
"""

from __future__ import annotations

import threading
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from drapto.core.comparison import Comparison, Outcome, Served
from drapto.core.events import (
    ComparisonDone,
    DeviceFallback,
    Event,
    JobFailed,
    JobFinished,
    JobStarted,
    LeaksFound,
    SegmentFinished,
    SegmentRetried,
    StageFinished,
    StageRolledBack,
    StageServed,
    WarningRaised,
)
from drapto.core.routing import RoutedStage, Side
from drapto.infrastructure.files import translate, write_atomically

# A segment of 1 s to 10 s takes from a second (small, fast preset) to half an hour (4K, slow).
_SEGMENT_SECONDS = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800)
# Stages take from nothing (publishing) to days (encoding).
_STAGE_SECONDS = (0.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_GIB = 1024**3
_WORKER_BYTES = (_GIB / 4, _GIB / 2, _GIB, 2 * _GIB, 4 * _GIB, 8 * _GIB, 16 * _GIB)


class Metrics:
    """Takes events from any thread; never blocks for long, never raises."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._make_job_metrics()
        self._make_segment_metrics()
        self._make_routing_metrics()

    def _make_job_metrics(self) -> None:
        registry = self.registry
        self._jobs = Counter(
            "drapto_jobs", "Jobs that ended, by outcome", ["outcome"], registry=registry
        )
        for outcome in ("done", "failed", "interrupted"):
            self._jobs.labels(outcome)  # so that a rate can be taken from the first one on
        self._jobs_resumed = Counter(
            "drapto_jobs_resumed", "Jobs that went on after an earlier run", registry=registry
        )
        self._jobs_running = Gauge("drapto_jobs_running", "Jobs running now", registry=registry)
        self._frames = Counter(
            "drapto_frames", "Frames of the outputs that were published", registry=registry
        )
        self._bytes_in = Counter(
            "drapto_source_bytes", "Bytes of the sources of finished jobs", registry=registry
        )
        self._bytes_out = Counter(
            "drapto_output_bytes", "Bytes of the outputs that were published", registry=registry
        )
        self._stage_seconds = Histogram(
            "drapto_stage_seconds",
            "Wall time of a stage",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._warnings = Counter("drapto_warnings", "Warnings raised", registry=registry)
        self._device_fallbacks = Counter(
            "drapto_gpu_fallbacks",
            "Times the CPU went on with what a device could not do",
            ["work"],
            registry=registry,
        )
        for work in ("features", "decoding", "detection"):
            self._device_fallbacks.labels(work)
        self._leaks = Counter(
            "drapto_leaks", "Resources still held after a job", ["kind"], registry=registry
        )
        for kind in ("slots", "processes", "open_files", "temporary_files"):
            self._leaks.labels(kind)

    def _make_segment_metrics(self) -> None:
        registry = self.registry
        self._segments = Counter(
            "drapto_segments_encoded", "Segments encoded and accepted", registry=registry
        )
        self._segments_retried = Counter(
            "drapto_segments_retried", "Segment attempts that were not accepted", registry=registry
        )
        self._segment_frames = Counter(
            "drapto_encoded_frames", "Frames of the accepted segments", registry=registry
        )
        self._segment_bytes = Counter(
            "drapto_encoded_bytes", "Bytes of the accepted segments", registry=registry
        )
        self._segment_seconds = Histogram(
            "drapto_segment_seconds",
            "Wall time of an accepted segment",
            buckets=_SEGMENT_SECONDS,
            registry=registry,
        )
        self._segment_cpu_seconds = Counter(
            "drapto_segment_cpu_seconds", "CPU time of the accepted segments", registry=registry
        )
        self._worker_memory = Histogram(
            "drapto_worker_peak_bytes",
            "Peak resident memory of a segment worker",
            buckets=_WORKER_BYTES,
            registry=registry,
        )

    def _make_routing_metrics(self) -> None:
        registry = self.registry
        self._comparisons = Counter(
            "drapto_shadow_comparisons",
            "Shadow runs of one side against the other that ended, by outcome",
            ["stage", "outcome"],
            registry=registry,
        )
        self._noise_runs = Counter(
            "drapto_shadow_noise_runs",
            "Shadow runs of legacy against itself that ended, by outcome",
            ["stage", "outcome"],
            registry=registry,
        )
        self._candidate_seconds = Histogram(
            "drapto_shadow_candidate_seconds",
            "Wall time of the candidate of a shadow run",
            ["stage", "outcome"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._shadows_dropped = Counter(
            "drapto_shadow_dropped", "Shadow runs that were dropped", registry=registry
        )
        self._served = Counter(
            "drapto_stage_served",
            "Stages of jobs served, by the side that was asked first",
            ["stage", "side", "failed"],
            registry=registry,
        )
        self._rollbacks = Counter(
            "drapto_rollbacks", "Automatic rollbacks to legacy", ["stage"], registry=registry
        )
        for stage in RoutedStage:
            self._rollbacks.labels(stage.value)
            for side, failed in ((Side.LEGACY, "no"), (Side.NEW, "no"), (Side.NEW, "yes")):
                self._served.labels(stage.value, side.value, failed)
            for outcome in Outcome:
                self._comparisons.labels(stage.value, outcome.value)
                self._noise_runs.labels(stage.value, outcome.value)

    def emit(self, event: Event) -> None:
        with self._lock:
            match event:
                case JobStarted():
                    self._running.add(event.job)
                    if event.resumed:
                        self._jobs_resumed.inc()
                case JobFinished():
                    self._finished(event)
                case JobFailed():
                    is_interrupted = event.exit_code == 130
                    self._ended(event.job, "interrupted" if is_interrupted else "failed")
                case StageFinished():
                    self._stage_seconds.labels(event.stage.value).observe(max(0.0, event.wall_s))
                case SegmentFinished():
                    self._segment(event)
                case SegmentRetried():
                    self._segments_retried.inc()
                case LeaksFound():
                    self._count_leaks(event)
                case WarningRaised():
                    self._warnings.inc()
                case DeviceFallback():
                    self._device_fallbacks.labels(event.work).inc()
                case ComparisonDone():
                    self._compared(event.comparison)
                case StageServed():
                    self._count_served(event.served)
                case StageRolledBack():
                    self._rollbacks.labels(event.stage.value).inc()
                case _:
                    pass
            self._jobs_running.set(len(self._running))

    def _ended(self, job: str, outcome: str) -> None:
        self._running.discard(job)
        self._jobs.labels(outcome).inc()

    def _finished(self, event: JobFinished) -> None:
        self._ended(event.job, "done")
        self._frames.inc(max(0, event.result.frames))
        self._bytes_in.inc(max(0, event.result.source_bytes))
        self._bytes_out.inc(max(0, event.result.output_bytes))

    def _segment(self, event: SegmentFinished) -> None:
        self._segments.inc()
        self._segment_frames.inc(max(0, event.frames))
        self._segment_bytes.inc(max(0, event.size_bytes))
        self._segment_seconds.observe(max(0.0, event.wall_s))
        self._segment_cpu_seconds.inc(max(0.0, event.cpu_s))
        self._worker_memory.observe(max(0, event.peak_rss_bytes))

    def _count_leaks(self, event: LeaksFound) -> None:
        self._leaks.labels("slots").inc(event.slots)
        self._leaks.labels("processes").inc(len(event.processes))
        self._leaks.labels("open_files").inc(len(event.open_files))
        self._leaks.labels("temporary_files").inc(len(event.temporary_files))

    def _compared(self, comparison: Comparison) -> None:
        labels = (comparison.stage.value, comparison.outcome.value)
        (self._noise_runs if comparison.is_aa else self._comparisons).labels(*labels).inc()
        if comparison.outcome is Outcome.SKIPPED:
            self._shadows_dropped.inc()
        elif comparison.candidate_s > 0:
            self._candidate_seconds.labels(*labels).observe(comparison.candidate_s)

    def _count_served(self, served: Served) -> None:
        failed = "yes" if served.failed else "no"
        self._served.labels(served.stage.value, served.side.value, failed).inc()

    def text(self) -> bytes:
        """Everything in Prometheus text format 0.0.4."""
        return generate_latest(self.registry)

    def write(self, path: Path) -> None:
        """Replace `path` atomically, readable by everybody. Errors: PublishError, ResourceError."""
        try:
            write_atomically(path, self.text(), mode=0o644)
        except OSError as error:
            what = f"The metrics file {path} cannot be written"
            raise translate(error, what, hint="Name another with --metrics-file.") from error
