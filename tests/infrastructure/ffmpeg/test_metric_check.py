"""The self-test of a metric: a right build passes, a wrong one is refused with its reason."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import imageio_ffmpeg
import pytest

from drapto.core.errors import MissingToolError
from drapto.core.interfaces import QualityMetric
from drapto.infrastructure.ffmpeg.metric_check import check_metric
from drapto.infrastructure.ffmpeg.metrics import Ssim, Vmaf, Xpsnr

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
METRICS = [Vmaf(), Vmaf(neg=True), Xpsnr(), Ssim()]


def rewriting(folder: Path, old: str, new: str) -> Path:
    """ffmpeg with one word of its arguments changed: a build that computes something else."""
    program = folder / "other-ffmpeg"
    code = (
        f"#!{sys.executable}\nimport os, sys\n"
        f"with open({str(folder / 'runs')!r}, 'a') as runs: runs.write('.')\n"
        f"args = [a.replace({old!r}, {new!r}) for a in sys.argv[1:]]\n"
        f"os.execv({str(FFMPEG)!r}, ['ffmpeg', *args])\n"
    )
    program.write_text(code)
    program.chmod(0o755)
    return program


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text())


@pytest.mark.parametrize("metric", METRICS)
async def test_the_bundled_ffmpeg_measures_right_and_quickly(metric: QualityMetric) -> None:
    await check_metric(FFMPEG, metric)
    started = time.monotonic()
    await check_metric(FFMPEG, metric)
    assert time.monotonic() - started < 0.02


async def test_the_result_is_remembered_for_each_program_and_model(tmp_path: Path) -> None:
    program = rewriting(tmp_path, "nothing", "nothing")
    await check_metric(program, Vmaf())
    first = runs(tmp_path)
    await check_metric(program, Vmaf())
    assert runs(tmp_path) == first
    await check_metric(program, Vmaf(neg=True))
    assert runs(tmp_path) == 2 * first


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("gblur=1", "gblur=0.7", id="scores too much"),
        pytest.param("]null", "]gblur=0.5", id="does not know a copy"),
        pytest.param("end_frame=3", "end_frame=2", id="loses a frame"),
    ],
)
async def test_a_build_that_measures_something_else_is_refused(
    metric: QualityMetric, old: str, new: str, tmp_path: Path
) -> None:
    program = rewriting(tmp_path, old, new)
    with pytest.raises(MissingToolError) as refused:
        await check_metric(program, metric)
    assert metric.metric.value.upper() in refused.value.message
    assert str(program) in refused.value.message
    assert "DRAPTO_FFMPEG" in refused.value.hint and refused.value.exit_code == 4


async def test_xpsnr_of_ten_bits_or_of_swapped_sides_would_be_caught(tmp_path: Path) -> None:
    class TenBit(Xpsnr):
        def pixel_format(self, bit_depth: int) -> str:
            return "yuv420p10le"

    class OriginalSecond(Xpsnr):
        def graph(self, *arguments: object, **named: object) -> str:
            named["encoded"], named["original"] = named["original"], named["encoded"]
            return super().graph(*arguments, **named)  # type: ignore[arg-type]

    for wrong in (TenBit(), OriginalSecond()):
        program = rewriting(tmp_path, "nothing", "nothing")  # not the one that has passed
        with pytest.raises(MissingToolError, match="instead of"):
            await check_metric(program, wrong)


async def test_a_filter_that_is_not_there_is_named(tmp_path: Path) -> None:
    program = rewriting(tmp_path, "libvmaf=", "nobodysfilter=")
    with pytest.raises(MissingToolError, match=r"VMAF cannot be measured with .*nobodysfilter"):
        await check_metric(program, Vmaf())
    with pytest.raises(MissingToolError, match="cannot be started"):
        await check_metric(tmp_path / "nothing", Vmaf())


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no other ffmpeg here")
async def test_another_ffmpeg_passes_or_is_refused_for_a_reason() -> None:
    other = Path(shutil.which("ffmpeg") or "")
    await check_metric(other, Ssim())
    try:
        await check_metric(other, Vmaf())
    except MissingToolError as error:
        assert "No such filter: 'libvmaf'" in error.message or "instead of" in error.message
