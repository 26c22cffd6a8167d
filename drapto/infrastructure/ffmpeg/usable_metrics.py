"""Which metrics an ffmpeg can be trusted with: it must have the filter, and pass a check."""

from __future__ import annotations

from drapto.core.errors import MissingToolError
from drapto.core.interfaces import QualityMetric
from drapto.core.quality import Metric
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary
from drapto.infrastructure.ffmpeg.metric_check import check_metric
from drapto.infrastructure.ffmpeg.metrics import metric_for

_FILTERS = {Metric.VMAF: "libvmaf", Metric.XPSNR: "xpsnr", Metric.SSIM: "ssim"}


class FfmpegMetrics:
    """`core/workshop.py: Metrics` over one ffmpeg program."""

    def __init__(self, binary: FfmpegBinary) -> None:
        self._binary = binary

    async def usable(self, metric: Metric, *, neg: bool = False) -> QualityMetric:
        if _FILTERS[metric] not in self._binary.filters:
            raise MissingToolError(
                f"The program {self._binary.path} cannot measure {metric.value.upper()}: it was "
                f"built without the filter {_FILTERS[metric]}.",
                hint="Unset DRAPTO_FFMPEG to use the one that comes with Drapto, or give a CRF.",
            )
        usable = metric_for(metric, neg=neg)
        await check_metric(self._binary.path, usable)
        return usable
