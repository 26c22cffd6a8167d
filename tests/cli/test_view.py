"""What the displays know of a job, from its events alone."""

from __future__ import annotations

import pytest

from cli.render.view import JobView
from drapto.core.events import (
    EncoderSettled,
    StageProgress,
    StageStarted,
)
from drapto.core.job import Stage
from tests.cli import recorded
from tests.cli.screens import Clock


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

    def test_encoder_that_is_replaced_gives_all_its_frames_back(self) -> None:
        clock = Clock()
        view = JobView(clock)
        view.emit(recorded.started())
        view.emit(recorded.plan(segments=4, frames=400))
        view.emit(StageStarted(job="j", stage=Stage.ENCODING))
        clock.now_s += 100
        view.emit(recorded.finished_segment(0, frames=100, size_bytes=5000))
        view.emit(recorded.progress(1, 50))
        settled = EncoderSettled(job="j", encoder="av1-qsv", reason="the first that works here")
        view.emit(settled)
        assert view.snapshot().frames_done == 150
        view.emit(settled.model_copy(update={"instead_of": "av1-nvenc"}))
        assert view.snapshot().frames_done == 0
        clock.now_s += 10
        view.emit(recorded.finished_segment(0, frames=100, size_bytes=5000))
        assert view.snapshot().frames_done == 100
        assert view.snapshot().fps == pytest.approx(10.0)

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
