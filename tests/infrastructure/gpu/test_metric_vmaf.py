"""VMAF in torch against libvmaf: the same scores, however the frames come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from drapto.core.errors import MissingToolError, ResourceError
from drapto.core.quality import Measuring, Metric, Reference
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.gpu import metric_vmaf
from drapto.infrastructure.gpu.metric_vmaf import (
    AGREEING,
    OFF,
    TorchVmaf,
    can_measure,
    trusted_vmaf,
)
from tests.optional import needs_torch, needs_vmaf_torch, torch

pytestmark = [needs_torch, needs_vmaf_torch]

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")

FFMPEG = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
FRAMES = 10
WIDTH, HEIGHT = 438, 242  # halves of these are odd
CLIP = f"mandelbrot=s={WIDTH}x{HEIGHT}:r=24:end_pts=100,trim=end_frame={FRAMES},format=yuv420p"
SPOILT = ["null", "gblur=0.5", "gblur=1.5", "noise=alls=12:all_seed=1", "unsharp=5:5:1.2"]
BLUR = SPOILT[2]
ROUNDING = 0.01

Luma = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(spoil: str = "null") -> Luma:
    graph = f"{CLIP},{spoil},format=yuv420p,extractplanes=y"
    argv = [FFMPEG, "-v", "error", "-lavfi", graph, "-f", "rawvideo", "-"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    return np.frombuffer(bytearray(raw), np.uint8).reshape(FRAMES, HEIGHT, WIDTH)


def by_libvmaf(spoil: str, work: Path) -> list[float]:
    metric, measuring = metric_for(Metric.VMAF), Measuring(model=AGREEING)
    graph = f"{CLIP},split[a][b];[a]{spoil},format=yuv420p[enc];" + metric.graph(
        measuring, encoded="[enc]", original="[b]", frame_rate=Fraction(24), log="log", threads=1
    )
    argv = [FFMPEG, "-v", "error", "-lavfi", graph, "-f", "null", "-"]
    subprocess.run(argv, cwd=work, check=True)
    return metric.scores((work / "log").read_bytes(), measuring)


def vmaf_of(every: int = 1, device: str = "cpu") -> TorchVmaf:
    return TorchVmaf(Measuring(model=AGREEING, every=every), device)


def fed(vmaf: TorchVmaf, encoded: Any, original: Any, *sizes: int) -> list[float]:
    for start, end in pairwise(accumulate(sizes or (FRAMES,), initial=0)):
        vmaf.add(encoded[start:end], original[start:end])
    return vmaf.scores()


@pytest.fixture(scope="module")
def pair() -> tuple[Luma, Luma]:
    return pictures(BLUR), pictures()


@pytest.fixture(scope="module")
def whole(pair: tuple[Luma, Luma]) -> list[float]:
    return fed(vmaf_of(), *pair)


@pytest.mark.parametrize("spoil", SPOILT)
def test_scores_are_those_of_libvmaf(spoil: str, tmp_path: Path) -> None:
    wanted = by_libvmaf(spoil, tmp_path)
    got = fed(vmaf_of(), pictures(spoil), pictures())
    assert np.mean(got) == pytest.approx(np.mean(wanted), abs=OFF)
    assert got == pytest.approx(wanted, abs=3 * OFF)


@pytest.mark.parametrize("sizes", [(1,) * FRAMES, (4, 4, 2), (0, 7, 0, 3)])
@pytest.mark.parametrize("every", [1, 3, 7, 20])
def test_batches_and_steps_change_no_score(
    sizes: tuple[int, ...], every: int, pair: tuple[Luma, Luma], whole: list[float]
) -> None:
    scores = fed(vmaf_of(every), *pair, *sizes)
    assert len(scores) == Measuring(every=every).frames_of(FRAMES)
    assert scores == pytest.approx(whole[::every], abs=ROUNDING)


def test_one_frame_stands_still_and_none_has_no_score(
    pair: tuple[Luma, Luma], whole: list[float]
) -> None:
    assert fed(vmaf_of(), *pair, 1) == pytest.approx(whole[:1], abs=ROUNDING)
    assert fed(vmaf_of(), *pair, 0) == []


def test_tensors_are_taken_where_they_lie_and_left_as_they_were(
    pair: tuple[Luma, Luma], whole: list[float]
) -> None:
    encoded, original = (torch.from_numpy(side) for side in pair)
    before = encoded.clone(), original.clone()
    assert fed(vmaf_of(), encoded, original, 6, 4) == pytest.approx(whole, abs=ROUNDING)
    assert torch.equal(encoded, before[0]) and torch.equal(original, before[1])


def test_a_batch_that_does_not_fit_is_halved(
    pair: tuple[Luma, Luma], whole: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    vmaf, tried = vmaf_of(), []
    room_for(2, vmaf, tried, monkeypatch)
    assert fed(vmaf, *pair) == pytest.approx(whole, abs=ROUNDING)
    assert tried == [10, 5, 2, 3, 1, 2, 5, 2, 3, 1, 2]


def test_where_not_one_frame_fits_it_is_an_error_that_names_the_device(
    pair: tuple[Luma, Luma], monkeypatch: pytest.MonkeyPatch
) -> None:
    vmaf = vmaf_of()
    room_for(0, vmaf, [], monkeypatch)
    with pytest.raises(ResourceError, match="cannot be measured on cpu: its memory is full"):
        fed(vmaf, *pair)


def room_for(
    frames: int, vmaf: TorchVmaf, tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is full cannot be had here."""
    real = vmaf._vmaf.compute_vif_features

    def compute(original: Any, encoded: Any) -> Any:
        tried.append(len(original))
        if len(original) > frames:
            raise torch.OutOfMemoryError("out of memory")
        return real(original, encoded)

    monkeypatch.setattr(vmaf._vmaf, "compute_vif_features", compute)


