"""The figures of a film's report follow from its manifest, and from nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drapto.core.film_report import PLACES, FilmReport, middle_frame
from drapto.core.quality import Pool, SegmentQuality, SingleCrf
from tests.film_manifests import film_manifest, measured_segments


def report_on(**fields: Any) -> FilmReport:
    return FilmReport(manifest=film_manifest(**fields), at=datetime(2026, 2, 1, tzinfo=UTC))


def of_scores(*scores: list[float]) -> FilmReport:
    """A film with one segment for each list, whose frames have these scores."""
    segments = measured_segments(len(scores))
    pairs = zip(segments, scores, strict=True)
    return report_on(
        segments=tuple(
            segment.model_copy(update={"quality": SegmentQuality.of_scores(found)})
            for segment, found in pairs
        )
    )


def test_course_counts_frames_at_the_nominal_rate() -> None:
    report = report_on(segments=measured_segments(3), frame_rate=Fraction(25), cuts=(50,))
    course, segments = report.course, report.manifest.segments
    assert course is not None
    assert course.edges_s.tolist() == [
        0.0, *(segment.end_frame / 25 for segment in segments)
    ]  # fmt: skip
    assert course.cuts_s.tolist() == [2.0]
    assert course.kbps[1] == pytest.approx(
        segments[1].size_bytes * 8 / 1000 / (segments[1].frames / 25)
    )
    assert report.duration_s == segments[-1].end_frame / 25


def test_segment_without_a_crf_has_that_of_the_settings() -> None:
    bare = tuple(s.model_copy(update={"crf": None}) for s in measured_segments(2))
    course = report_on(segments=bare).course
    assert course is not None
    assert course.crf.tolist() == [28.0, 28.0]


def test_worst_segments_are_those_of_the_lowest_mean_in_order() -> None:
    report = report_on(segments=measured_segments(25))
    means = [s.quality.mean for s in report.manifest.segments if s.quality is not None]
    found = [s.quality.mean for s in report.worst if s.quality is not None]
    assert found == sorted(means)[:PLACES]
    assert report.places == report.worst


def test_histogram_weighs_segments_by_their_frames() -> None:
    report = of_scores([90.0], [95.0])
    first, second = (segment.frames for segment in report.manifest.segments)
    histogram = report.histogram
    assert histogram is not None
    low = histogram.edges[:-1] < 92
    assert float(histogram.shares[low].sum()) == pytest.approx(first / (first + second))


@example([[17.99999999999999, 57.0000000000001]])  # a span just above 39 steps of 1
@given(st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=30), min_size=1, max_size=5))
def test_histogram_holds_every_frame_in_few_even_steps(scores: list[list[float]]) -> None:
    histogram = of_scores(*scores).histogram
    assert histogram is not None
    assert float(histogram.shares.sum()) == pytest.approx(1.0)
    steps = np.diff(histogram.edges)
    assert 1 <= len(steps) <= 41
    assert np.allclose(steps, steps[0])


def test_best_score_begins_no_step_of_its_own() -> None:
    histogram = of_scores([90.0, 100.0], [99.999999999, 100.00000000001]).histogram
    assert histogram is not None
    assert histogram.edges[-1] == pytest.approx(100.0)


def test_estimate_of_one_crf_keeps_everything_beside_the_video() -> None:
    report = report_on()
    beside = report.manifest.output_bytes - report.video_bytes
    assert report.single_crf_bytes == 461_000_000 + beside
    quality = report.manifest.quality
    assert quality is not None
    none = quality.model_copy(update={"single_crf": None})
    assert report_on(quality=none).single_crf_bytes is None
    small = quality.model_copy(update={"single_crf": SingleCrf(crf=30, video_bytes=5)})
    assert report_on(quality=small, output_bytes=9).single_crf_bytes == 5


def test_middle_frame_lies_within_its_segment() -> None:
    for segment in measured_segments(40):
        assert segment.start_frame <= middle_frame(segment) < segment.end_frame
    (one,) = measured_segments(1)
    assert middle_frame(one.model_copy(update={"start_frame": 7, "end_frame": 8})) == 7


def test_film_is_judged_by_the_pool_of_its_target() -> None:
    quality = film_manifest().quality
    assert quality is not None
    film = quality.film
    wanted = {Pool.MEAN: film.mean, Pool.HARMONIC: film.harmonic, Pool.P5: film.p5}
    assert len(set(wanted.values())) == 3
    for pool, score in wanted.items():
        assert report_on(quality=quality.model_copy(update={"pool": pool})).pooled == score
    assert report_on(quality=None).pooled is None
