"""What a verification says of its figures, and which frames it names."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from drapto.core.media import ColorInfo, FrameIndex
from drapto.core.quality import Metric
from drapto.core.verification import (
    VerifyOptions,
    notes_on,
    suited_metric,
    worst_moments,
)

SDR = ColorInfo(transfer="bt709")
UNTAGGED = ColorInfo()
PQ = ColorInfo(transfer="smpte2084")
HLG = ColorInfo(transfer="arib-std-b67")


def index(frames: int, fps: int = 24, first: int = 0) -> FrameIndex:
    return FrameIndex(
        time_base=Fraction(1, fps),
        pts=np.arange(first, first + frames, dtype=np.int64),
        duration=np.ones(frames, dtype=np.int64),
        key=np.ones(frames, dtype=np.bool_),
    )


def test_the_worst_moments_are_a_second_apart_and_the_worst_comes_first() -> None:
    scores = [90.0] * 240
    scores[100:110] = [50, 49, 48, 47, 46, 45, 46, 47, 48, 49]  # one bad moment
    scores[200] = 20.0
    found = worst_moments(scores, 1, index(240))
    assert [(m.frame, m.score) for m in found[:2]] == [(200, 20.0), (105, 45.0)]
    times = sorted(m.time_s for m in found)
    assert len(found) == 5
    assert all(b - a >= 1 for a, b in itertools.pairwise(times))


def test_a_sampled_frame_keeps_its_number_and_its_own_time() -> None:
    (worst,) = worst_moments([90.0, 30.0, 80.0], 3, index(7, fps=24, first=48))
    assert (worst.frame, worst.time_s) == (3, pytest.approx(51 / 24))


@pytest.mark.parametrize(
    ("source", "output", "metric"),
    [
        (SDR, SDR, Metric.VMAF),
        (UNTAGGED, SDR, Metric.VMAF),
        (PQ, PQ, Metric.XPSNR),
        (HLG, HLG, Metric.XPSNR),
        (PQ, UNTAGGED, Metric.XPSNR),
        (SDR, PQ, Metric.XPSNR),
    ],
)
def test_vmaf_is_for_sdr_alone(source: ColorInfo, output: ColorInfo, metric: Metric) -> None:
    assert suited_metric(source, output) is metric


def test_what_a_figure_cannot_say_is_said_beside_it() -> None:
    assert notes_on(Metric.VMAF, SDR, SDR) == notes_on(Metric.SSIM, UNTAGGED, SDR) == ()
    (note,) = notes_on(Metric.VMAF, PQ, PQ)
    assert "no model for hdr10" in note
    (note,) = notes_on(Metric.XPSNR, HLG, HLG)
    assert "hlg" in note and "coded signal" in note
    full = ColorInfo(matrix="bt709", range="pc")
    (note,) = notes_on(Metric.VMAF, full, ColorInfo(matrix="bt709", range="tv"))
    assert "range of the source is pc and that of the output tv" in note
    assert notes_on(Metric.VMAF, full, UNTAGGED) == ()
    assert any("smpte2084 and the output with bt709" in n for n in notes_on(Metric.XPSNR, PQ, SDR))


def test_only_vmaf_gains_by_leaving_frames_out() -> None:
    assert [VerifyOptions().every_for(metric) for metric in Metric] == [3, 1, 1]
    assert VerifyOptions(every_frame=True).every_for(Metric.VMAF) == 1
