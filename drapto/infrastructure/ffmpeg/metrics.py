"""VMAF, XPSNR and SSIM as ffmpeg filters: arguments out, what the filters wrote in.

    metric = metric_for(Metric.VMAF)
    measuring = Measuring(metric=metric.metric, model=metric.model_for(1920, 1080), every=3)
    graph = f"[1:v]format={metric.pixel_format(10)}[enc];[0:v]format=…[ref];" + metric.graph(
        measuring, encoded="[enc]", original="[ref]", frame_rate=rate, log="log", threads=2
    )
    … run it …
    scores = metric.scores(log_file.read_bytes(), measuring)
    SegmentQuality.of_scores(scores, measuring.weights(len(scores)))

What is measured, and how well it holds: docs/measuring.md. `metric_check.py` proves at run time
that an ffmpeg computes what is expected here.

Contract suite: tests/infrastructure/ffmpeg/test_metrics.py.
"""

from __future__ import annotations

import re
from fractions import Fraction

from drapto.core.interfaces import QualityMetric
from drapto.core.json_text import loads
from drapto.core.quality import Measuring, Metric

MODEL = "vmaf_v0.6.1"
MODEL_4K = "vmaf_4k_v0.6.1"
# 'No enhancement gain': does not reward sharpening and contrast that the source does not have
# (https://github.com/Netflix/vmaf/blob/master/resource/doc/models.md).
_NEG = "neg"
# The 4K model is made for 3840x2160 seen from 1.5 times its height, the other for 1920x1080 from
# 3 times (same page); the border is the middle between both heights and widths.
_4K_WIDTH, _4K_HEIGHT = 2880, 1620

# Identical frames have no finite dB; libvmaf's PSNR ends at the same place (6 * bits + 12,
# libvmaf/src/feature/integer_psnr.c). No frame scores more, so one copy cannot outweigh a scene.
IDENTICAL_DB = 60.0

# As libavfilter's vf_xpsnr.c and vf_ssim.c print them, `inf` included.
_XPSNR_LINE = re.compile(rb"^n: *(\d+)  XPSNR y: (\S+)", re.MULTILINE)
_SSIM_LINE = re.compile(rb"^n:(\d+) Y:(\S+)", re.MULTILINE)


def metric_for(metric: Metric, *, neg: bool = False) -> QualityMetric:
    """`neg` asks for VMAF's NEG model. Errors: ValueError if another metric is to have it."""
    if metric is Metric.VMAF:
        return Vmaf(neg=neg)
    if neg:
        raise ValueError(f"{metric.value} has no NEG model, only VMAF has")
    return Xpsnr() if metric is Metric.XPSNR else Ssim()


class Vmaf:
    """0 to 100. Every n-th frame is libvmaf's own `n_subsample`: motion is still that between
    neighbours.
    """

    metric = Metric.VMAF

    def __init__(self, *, neg: bool = False) -> None:
        self._suffix = _NEG if neg else ""

    def model_for(self, width: int, height: int) -> str:
        large = width >= _4K_WIDTH or height >= _4K_HEIGHT
        return (MODEL_4K if large else MODEL) + self._suffix

    def pixel_format(self, bit_depth: int) -> str:
        """8 bits whatever the source has: the models were trained on such pictures, it takes 0.8
        of the time and gives 0.02 VMAF less. Always, so that two measurements of one film agree.
        """
        return "yuv420p"

    def graph(
        self,
        measuring: Measuring,
        *,
        encoded: str,
        original: str,
        frame_rate: Fraction,
        log: str,
        threads: int,
    ) -> str:
        if not measuring.model:
            raise ValueError("VMAF has to be told its model")
        number = _numbered(frame_rate)
        return (
            f"{encoded}{number}[vmaf_encoded];{original}{number}[vmaf_original];"
            f"[vmaf_encoded][vmaf_original]libvmaf=shortest=1:n_threads={threads}"
            f":n_subsample={measuring.every}:model=version={measuring.model}"
            f":log_fmt=json:log_path={log}"
        )

    def scores(self, log: bytes, measuring: Measuring) -> list[float]:
        try:
            frames = loads(log)["frames"]
            numbered = [(int(frame["frameNum"]), frame["metrics"]["vmaf"]) for frame in frames]
            scores = [float(score) for _number, score in numbered]
        except (LookupError, TypeError, OverflowError) as error:
            raise ValueError(f"libvmaf wrote something else than its log: {error!r}") from error
        _refuse_gaps([number for number, _score in numbered], measuring.every)
        return scores


