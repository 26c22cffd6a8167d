from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drapto.core.analysis import CropSettled
from tests.media.film import (
    blank,
    fade,
    film,
    letterbox,
    shot,
    texture,
    with_noise,
    with_text,
)
from tests.services.detection.helpers import analysed, crop_of, findings

BARS = {"top": 14, "bottom": 14}
CROPPED = (0, 14, 192, 80)


def barred(frames: int = 40, seed: int = 1) -> np.ndarray:
    return letterbox(film(shot(seed, frames), shot(seed + 1, frames)), **BARS)


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right", "expected"),
    [
        (14, 14, 0, 0, (0, 14, 192, 80)),
        (20, 8, 0, 0, (0, 20, 192, 80)),
        (0, 0, 24, 24, (24, 0, 144, 108)),
        (14, 14, 24, 24, (24, 14, 144, 80)),
        (13, 15, 0, 0, (0, 12, 192, 82)),  # evened outwards: no row of the picture is lost
        (0, 9, 0, 0, (0, 0, 192, 100)),
    ],
)
def test_bars_are_cut_to_the_pixel(
    tmp_path: Path,
    top: int,
    bottom: int,
    left: int,
    right: int,
    expected: tuple[int, int, int, int],
) -> None:
    planes = letterbox(shot(1, 40), top=top, bottom=bottom, left=left, right=right)
    assert crop_of(tmp_path, planes) == expected


