"""The contract of `FeatureBackend`: every backend gives these numbers, within the tolerances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from drapto.core.features import FeatureBackend, LumaFeatures
from drapto.services.detection.features import NumpyBackend
from tests.media.film import blank, film, interlaced, shot, with_noise


def on_torch(device: str) -> FeatureBackend:
    pytest.importorskip("torch", reason="needs drapto[gpu]")
    from drapto.infrastructure.gpu.features import TorchBackend

    return TorchBackend(device)


BACKENDS: list[Callable[[], FeatureBackend]] = [
    NumpyBackend,
    pytest.param(lambda: on_torch("cpu"), id="torch-cpu"),
    pytest.param(lambda: on_torch("cuda:0"), id="torch-cuda", marks=pytest.mark.gpu),
]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> FeatureBackend:
    made: FeatureBackend = request.param()
    return made


def test_statistics_are_those_of_the_pixels(backend: FeatureBackend) -> None:
    planes = film(shot(1, 3), shot(2, 2))
    got = backend.luma(planes, None)
    assert len(got) == 5
    exact = planes.astype(np.float64)
    np.testing.assert_allclose(got.mean, exact.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(got.deviation, exact.std((1, 2)), rtol=1e-3)
    across = np.abs(np.diff(exact, axis=2)).sum((1, 2))
    down = np.abs(np.diff(exact, axis=1)).sum((1, 2))
    np.testing.assert_allclose(got.spatial, (across + down) / planes[0].size, rtol=1e-4)
    change = np.abs(np.diff(exact, axis=0)).mean((1, 2))
    np.testing.assert_allclose(got.temporal, [0, *change], rtol=1e-4, atol=1e-6)


def test_histogram_counts_every_pixel_in_its_bin(backend: FeatureBackend) -> None:
    plane = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    got = backend.luma(plane, None)
    np.testing.assert_allclose(got.histogram, np.full((1, 32), 1 / 32), rtol=1e-6)
    assert got.dark_share(32)[0] == pytest.approx(32 / 256)


def test_a_film_gives_the_same_features_in_one_batch_and_in_many(backend: FeatureBackend) -> None:
    planes = film(shot(1, 5), shot(2, 4))
    whole = backend.luma(planes, None)
    parts = [backend.luma(planes[:4], None), backend.luma(planes[4:], planes[3])]
    for name in ("mean", "deviation", "spatial", "temporal", "histogram", "thumbs"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (32, 32), (135, 240), (9, 400), (400, 9)])
def test_thumbnails_are_small_and_keep_the_mean(
    backend: FeatureBackend, size: tuple[int, int]
) -> None:
    rows, columns = np.indices(size)
    plane = (60 + rows % 7 * 9 + columns % 11 * 5).astype(np.uint8)[None]
    got = backend.luma(plane, None)
    height, width = got.thumbs.shape[1:]
    assert (height <= 40 and width <= 64) or min(height, width) < 4
    assert float(got.thumbs.mean()) == pytest.approx(float(plane.mean()), abs=4)


def test_features_cannot_be_changed(backend: FeatureBackend) -> None:
    got: LumaFeatures = backend.luma(shot(1, 2), None)
    with pytest.raises(ValueError, match="read-only"):
        got.mean[0] = 1


def test_comb_tells_which_fields_weave(backend: FeatureBackend) -> None:
    moving = shot(3, 8, step=(4, 0))
    progressive = backend.comb(moving[1], moving[0])
    assert progressive.own * 1.2 < min(progressive.top_first, progressive.bottom_first)
    fields = interlaced(moving)
    top_first = backend.comb(fields[1], fields[0])
    assert top_first.top_first * 1.2 < top_first.bottom_first
    same = backend.comb(moving[0], moving[0])
    assert same.own == pytest.approx(same.top_first)
    assert same.top_change == same.bottom_change == 0


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("ground", ["flat", "picture"])
def test_noise_is_measured_within_a_tenth(
    backend: FeatureBackend, sigma: float, ground: str
) -> None:
    flat, picture = blank(1, 120, width=320, height=192), shot(1, 1, width=320, height=192)
    clean = flat if ground == "flat" else picture
    got = backend.noise(with_noise(clean, sigma)[0], 8)
    assert got == pytest.approx(sigma, rel=0.1, abs=0.15)


def test_noise_of_10_bit_planes_is_told_in_8_bit_codes(backend: FeatureBackend) -> None:
    rng = np.random.default_rng(2)
    plane = (480 + rng.normal(0, 12, (192, 320))).astype(np.uint16)
    assert backend.noise(plane, 10) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("value", [16, 235])
def test_noise_of_black_or_white_is_unknown(backend: FeatureBackend, value: int) -> None:
    assert backend.noise(blank(1, value)[0], 8) is None


def test_noise_of_a_picture_smaller_than_a_block_is_unknown(backend: FeatureBackend) -> None:
    assert backend.noise(shot(1, 1)[0][:10, :10], 8) is None


def test_lit_cells_keep_full_resolution_across_their_length(backend: FeatureBackend) -> None:
    strip = np.full((12, 40), 16, np.uint8)
    strip[7, 16:24] = 200
    lit = backend.lit_cells(strip, above=24, axis=1)
    assert lit.shape == (12, 5)
    assert np.argwhere(lit).tolist() == [[7, 2]]
    turned = backend.lit_cells(np.ascontiguousarray(strip.T), above=24, axis=0)
    assert np.argwhere(turned).tolist() == [[2, 7]]


@pytest.mark.parametrize(("length", "lit"), [(20, [16, 20]), (41, [32, 41]), (7, [0, 7])])
def test_pixels_left_over_make_a_last_shorter_cell(
    backend: FeatureBackend, length: int, lit: list[int]
) -> None:
    strip = np.full((4, length), 16, np.uint8)
    strip[1, -4:] = 200  # of 41 pixels the last is a cell of its own, the others before it
    cells = backend.lit_cells(strip, above=24, axis=1)
    assert cells.shape == (4, -(-length // 8))
    shown = np.flatnonzero(cells.any(0)) * 8
    assert [shown[0], min(length, shown[-1] + 8)] == lit
    assert cells.any(1).tolist() == [False, True, False, False]
    turned = backend.lit_cells(np.ascontiguousarray(strip.T), above=24, axis=0)
    np.testing.assert_array_equal(turned, cells.T)


def test_lit_cells_average_noise_away(backend: FeatureBackend) -> None:
    noisy = with_noise(blank(1, 16), 5)[0]
    assert (noisy > 24).any()
    assert not backend.lit_cells(noisy, above=24, axis=1).any()


def test_lit_cells_of_16_bit_planes_compare_in_their_own_codes(backend: FeatureBackend) -> None:
    strip = np.full((4, 16), 64, np.uint16)
    strip[2] = 110
    assert backend.lit_cells(strip, above=99, axis=1).any(1).tolist() == [False, False, True, False]
