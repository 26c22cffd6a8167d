from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drapto.services.encoding.target_quality import SegmentQuality


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_figures_are_those_of_the_scores(scores):
    quality = SegmentQuality.of_scores(scores)

    assert quality.mean == pytest.approx(np.mean(scores))
    assert quality.harmonic == pytest.approx(len(scores) / np.sum(1 / (np.array(scores) + 1)) - 1)
    assert quality.minimum == min(scores)
    assert min(scores) <= quality.p5 <= max(scores)
    assert np.mean(quality.bins) == pytest.approx(quality.mean)
    assert np.diff(quality.bins).min() > -1e-9


def test_p5_has_five_percent_of_the_frames_below_it():
    assert SegmentQuality.of_scores([float(score) for score in range(100)]).p5 == pytest.approx(4.5)


def test_weights_count_like_repeated_frames():
    weighted = SegmentQuality.of_scores([90.0, 96.0], weights=[1, 3])

    assert weighted.mean == pytest.approx(94.5)
    assert weighted.measured == 2


@pytest.mark.parametrize(
    ("scores", "weights"), [([], None), ([1.0], [1, 1]), ([float("nan")], None), ([1.0], [0])]
)
def test_what_is_no_measurement_is_refused(scores, weights):
    with pytest.raises(ValueError):
        SegmentQuality.of_scores(scores, weights)
