"""VMAF on a real device: the scores of torch on the CPU, which others hold together with libvmaf.

Nothing here needs the ffmpeg program: these tests are carried to machines that have none.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.device import Device
from drapto.core.interfaces import LumaReader
from drapto.core.quality import Measuring
from drapto.infrastructure.ffmpeg.footage import Footage
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.gpu.luma import DeviceLumaReader
from drapto.infrastructure.gpu.metric_decoded import are_plain, decoded_scores
from drapto.infrastructure.gpu.metric_vmaf import AGREEING, TorchVmaf, trusted_vmaf
from tests.media.film import Planes, film, shot, source_of, with_noise, write_film
from tests.optional import needs_torch, needs_vmaf_torch, torch

pytestmark = [needs_torch, needs_vmaf_torch]


CUDA = "cuda:0"
SIZE = {"width": 640, "height": 360}
CLOSE = 0.02  # of float32 summed up in another order; TF32 is further off


def measuring(every: int = 1) -> Measuring:
    return Measuring(model=AGREEING, every=every)


def pictures() -> tuple[Planes, Planes]:
    """Encoded and original."""
    original = film(shot(1, 6, **SIZE), shot(2, 6, **SIZE, step=(3, 1)))
    return with_noise(original // 4 * 4, 2.0), original


@pytest.fixture(scope="module")
def pair() -> tuple[Planes, Planes]:
    return pictures()


@pytest.mark.gpu
@pytest.mark.parametrize("every", [1, 3])
def test_a_device_gives_the_scores_of_the_cpu(every: int, pair: tuple[Planes, Planes]) -> None:
    on_cpu, on_device = TorchVmaf(measuring(every), "cpu"), trusted_vmaf(measuring(every), CUDA)
    encoded, original = pair
    on_cpu.add(encoded, original)
    for start in range(0, len(original), 5):
        on_device.add(encoded[start : start + 5], original[start : start + 5])
    assert on_device.scores() == pytest.approx(on_cpu.scores(), abs=CLOSE)


@pytest.mark.gpu
def test_nothing_comes_back_from_a_device_before_the_scores(pair: tuple[Planes, Planes]) -> None:
    encoded, original = (torch.from_numpy(side).to(CUDA) for side in pair)
    vmaf = trusted_vmaf(measuring(), CUDA)
    torch.cuda.set_sync_debug_mode("error")
    try:
        vmaf.add(encoded[:7], original[:7])
        vmaf.add(encoded[7:], original[7:])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(vmaf.scores()) == len(original)


async def decoded(reader: LumaReader, device: str, encoded: Path, original: Path) -> list[float]:
    sides = Footage.of(source_of(encoded)), Footage.of(source_of(original))
    assert are_plain(*sides)
    vmaf = TorchVmaf(measuring(), device)
    return await decoded_scores(vmaf, reader, *sides, lambda _frames: None)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [("libx264", "yuv420p"), ("libx265", "yuv420p10le"), ("libsvtav1", "yuv420p10le")],
)
async def test_frames_of_the_engine_have_the_scores_of_those_of_the_cpu(
    codec: str, pixel_format: str, tmp_path: Path
) -> None:
    _encoded, planes = pictures()
    original = write_film(tmp_path / "a.mkv", planes, codec="libx264", options={"qp": "10"})
    encoded = write_film(tmp_path / "b.mkv", planes, codec=codec, pixel_format=pixel_format)
    said: list[str] = []
    engine = DeviceLumaReader(Device(name=CUDA, why="a test"), on_fallback=said.append)
    wanted = await decoded(PyAvLumaReader(), "cpu", encoded, original)
    got = await decoded(engine, CUDA, encoded, original)
    assert got == pytest.approx(wanted, abs=CLOSE)
    assert not said, "the engine decodes both"


async def test_a_reader_without_an_engine_gives_the_same_frames(tmp_path: Path) -> None:
    """What every machine can show of the test above."""
    planes = film(shot(1, 12))
    original = write_film(tmp_path / "a.mkv", planes, codec="libx264", options={"qp": "10"})
    encoded = write_film(tmp_path / "b.mkv", planes, codec="libx265", pixel_format="yuv420p10le")
    said: list[str] = []
    missing = DeviceLumaReader(Device(name="cuda:99", why="a test"), on_fallback=said.append)
    wanted = await decoded(PyAvLumaReader(), "cpu", encoded, original)
    assert await decoded(missing, "cpu", encoded, original) == wanted
    assert len(said) == 2 and len(wanted) == 12
