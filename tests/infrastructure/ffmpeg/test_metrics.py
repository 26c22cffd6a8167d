"""Contract suite of QualityMetric: every metric, in real ffmpeg, on tiny clips."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path

import imageio_ffmpeg
import pytest

from drapto.core.interfaces import QualityMetric
from drapto.core.quality import Measuring, Metric, SegmentQuality
from drapto.infrastructure.ffmpeg.metrics import IDENTICAL_DB, metric_for

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FRAMES = 10
MOST = {Metric.VMAF: 100.0, Metric.XPSNR: IDENTICAL_DB, Metric.SSIM: 1.0}
METRICS = [
    pytest.param(metric_for(Metric.VMAF), id="vmaf"),
    pytest.param(metric_for(Metric.VMAF, neg=True), id="vmaf-neg"),
    pytest.param(metric_for(Metric.XPSNR), id="xpsnr"),
    pytest.param(metric_for(Metric.SSIM), id="ssim"),
]
every_metric = pytest.mark.parametrize("metric", METRICS)

# Odd sizes of lines, so that decoders put something between them, and much motion.
CLIP = f"mandelbrot=s=300x160:r=24:end_pts=100,trim=end_frame={FRAMES}"


def measured(
    metric: QualityMetric,
    work: Path,
    spoil: str = "null",
    *,
    bits: int = 8,
    every: int = 1,
    clip: str = CLIP,
    frame_rate: Fraction = Fraction(24),
) -> list[float]:
    """Scores of `clip` after the filters `spoil`, in pictures of `bits` bits."""
    measuring = Measuring(metric=metric.metric, model=metric.model_for(300, 160), every=every)
    made = "yuv420p" if bits == 8 else "yuv420p10le"
    bring = f"crop=292:152:4:4,format={metric.pixel_format(bits)}"
    graph = (
        f"{clip},format={made},split[a][b];[a]{spoil},{bring}[enc];[b]{bring}[ref];"
        + metric.graph(
            measuring,
            encoded="[enc]", original="[ref]", frame_rate=frame_rate, log="log", threads=1,
        )
    )  # fmt: skip
    argv = [FFMPEG, "-nostdin", "-v", "error", "-lavfi", graph, "-f", "null", "-"]
    (work / "log").unlink(missing_ok=True)
    done = subprocess.run(argv, cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return metric.scores((work / "log").read_bytes(), measuring)


def mean(scores: list[float]) -> float:
    return sum(scores) / len(scores)


@every_metric
@pytest.mark.parametrize("bits", [8, 10])
def test_identical_pictures_score_the_most_there_is(
    metric: QualityMetric, bits: int, tmp_path: Path
) -> None:
    scores = measured(metric, tmp_path, bits=bits)
    assert len(scores) == FRAMES
    # VMAF is a regression, which does not end at its maximum; the first frame has no motion.
    slack = 4.0 if metric.metric is Metric.VMAF else 0.0
    assert all(MOST[metric.metric] - slack <= score <= MOST[metric.metric] for score in scores)


@every_metric
@pytest.mark.parametrize("bits", [8, 10])
def test_every_frame_scores_less_the_more_it_is_blurred(
    metric: QualityMetric, bits: int, tmp_path: Path
) -> None:
    blurs = ("null", "gblur=0.7", "gblur=1.5", "gblur=4")
    runs = [measured(metric, tmp_path, blur, bits=bits) for blur in blurs]
    for better, worse in pairwise(runs):
        assert all(a > b for a, b in zip(better, worse, strict=True))


@every_metric
def test_bit_depths_agree(metric: QualityMetric, tmp_path: Path) -> None:
    eight, ten = (mean(measured(metric, tmp_path, "gblur=1", bits=bits)) for bits in (8, 10))
    assert ten == pytest.approx(eight, rel=0.005)


@every_metric
@pytest.mark.parametrize("every", [2, 3, 7, 20])
def test_one_of_so_many_frames_is_measured_from_the_first_on(
    metric: QualityMetric, every: int, tmp_path: Path
) -> None:
    whole = measured(metric, tmp_path, "gblur=1,hue=b='n/20'")
    some = measured(metric, tmp_path, "gblur=1,hue=b='n/20'", every=every)
    assert len(some) == ceil(FRAMES / every)
    assert some == pytest.approx(whole[::every], rel=0.05)
    measuring = Measuring(metric=metric.metric, every=every)
    assert len(some) == measuring.frames_of(FRAMES)
    assert len(measuring.weights(len(some))) == len(some)


@every_metric
@pytest.mark.parametrize("rate", ["24", "60000/1001"])
def test_frames_are_paired_by_number_whatever_their_times(
    metric: QualityMetric, rate: str, tmp_path: Path
) -> None:
    straight = measured(metric, tmp_path, "gblur=1", frame_rate=Fraction(rate))
    moved = measured(
        metric, tmp_path, "gblur=1,setpts='N*N+77'", frame_rate=Fraction(rate)
    )  # fmt: skip
    assert moved == straight


@every_metric
@pytest.mark.parametrize("tags", ["colorspace=bt709", "colorspace=bt2020nc:range=tv", "range=pc"])
def test_tags_of_colour_change_no_score(metric: QualityMetric, tags: str, tmp_path: Path) -> None:
    """ffmpeg would convert one side to the tags of the other, without a word."""
    for said in (f"gblur=1,setparams={tags}", f"setparams={tags},gblur=1"):
        assert measured(metric, tmp_path, said) == measured(metric, tmp_path, "gblur=1")


@every_metric
def test_another_frame_is_seen(metric: QualityMetric, tmp_path: Path) -> None:
    late = measured(metric, tmp_path, "tpad=start=1:start_mode=clone")
    assert len(late) == FRAMES
    assert max(late[2:]) < min(measured(metric, tmp_path, "gblur=0.5"))


def test_the_weights_of_xpsnr_come_from_the_original(tmp_path: Path) -> None:
    """An error in a busy part counts less than one in a smooth part; blurring the encode away
    must not turn busy parts into smooth ones. Value: xpsnr with the original as its first input.
    """
    spoilt = measured(
        metric_for(Metric.XPSNR), tmp_path, "gblur=1", clip="testsrc2=s=300x160:d=0.4"
    )
    other_way = "[b][a]xpsnr=stats_file=log:shortest=1"
    graph = (
        "testsrc2=s=300x160:d=0.4,format=yuv420p,split[x][y];[x]gblur=1,crop=292:152:4:4[a];"
        f"[y]crop=292:152:4:4[b];{other_way}"
    )
    argv = [FFMPEG, "-nostdin", "-v", "error", "-lavfi", graph, "-f", "null", "-"]
    subprocess.run(argv, cwd=tmp_path, check=True)
    metric = metric_for(Metric.XPSNR)
    right = metric.scores((tmp_path / "log").read_bytes(), Measuring(metric=Metric.XPSNR))
    assert spoilt == right


def test_fast_films_are_weighed_by_how_motion_changes(tmp_path: Path) -> None:
    metric = metric_for(Metric.XPSNR)
    slow = measured(metric, tmp_path, "gblur=1", frame_rate=Fraction(25))
    fast = measured(metric, tmp_path, "gblur=1", frame_rate=Fraction(50))
    assert len(slow) == len(fast) and mean(fast) != pytest.approx(mean(slow), abs=0.1)


@pytest.mark.parametrize(
    ("width", "height", "model"),
    [(1920, 1080, "vmaf_v0.6.1"), (2560, 1440, "vmaf_v0.6.1"), (3840, 1600, "vmaf_4k_v0.6.1"),
     (2160, 2160, "vmaf_4k_v0.6.1")],
)  # fmt: skip
def test_the_model_goes_by_the_size_of_the_picture(width: int, height: int, model: str) -> None:
    assert metric_for(Metric.VMAF).model_for(width, height) == model
    assert metric_for(Metric.VMAF, neg=True).model_for(width, height) == model + "neg"
    assert metric_for(Metric.SSIM).model_for(width, height) == ""


def test_sharpening_pays_less_with_the_neg_model(tmp_path: Path) -> None:
    sharpen = "gblur=0.6,unsharp=5:5:1.2"
    plain = mean(measured(metric_for(Metric.VMAF), tmp_path, sharpen))
    assert mean(measured(metric_for(Metric.VMAF, neg=True), tmp_path, sharpen)) < plain - 1


@pytest.mark.parametrize("metric", [Metric.XPSNR, Metric.SSIM])
def test_only_vmaf_has_a_neg_model(metric: Metric) -> None:
    with pytest.raises(ValueError, match="only VMAF"):
        metric_for(metric, neg=True)


XPSNR_LOG = b"""n:    1  XPSNR y: inf  XPSNR u: inf  XPSNR v: inf
n:    2  XPSNR y: 24.6671  XPSNR u: 23.0382  XPSNR v: 16.6736
n:    3  XPSNR y: 101.2000  XPSNR u: 22.9391  XPSNR v: 16.7018