class Xpsnr:
    """dB of luma, up to IDENTICAL_DB. The weights of a frame come from the original and from how
    it differs from the original frame before it, so every frame is computed, and every n-th kept.
    """

    metric = Metric.XPSNR

    def model_for(self, width: int, height: int) -> str:
        return ""

    def pixel_format(self, bit_depth: int) -> str:
        """8 bits: with more, vf_xpsnr.c reads its second input as if there were nothing between
        the lines, and most decoders put something there (-3 dB was seen instead of 31).
        """
        return "yuv420p"

    def graph(
        self,
        measuring: Measuring,
        *,
        encoded: str,
        original: str,
        frame_rate: Fraction,
        log: str,
        threads: int,
    ) -> str:
        # From 32 frames per second on the filter takes differences of differences (Helmrich et
        # al.), and it asks the stream for its rate: `fps` states it, and drops nothing here.
        number = f"{_numbered(frame_rate)},fps={frame_rate.numerator}/{frame_rate.denominator}"
        return (
            f"{original}{number}[xpsnr_original];{encoded}{number}[xpsnr_encoded];"
            # Its first input is the one that the weights are taken from.
            f"[xpsnr_original][xpsnr_encoded]xpsnr=shortest=1:stats_file={log}"
        )

    def scores(self, log: bytes, measuring: Measuring) -> list[float]:
        all_scores = [min(score, IDENTICAL_DB) for score in _lines(log, _XPSNR_LINE)]
        return all_scores[:: measuring.every]


class Ssim:
    """0 to 1, luma. Every frame is computed: to decode them costs ten times as much."""

    metric = Metric.SSIM

    def model_for(self, width: int, height: int) -> str:
        return ""

    def pixel_format(self, bit_depth: int) -> str:
        return "yuv420p" if bit_depth <= 8 else "yuv420p10le"

    def graph(
        self,
        measuring: Measuring,
        *,
        encoded: str,
        original: str,
        frame_rate: Fraction,
        log: str,
        threads: int,
    ) -> str:
        number = _numbered(frame_rate)
        return (
            f"{encoded}{number}[ssim_encoded];{original}{number}[ssim_original];"
            f"[ssim_encoded][ssim_original]ssim=shortest=1:stats_file={log}"
        )

    def scores(self, log: bytes, measuring: Measuring) -> list[float]:
        return _lines(log, _SSIM_LINE)[:: measuring.every]


def _numbered(frame_rate: Fraction) -> str:
    """Frame n at n / rate seconds: pairs are made by number, whatever the timestamps were.

    Tags of colour go: where those of two inputs differ, ffmpeg converts one side to the other's,
    also from 'unknown' (identical pictures then have an SSIM of 0.97).
    """
    clock = f"settb={frame_rate.denominator}/{frame_rate.numerator},setpts=N"
    return f"{clock},setparams=colorspace=unknown:range=unknown"


def _lines(log: bytes, line: re.Pattern[bytes]) -> list[float]:
    found = line.findall(log)
    _refuse_gaps([int(number) - 1 for number, _score in found], 1)
    scores = [float(score) for _number, score in found]
    if any(score != score for score in scores):
        raise ValueError("a score is no number")
    return scores


def _refuse_gaps(numbers: list[int], every: int) -> None:
    """Scores are told apart by their place alone from here on."""
    if numbers != list(range(0, len(numbers) * every, every)):
        raise ValueError(f"the log does not hold every frame that is a multiple of {every}")
