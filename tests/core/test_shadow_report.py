"""The report's figures: nothing is counted otherwise than judging counts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.flag_policy import GatePolicy
from drapto.core.judging import tally
from drapto.core.noise import noise_levels, without_noise
from drapto.core.routing import RoutedStage
from drapto.core.shadow_report import COURSE_POINTS, course, ratio_report, tally_of
from tests.comparison_history import filled_store, history

GATE = GatePolicy(looks=(20, 50, 100, 400))


@pytest.mark.parametrize("stage", RoutedStage)
async def test_tally_of_the_figures_is_that_of_the_comparisons_without_noise(
    tmp_path: Path, stage: RoutedStage
) -> None:
    comparisons = [c for c in history() if c.stage is stage]
    levels = noise_levels(comparisons)
    expected = tally([without_noise(c, levels) for c in comparisons], GATE)
    figures = await filled_store(tmp_path, comparisons).figures(stage, "1")
    found = tally_of(figures, GATE)
    assert found.total.counted > 100
    assert (found.total, found.looks, found.strata, found.aa, found.critical) == (
        expected.total, expected.looks, expected.strata, expected.aa, expected.critical,
    )  # fmt: skip
    agreements = figures.agreements
    assert (len(agreements), sum(agreements)) == (found.total.counted, found.total.agreed)


def test_course_ends_at_the_present_and_stays_short() -> None:
    agreements = [number % 10 != 0 for number in range(5000)]
    points = course(agreements, [float(number) for number in range(5000)])
    assert len(points) <= COURSE_POINTS
    assert (points[0].counted, points[0].agreed) == (1, 0)
    assert (points[-1].counted, points[-1].agreed) == (5000, 4500)
    assert points[-1].at.timestamp() == 4999
    assert all(p.lower_95 <= p.agreed / p.counted <= p.upper_95 for p in points)
    assert course([], []) == ()


def test_distribution_counts_every_run_once_in_the_bins_of_both() -> None:
    new = [1 + number / 1000 for number in range(1000)] + [50.0]  # one far away
    report = ratio_report(new, [0.9, 1.0])
    assert sum(report.new.counts) == report.new.runs == 1001
    assert sum(report.aa.counts) == report.aa.runs == 2
    assert report.new.edges == report.aa.edges
    assert report.new.max == 50.0
    assert report.new.edges[-1] < 2.1  # the far one does not squeeze the others into one bin
    assert report.new.median == pytest.approx(1.5)


def test_distribution_of_equal_numbers_has_a_width() -> None:
    found = ratio_report([1.0] * 5, []).new
    assert sum(found.counts) == 5
    assert found.edges[0] < 1.0 < found.edges[-1]
    assert ratio_report([], []).new.runs == 0
