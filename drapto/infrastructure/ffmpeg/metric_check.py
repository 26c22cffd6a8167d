"""Whether an ffmpeg measures what it says: a metric that is wrong is worse than none.

    await check_metric(ffmpeg, metric)   # before anything is decided by its figures

Three tiny generated pictures are compared with themselves and with a blur, and the scores must be
those of a right build. That takes about 0.1 s, and once in a process for each program and model.

Tests: tests/infrastructure/ffmpeg/test_metric_check.py.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

from drapto.core.errors import MissingToolError, ProcessFailedError
from drapto.core.interfaces import QualityMetric
from drapto.core.quality import Measuring, Metric
from drapto.infrastructure.ffmpeg.metrics import IDENTICAL_DB
from drapto.infrastructure.process import run_process

DEADLINE_S = 60.0  # a cold start of the static build from a slow disk

# ffmpeg draws this picture with integers alone. Its width is none of whole blocks: a filter that
# mistakes the padding of lines for pixels gives itself away. Ten bits, as most outputs have.
_SIZE = (292, 152)
_FRAMES = 3
_DRAWN = f"testsrc2=s=300x160:r=25,trim=end_frame={_FRAMES},format=yuv420p10le,split[a][b]"
_CUT = "crop=292:152:4:4"
_LOG = "log"


@dataclass(frozen=True)
class _Right:
    """Means of a right build: imageio-ffmpeg's ffmpeg 9.0.2 with libvmaf 86da14d, x86-64."""

    itself: float
    blurred: float
    tolerance: float  # of another version: rounding, dithering and SIMD differ a little


_RIGHT = {
    (Metric.VMAF, "vmaf_v0.6.1"): _Right(99.14, 72.25, 1.0),
    (Metric.VMAF, "vmaf_v0.6.1neg"): _Right(99.14, 71.50, 1.0),
    (Metric.XPSNR, ""): _Right(IDENTICAL_DB, 32.56, 0.5),
    (Metric.SSIM, ""): _Right(1.0, 0.9580, 0.002),
}

_passed: set[tuple[Path, float, Metric, str]] = set()


async def check_metric(ffmpeg: Path, metric: QualityMetric) -> None:
    """Return if `ffmpeg` computes `metric` as it should; a second call costs nothing.

    Errors: MissingToolError, naming both; ResourceError.
    """
    model = metric.model_for(*_SIZE)
    # A program that was replaced under the same name is another one.
    key = (ffmpeg, _changed(ffmpeg), metric.metric, model)
    if key in _passed:
        return
    right = _RIGHT[metric.metric, model]
    for spoil, wanted in (("null", right.itself), ("gblur=1", right.blurred)):
        score = await _score(ffmpeg, metric, model, spoil)
        if abs(score - wanted) > right.tolerance:
            raise _cannot(
                ffmpeg, metric, f"a generated test picture came to {score:.4g} instead of "
                f"{wanted:.4g}, so its figures mean something else than they should"
            )  # fmt: skip
    _passed.add(key)


async def _score(ffmpeg: Path, metric: QualityMetric, model: str, spoil: str) -> float:
    measuring = Measuring(metric=metric.metric, model=model)
    bring = f"{_CUT},format={metric.pixel_format(10)}"
    compared = metric.graph(
        measuring,
        encoded="[encoded]", original="[original]", frame_rate=Fraction(25), log=_LOG, threads=1,
    )  # fmt: skip
    graph = f"{_DRAWN};[a]{spoil},{bring}[encoded];[b]{bring}[original];{compared}"
    command = [str(ffmpeg), "-nostdin", "-hide_banner", "-v", "error", "-lavfi", graph]
    with tempfile.TemporaryDirectory(prefix="drapto-metric-") as scratch:
        try:
            await run_process(
                [*command, "-f", "null", "-"],
                what=f"Trying {metric.metric.value.upper()}",
                cwd=Path(scratch),
                deadline_s=DEADLINE_S,
            )
            scores = metric.scores((Path(scratch) / _LOG).read_bytes(), measuring)
        except ProcessFailedError as error:
            said = " ".join(error.stderr_tail.split())[-300:].rstrip(".")
            raise _cannot(ffmpeg, metric, said or error.brief.rstrip(".")) from error
        except (OSError, ValueError) as error:
            raise _cannot(ffmpeg, metric, f"what it wrote cannot be read ({error})") from error
    if len(scores) != _FRAMES:
        raise _cannot(ffmpeg, metric, f"of {_FRAMES} test pictures it measured {len(scores)}")
    return fmean(scores)


def _cannot(ffmpeg: Path, metric: QualityMetric, why: str) -> MissingToolError:
    return MissingToolError(
        f"{metric.metric.value.upper()} cannot be measured with {ffmpeg}: {why}.",
        hint="Use the ffmpeg that comes with Drapto (unset DRAPTO_FFMPEG), or another metric.",
    )


def _changed(program: Path) -> float:
    try:
        return program.stat().st_mtime
    except OSError:
        return 0.0  # starting it says why