@pytest.mark.parametrize("size", [(854, 480), (1920, 1080)])
def test_large_pictures_are_measured_at_full_size(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    planes = shot(1, 16, width=width, height=height, step=(2, 0))
    bar = height // 8 // 2 * 2 + 2  # on no multiple of the reduction
    planes = letterbox(planes, top=bar, bottom=bar)
    options = {"preset": "ultrafast", "crf": "12"}
    found = crop_of(tmp_path, planes, codec="libx264", options=options)
    assert found == (0, bar, width, height - 2 * bar)


@pytest.mark.parametrize("black", [0, 16, 20])
def test_limited_and_full_range_blacks_are_black(tmp_path: Path, black: int) -> None:
    assert crop_of(tmp_path, letterbox(shot(1, 40), **BARS, black=black)) == CROPPED


def test_10_bit_pictures_are_cropped_alike(tmp_path: Path) -> None:
    planes = letterbox(shot(1, 40), **BARS)
    assert crop_of(tmp_path, planes, pixel_format="yuv420p10le") == CROPPED


@pytest.mark.parametrize("crf", ["18", "28", "34"])
def test_ringing_of_a_lossy_source_moves_no_edge(tmp_path: Path, crf: str) -> None:
    planes = letterbox(film(shot(1, 30), shot(2, 30)), top=16, bottom=16)
    found = crop_of(tmp_path, planes, codec="libx264", options={"crf": crf})
    assert found == (0, 16, 192, 76)


def test_full_picture_is_not_cropped_and_settles_at_once(tmp_path: Path) -> None:
    found = findings(tmp_path, shot(1, 40))
    assert isinstance(found[0], CropSettled)
    assert found[0].decision.rect is None
    assert found[0].decision.confidence == 1.0
    assert sum(isinstance(finding, CropSettled) for finding in found) == 1


@pytest.mark.parametrize("frames", [1, 10])
def test_mixed_aspect_ratios_lose_no_picture(tmp_path: Path, frames: int) -> None:
    planes = film(barred(), shot(5, frames), barred(seed=6))
    assert crop_of(tmp_path, planes) is None


def test_the_largest_of_several_letterboxed_pictures_decides(tmp_path: Path) -> None:
    planes = film(letterbox(shot(1, 40), top=24, bottom=24), barred(seed=3))
    assert crop_of(tmp_path, planes) == CROPPED


def test_black_frames_and_fades_change_nothing(tmp_path: Path) -> None:
    planes = film(blank(20), fade(barred(10), start=0, end=1), barred(), blank(30))
    assert crop_of(tmp_path, planes) == CROPPED


@pytest.mark.parametrize("step_y", [0, -2])
def test_credits_over_the_whole_frame_change_nothing(tmp_path: Path, step_y: int) -> None:
    credits = with_text(blank(30), ["first name", "second name", "third name"] * 3, y=10)
    if step_y:
        credits = with_text(blank(30), ["first name", "second name"] * 5, y=100, step_y=step_y)
    assert crop_of(tmp_path, film(barred(), credits)) == CROPPED


def test_text_between_two_pictures_is_kept(tmp_path: Path) -> None:
    card = with_text(blank(20), ["ten years later"], y=11)
    found = crop_of(tmp_path, film(barred(), card, barred(seed=4)))
    assert found is None or found[1] <= 4


def test_text_on_black_alone_is_no_picture(tmp_path: Path) -> None:
    planes = with_text(blank(60), ["one", "two", "three"], y=50)
    assert crop_of(tmp_path, planes) is None


def test_station_logo_in_a_bar_does_not_keep_the_bar(tmp_path: Path) -> None:
    planes = barred()
    planes[:, 3:9, 170:184] = 200
    assert crop_of(tmp_path, planes) == CROPPED


def test_logo_over_the_picture_changes_nothing(tmp_path: Path) -> None:
    planes = barred()
    planes[:, 18:26, 170:184] = 235
    assert crop_of(tmp_path, planes) == CROPPED


def test_clock_in_a_bar_keeps_it(tmp_path: Path) -> None:
    planes = barred()
    for number, plane in enumerate(planes):
        plane[3:9, 150:162] = 60 + 170 * (number // 4 % 2)
    found = crop_of(tmp_path, planes)
    assert found is None or found[1] <= 2


def test_subtitles_in_a_bar_are_kept(tmp_path: Path) -> None:
    planes = barred()
    planes = film(
        planes[:30], with_text(planes[30:50], ["words that are said"], y=105), planes[50:]
    )
    found = crop_of(tmp_path, planes)
    assert found is None or found[1] + found[3] >= 104


def test_short_word_in_a_bar_is_kept(tmp_path: Path) -> None:
    planes = barred()
    planes = film(planes[:30], with_text(planes[30:50], ["No"], y=105, x=90), planes[50:])
    found = crop_of(tmp_path, planes)
    assert found is None or found[1] + found[3] >= 104


def test_picture_that_darkens_towards_its_edges_is_not_cropped(tmp_path: Path) -> None:
    rows = np.abs(np.linspace(-1, 1, 108))[None, :, None]
    planes = (16 + (shot(1, 60) - 16.0) * np.clip(1.25 - 1.25 * rows, 0, 1)).astype(np.uint8)
    assert crop_of(tmp_path, planes) is None


def test_lamp_in_a_dark_room_is_not_taken_for_the_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    planes = (18 + rng.integers(0, 5, (60, 108, 192))).astype(np.uint8)
    planes[:, 40:70, 80:120] = texture(1, 40, 30)
    assert crop_of(tmp_path, planes) is None


def test_night_scenes_are_cropped_where_the_edge_is_sharp(tmp_path: Path) -> None:
    planes = letterbox(fade(shot(1, 60), start=0.2, end=0.2), **BARS)
    assert crop_of(tmp_path, planes) == CROPPED


def test_noise_over_the_bars_does_not_hide_them(tmp_path: Path) -> None:
    assert crop_of(tmp_path, with_noise(barred(), 4)) == CROPPED


def test_bars_under_one_percent_are_left(tmp_path: Path) -> None:
    assert crop_of(tmp_path, letterbox(shot(1, 40), right=1)) is None
    assert crop_of(tmp_path, letterbox(shot(1, 40), right=2)) == (0, 0, 190, 108)


def test_too_few_pictures_are_not_trusted(tmp_path: Path) -> None:
    decision = analysed(tmp_path, letterbox(shot(1, 6), **BARS)).crop
    assert decision.rect is None
    assert "Too few" in decision.reason


def test_black_film_is_not_cropped(tmp_path: Path) -> None:
    assert crop_of(tmp_path, blank(30)) is None
