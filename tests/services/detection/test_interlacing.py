from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drapto.core.analysis import Interlacing
from tests.media.film import blank, film, interlaced, shot, telecined, texture, with_noise
from tests.services.detection.helpers import analysed


@pytest.mark.parametrize("step", [(3, 0), (1, 1), (7, 2)])
@pytest.mark.parametrize("top_first", [True, False])
def test_field_order_is_seen_in_the_pixels(
    tmp_path: Path, step: tuple[float, float], top_first: bool
) -> None:
    planes = interlaced(shot(3, 80, step=step), top_first=top_first)
    kind = Interlacing.TOP_FIELD_FIRST if top_first else Interlacing.BOTTOM_FIELD_FIRST
    assert analysed(tmp_path, planes).interlacing is kind


@pytest.mark.parametrize("step", [(1, 0), (6, 0), (2, 3)])
def test_moving_film_is_progressive(tmp_path: Path, step: tuple[float, float]) -> None:
    assert analysed(tmp_path, shot(3, 40, step=step)).interlacing is Interlacing.PROGRESSIVE


def test_pulldown_is_seen_by_its_repeated_fields(tmp_path: Path) -> None:
    planes = telecined(shot(3, 64, step=(3, 0)))
    assert analysed(tmp_path, planes).interlacing is Interlacing.TELECINED


def test_film_with_interlaced_parts_is_mixed(tmp_path: Path) -> None:
    planes = film(shot(2, 144, step=(2, 0)), interlaced(shot(3, 288, step=(2, 0))))
    assert analysed(tmp_path, planes).interlacing is Interlacing.MIXED


def test_noise_does_not_comb(tmp_path: Path) -> None:
    planes = with_noise(shot(3, 40, step=(2, 0)), 6)
    assert analysed(tmp_path, planes).interlacing is Interlacing.PROGRESSIVE


def test_interlacing_is_seen_through_noise(tmp_path: Path) -> None:
    planes = with_noise(interlaced(shot(3, 80, step=(3, 0))), 4)
    assert analysed(tmp_path, planes).interlacing is Interlacing.TOP_FIELD_FIRST


@pytest.mark.parametrize("still", [blank(30, 90), np.repeat(texture(1)[None], 30, 0)])
def test_still_pictures_without_flags_count_as_progressive(
    tmp_path: Path, still: np.ndarray
) -> None:
    assert analysed(tmp_path, still).interlacing is Interlacing.PROGRESSIVE


def test_flags_decide_where_nothing_moves(tmp_path: Path) -> None:
    still = np.repeat(texture(1)[None], 24, 0)
    options = {"x264-params": "tff=1", "preset": "ultrafast"}
    found = analysed(tmp_path, still, codec="libx264", options=options)
    assert found.interlacing is Interlacing.TOP_FIELD_FIRST


def test_flags_do_not_overrule_moving_pixels(tmp_path: Path) -> None:
    options = {"x264-params": "tff=1", "preset": "ultrafast", "crf": "10"}
    found = analysed(tmp_path, shot(3, 40, step=(3, 0)), codec="libx264", options=options)
    assert found.interlacing is Interlacing.PROGRESSIVE


def test_10_bit_fields_are_compared_alike(tmp_path: Path) -> None:
    planes = interlaced(shot(3, 80, step=(3, 0)))
    found = analysed(tmp_path, planes, pixel_format="yuv420p10le")
    assert found.interlacing is Interlacing.TOP_FIELD_FIRST
