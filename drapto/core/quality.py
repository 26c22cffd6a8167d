"""The measured quality of frames, small enough to keep for every segment of a film.

SegmentQuality.of_scores([95.1, 94.8, ...])                 # every frame
SegmentQuality.of_scores(scores, weights=[1/3, 1, 1, ...])  # every third, the first counting less
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from drapto.core.media import Value

Floats = npt.NDArray[np.float64]

BINS = 20  # of 5 % of the frames each
_P5 = 0.05


class Metric(StrEnum):
    """How a picture is compared with its original. Higher is better in all of them."""

    VMAF = "vmaf"  # 0 to 100; Netflix, https://github.com/Netflix/vmaf
    XPSNR = "xpsnr"  # dB, luma; Helmrich et al., 'XPSNR', ICASSP 2020
    SSIM = "ssim"  # 0 to 1, luma; Wang et al., 2004

    @property
    def unit(self) -> str:
        """What is written behind a score, with its space."""
        return " dB" if self is Metric.XPSNR else ""


# Where a side has 16 pixels or fewer, libvmaf reads outside of the picture and dies of it.
VMAF_LEAST_SIDE = 17


def can_compare(metric: Metric, width: int, height: int) -> bool:
    """Whether pictures of this size are large enough for the metric."""
    return metric is not Metric.VMAF or min(width, height) >= VMAF_LEAST_SIDE


class Pool(StrEnum):
    """How the scores of all frames become the one number of the film."""

    MEAN = "mean"
    HARMONIC = "harmonic"  # as libvmaf: n / sum(1 / (v + 1)) - 1
    P5 = "p5"  # 95 % of the frames are at least this good


class Reference(StrEnum):
    """What an encode is compared with (docs/film-grain.md)."""

    SOURCE = "source"  # as it was given to the encoder
    DENOISED = "denoised"  # the same after the encoder took the grain off; without grain both


class Measuring(Value):
    """What is to be measured. `model`: libvmaf's name of it, empty for other metrics.

    `every`: one frame of so many, from the first on; odd, because even steps land on the
    well-coded low layers of the encoder's pyramid (docs/target-quality.md).
    """

    metric: Metric = Metric.VMAF
    model: str = ""
    every: int = 1
    reference: Reference = Reference.SOURCE

    def frames_of(self, frames: int) -> int:
        """How many of so many frames are measured."""
        return -(-frames // self.every)

    def weights(self, measured: int) -> list[float]:
        """What each measured frame counts. Frame 0 of an encode is a key frame, better than most,
        and there is one: it stands for itself and not for `every` frames, as the others do.
        """
        return [1 / self.every] + [1.0] * (measured - 1) if measured else []


class SegmentQuality(Value):
    """Scores of a segment. `bins`: mean of the worst 5 % of its frames, of the next 5 %, …"""

    mean: float
    harmonic: float
    p5: float
    minimum: float
    measured: int  # frames
    bins: tuple[float, ...]

    @classmethod
    def of_scores(
        cls, scores: Sequence[float], weights: Sequence[float] | None = None
    ) -> SegmentQuality:
        """Errors: ValueError without scores, or where scores or weights make no sense."""
        values = np.asarray(scores, dtype=np.float64)
        shares = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
        if not len(values) or len(values) != len(shares):
            raise ValueError(f"{len(values)} scores with {len(shares)} weights are no measurement")
        if not np.isfinite(values).all() or (shares <= 0).any():
            raise ValueError("a score is no number, or a weight is not above 0")
        order = np.argsort(values, kind="stable")
        values, shares = values[order], shares[order] / shares.sum()
        return cls(
            mean=float(values @ shares),
            harmonic=pooled(values, shares, Pool.HARMONIC),
            p5=pooled(values, shares, Pool.P5),
            minimum=float(values[0]),
            measured=len(values),
            bins=tuple(_bin_means(values, shares)),
        )


class SingleCrf(Value):
    """An estimate: what one CRF for the whole film would have come to, equally good."""

    crf: float
    video_bytes: int


class FilmQuality(Value):
    """How good the whole film is, and what was asked for."""

    measuring: Measuring
    film: SegmentQuality  # pooled over all measured frames
    video_bytes: int = 0  # of all segments
    target: float | None = None  # None: only measured, not steered
    pool: Pool = Pool.MEAN  # of the target
    reached: bool = True
    extra_frames: int = 0  # encoded more than once
    single_crf: SingleCrf | None = None
    notes: tuple[str, ...] = ()


def film_of(parts: Sequence[tuple[int, SegmentQuality]]) -> SegmentQuality:
    """The quality of a film from (frames, quality) of its segments. Errors: ValueError for none.

    Mean and minimum are exact; harmonic mean and p5 come from the segments' bins.
    """
    scores = [score for _, quality in parts for score in quality.bins]
    weights = [frames / BINS for frames, _ in parts for _ in range(BINS)]
    film = SegmentQuality.of_scores(scores, weights)
    return film.model_copy(
        update={
            "minimum": min(quality.minimum for _, quality in parts),
            "measured": sum(quality.measured for _, quality in parts),
        }
    )


def pooled(values: Floats, weights: Floats, pool: Pool) -> float:
    """One number for weighted scores; weights need not sum to 1."""
    total = float(weights.sum())
    if pool is Pool.MEAN:
        return float(values @ weights) / total
    if pool is Pool.HARMONIC:
        return total / float(np.sum(weights / (np.maximum(values, 0.0) + 1.0))) - 1.0
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    # A score stands for the middle of its share.
    middle = (np.cumsum(weights) - weights / 2) / total
    return float(np.interp(_P5, middle, values))


def _bin_means(values: Floats, shares: Floats) -> list[float]:
    """Means of `BINS` equal shares of ascending values: slopes of the cumulative sum."""
    reached = np.concatenate([[0.0], np.cumsum(shares)])
    summed = np.concatenate([[0.0], np.cumsum(shares * values)])
    at_edges = np.interp(np.linspace(0.0, reached[-1], BINS + 1), reached, summed)
    return [float(mean) for mean in np.diff(at_edges) * BINS]
