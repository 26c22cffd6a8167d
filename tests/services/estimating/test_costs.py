"""What trying windows took, and what the film will take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drapto.core.estimate import Window
from drapto.services.estimating.film import Seen
from drapto.services.estimating.prediction import Trial
from drapto.services.estimating.sample import make_sample
from drapto.services.estimating.summing_up import START_CPU_S, Costs
from tests.services.estimating.test_sample import WINDOWS, found, scene, video


def trial(window: Window) -> Trial:
    return Trial(Seen(window, 0), crf=30, size_bytes=9, key_bytes=3, cpu_s=2.0, peak_rss_bytes=7)


def costs(trying_s: float, *, segments: float = 10, is_measured: bool = False) -> Costs:
    seen = found(*(scene(window.start, window.end) for window in WINDOWS))
    sample = replace(make_sample(video(), seen, WINDOWS, None, "auto", 1.0), pre_roll=156)
    trials = [trial(window) for window in WINDOWS]
    return Costs.of(sample, trials, trying_s, segments=segments, is_measured=is_measured)


def test_what_was_decoded_on_the_way_is_part_of_looking_and_not_of_encoding() -> None:
    looked = costs(9.0)
    per_frame = 1.0 / (144 + 156)
    assert looked.detection_s_per_frame == pytest.approx(per_frame)
    assert looked.of_trials == pytest.approx((9.0 - 156 * per_frame - 3 * START_CPU_S) / 6.0)


def test_measuring_reads_and_starts_once_more() -> None:
    assert costs(9.0, is_measured=True).of_trials < costs(9.0).of_trials
    assert costs(9.0, is_measured=True).starts_s == pytest.approx(2 * 10 * START_CPU_S)


def test_what_is_not_counted_never_eats_up_what_is() -> None:
    assert costs(0.5).of_trials == pytest.approx(0.25 / 6.0)
