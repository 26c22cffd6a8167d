"""`TorchBackend` against `NumpyBackend`, on any picture; and a device without enough memory."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.features import U8, LumaFeatures
from drapto.infrastructure.gpu.features import TorchBackend
from drapto.services.detection.features import NumpyBackend
from tests.media.film import film, shot
from tests.optional import needs_torch, torch

pytestmark = needs_torch

DEVICES = ["cpu", pytest.param("cuda:0", marks=pytest.mark.gpu)]
SCALARS = ("mean", "deviation", "spatial", "temporal", "histogram")


@st.composite
def pictures(draw: st.DrawFn) -> U8:
    """(5, h, w): blurred shapes with a little noise, h even, as fields need it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(2, 60)) * 2, draw(st.integers(8, 200))
    coarse = rng.integers(0, 256, (max(1, height // 8), max(1, width // 8))).astype(np.uint8)
    shapes = cv2.resize(coarse, (width, height)).astype(np.int32)
    noisy = shapes + rng.integers(-9, 10, (5, height, width))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("device", DEVICES)
@given(pictures(), st.integers(0, 1023))
def test_every_number_is_that_of_numpy(device: str, frames: U8, above: int) -> None:
    theirs, ours = NumpyBackend(), TorchBackend(device)
    expected, got = (one.luma(frames[1:], frames[0]) for one in (theirs, ours))
    for name in SCALARS:
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), 1e-5, 1e-6)
    np.testing.assert_array_equal(got.thumbs, expected.thumbs)
    combs = [vars(one.comb(frames[1], frames[0])) for one in (theirs, ours)]
    assert combs[1] == pytest.approx(combs[0], rel=1e-6, abs=1e-9)
    ten_bit = frames[0].astype(np.uint16) * 4 + frames[1] % 4
    for plane, depth in ((frames[0], 8), (ten_bit, 10)):
        expected_noise, noise = theirs.noise(plane, depth), ours.noise(plane, depth)
        assert (noise is None) == (expected_noise is None)
        if noise is not None:
            assert noise == pytest.approx(expected_noise, rel=1e-3)
        for axis in (0, 1):
            lit = [one.lit_cells(plane, above=above, axis=axis) for one in (theirs, ours)]
            np.testing.assert_array_equal(lit[1], lit[0])


def little_memory(numbers: int) -> Any:
    """Torch itself, but for results of more than so many numbers there is no memory. A context;
    `refused`: how often there was none."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class LittleMemory(TorchDispatchMode):
        refused = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            made = func(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor) and made.numel() > numbers:
                self.refused += 1
                raise torch.OutOfMemoryError(
                    "CUDA out of memory. Tried to allocate 20.00 MiB.\nMore."
                )
            return made

    return LittleMemory()


def same(one: LumaFeatures, other: LumaFeatures) -> None:
    for name in (*SCALARS, "thumbs"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_batch_too_big_for_the_device_is_halved() -> None:
    frames = film(shot(1, 9), shot(2, 7))
    said: list[str] = []
    backend = TorchBackend("cpu", on_fallback=said.append)
    with little_memory(frames[0].size * 5) as memory:
        got = backend.luma(frames[1:], frames[0])
    assert memory.refused
    same(got, TorchBackend("cpu").luma(frames[1:], frames[0]))
    assert not said


def test_where_not_one_frame_fits_the_host_goes_on_once_and_for_all() -> None:
    frames = film(shot(1, 9), shot(2, 7))
    said: list[str] = []
    backend, host = (
        TorchBackend("cpu", host=NumpyBackend(), on_fallback=said.append),
        NumpyBackend(),
    )
    with little_memory(frames[0].size - 1):
        got = backend.luma(frames[1:], frames[0])
    assert said == ["CUDA out of memory. Tried to allocate 20.00 MiB."]
    same(got, host.luma(frames[1:], frames[0]))
    with little_memory(0) as memory:
        assert backend.comb(frames[1], frames[0]) == host.comb(frames[1], frames[0])
        same(backend.luma(frames[1:], frames[0]), host.luma(frames[1:], frames[0]))
    assert not memory.refused and len(said) == 1


@pytest.mark.parametrize("work", ["comb", "noise", "lit_cells"])
def test_the_other_numbers_fall_back_too(work: str) -> None:
    plane = shot(1, 2, width=320, height=192)
    said: list[str] = []
    results = []
    for backend in (
        TorchBackend("cpu", host=NumpyBackend(), on_fallback=said.append),
        NumpyBackend(),
    ):
        with little_memory(10):
            if work == "comb":
                results.append(backend.comb(plane[1], plane[0]))
            elif work == "noise":
                results.append(backend.noise(plane[0], 8))
            else:
                results.append(backend.lit_cells(plane[0], above=90, axis=1).tolist())
    assert results[0] == results[1]
    assert len(said) == 1


def test_any_other_failure_of_a_device_is_an_error() -> None:
    """'meta' stands for a device that fails: it holds no numbers, so whatever needs one fails."""
    frames = film(shot(1, 4))
    said: list[str] = []
    backend = TorchBackend("meta", host=NumpyBackend(), on_fallback=said.append)
    with pytest.raises(RuntimeError):
        backend.luma(frames[1:], frames[0])
    with pytest.raises(RuntimeError):
        backend.comb(frames[1], frames[0])
    assert not said


def test_without_a_host_it_is_an_error() -> None:
    frames = film(shot(1, 1))
    with little_memory(10), pytest.raises(torch.OutOfMemoryError):
        TorchBackend("cpu").luma(frames, None)


@pytest.mark.gpu
def test_a_device_that_is_full_gives_the_same_numbers() -> None:
    frames = film(shot(1, 9), shot(2, 7))
    said: list[str] = []
    backend = TorchBackend("cuda:0", host=NumpyBackend(), on_fallback=said.append)
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        got = backend.luma(frames[1:], frames[0])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    same(got, NumpyBackend().luma(frames[1:], frames[0]))
    assert said