XPSNR average, 3 frames  y: 25.1248  u: 23.1375  v: 17.4337  (minimum: 17.4337)
"""


def test_infinite_decibels_become_the_named_most() -> None:
    metric = metric_for(Metric.XPSNR)
    scores = metric.scores(XPSNR_LOG, Measuring(metric=Metric.XPSNR))
    assert scores == [IDENTICAL_DB, 24.6671, IDENTICAL_DB]
    SegmentQuality.of_scores(scores)


@pytest.mark.parametrize(
    ("metric", "log"),
    [
        (Metric.XPSNR, XPSNR_LOG.replace(b"n:    2", b"n:    9")),
        (Metric.XPSNR, XPSNR_LOG.replace(b"24.6671", b"nan")),
        (Metric.XPSNR, XPSNR_LOG.replace(b"24.6671", b"x")),
        (Metric.SSIM, b"n:2 Y:0.9 U:0.9 V:0.9 All:0.9 (9.8)\n"),
        (Metric.VMAF, b'{"frames": [{"frameNum": 0}]}'),
        (Metric.VMAF, b'{"frames": [{"frameNum": 1, "metrics": {"vmaf": 3}}]}'),
        (Metric.VMAF, b'{"fra'),
        (Metric.VMAF, b"[]"),
    ],
)  # fmt: skip
def test_a_log_with_a_gap_or_nonsense_is_refused(metric: Metric, log: bytes) -> None:
    measuring = Measuring(metric=metric, model="vmaf_v0.6.1")
    with pytest.raises(ValueError):
        metric_for(metric).scores(log, measuring)


def test_a_sampled_key_frame_stands_for_itself_alone() -> None:
    assert Measuring(every=3).weights(4) == [1 / 3, 1, 1, 1]
    assert Measuring(every=1).weights(3) == [1, 1, 1]
    assert Measuring(every=3).weights(0) == []