def test_a_device_that_is_not_there_is_an_error_that_names_it() -> None:
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ResourceError, match=f"cannot be measured on {missing}"):
        vmaf_of(device=missing)


@pytest.mark.parametrize(
    "measuring",
    [
        Measuring(model="vmaf_v0.6.1neg"),
        Measuring(model="vmaf_4k_v0.6.1"),
        Measuring(metric=Metric.XPSNR),
        Measuring(model=AGREEING, reference=Reference.DENOISED),
    ],
)
def test_what_is_not_the_same_in_torch_is_not_measured_there(measuring: Measuring) -> None:
    assert not can_measure(measuring)
    assert can_measure(Measuring(model=AGREEING))


@pytest.mark.parametrize("model", ["vmaf_4k_v0.6.1", ""])
def test_a_model_that_torch_does_not_have_is_refused(model: str) -> None:
    with pytest.raises(ValueError, match="has no model"):
        TorchVmaf(Measuring(model=model), "cpu")


def test_a_device_that_computes_something_else_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stands in for one: here the CPU is all there is."""
    real = TorchVmaf.scores

    def elsewhere(vmaf: TorchVmaf) -> list[float]:
        return [score + off * (vmaf.device == "cpu:0") for score in real(vmaf)]

    monkeypatch.setattr(TorchVmaf, "scores", elsewhere)
    monkeypatch.setattr(metric_vmaf, "_check", metric_vmaf._check.__wrapped__)  # asked before?
    off = 0.5
    with pytest.raises(ResourceError, match="cannot be measured on cpu:0: drawn pictures came to"):
        trusted_vmaf(Measuring(model=AGREEING), "cpu:0")
    off = 0.0
    assert trusted_vmaf(Measuring(model=AGREEING), "cpu:0").scores() == []


def test_pictures_that_cannot_be_compared_are_refused(pair: tuple[Luma, Luma]) -> None:
    encoded, original = pair
    with pytest.raises(ValueError, match="cannot be compared"):
        vmaf_of().add(encoded[:2], original[:3])
    with pytest.raises(ValueError, match="too small"):
        vmaf_of().add(encoded[:, :16], original[:, :16])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vmaf_torch", None)
    with pytest.raises(MissingToolError, match="vmaf_torch is not installed"):
        vmaf_of()


def test_no_score_depends_on_what_torch_was_told_elsewhere(pair: tuple[Luma, Luma]) -> None:
    vmaf, seen = vmaf_of(), []
    real = vmaf._vmaf.compute_motion

    def compute(original: Any) -> Any:
        seen.append((torch.backends.cudnn.allow_tf32, torch.is_inference_mode_enabled()))
        return real(original)

    before = torch.backends.cudnn.allow_tf32
    vmaf._vmaf.compute_motion = compute
    torch.backends.cudnn.allow_tf32 = True
    try:
        fed(vmaf, *pair, 2)
        assert seen == [(False, True)] and torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
