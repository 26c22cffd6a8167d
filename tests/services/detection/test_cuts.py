from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from drapto.services.detection.cuts import CutDetector
from drapto.services.detection.features import NumpyBackend
from tests.media.film import (
    Planes,
    blank,
    dissolve,
    fade,
    film,
    flash,
    letterbox,
    shot,
    with_noise,
    with_text,
)
from tests.services.detection.helpers import analysed


def cuts_of(planes: Planes, rate: int = 24) -> tuple[list[int], CutDetector]:
    """Straight from luma: for cases that need many films and no file."""
    features = NumpyBackend().luma(np.ascontiguousarray(planes), None)
    detector = CutDetector(Fraction(rate))
    black = features.dark_share(32) >= 0.98
    found = []
    for i in range(len(features)):
        found += detector.push(
            features.thumbs[i],
            mean=float(features.mean[i]),
            deviation=float(features.deviation[i]),
            black=bool(black[i]),
        )
    return found + detector.finish(), detector


def test_first_frame_after_a_cut_is_named_exactly(tmp_path: Path) -> None:
    planes = film(shot(1, 31), shot(2, 25), shot(3, 40))
    assert analysed(tmp_path, planes).cuts == (31, 56)


def test_cuts_survive_lossy_coding(tmp_path: Path) -> None:
    planes = film(shot(1, 31), shot(2, 25), shot(3, 40))
    options = {"crf": "35", "preset": "veryfast"}
    assert analysed(tmp_path, planes, codec="libx264", options=options).cuts == (31, 56)


def test_moving_camera_makes_no_cut() -> None:
    assert cuts_of(shot(4, 60, step=(3, 1)))[0] == []


@pytest.mark.parametrize("step", [12, 24, 36])
def test_fast_pan_makes_no_cut_inside_it(step: int) -> None:
    planes = film(shot(1, 24), shot(5, 20, step=(step, 0)), shot(2, 24))
    assert cuts_of(planes)[0] == [24, 44]


@pytest.mark.parametrize("strength", [0.4, 0.8, 1.0])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_flash_is_no_cut_but_is_reported(strength: float, length: int) -> None:
    found, detector = cuts_of(flash(shot(1, 48), 20, length, strength))
    assert found == []
    assert detector.flashes == list(range(20, 20 + length))


def test_strobe_makes_no_cut() -> None:
    planes = shot(1, 72)
    for start in range(20, 50, 4):
        planes = flash(planes, start, 2, 0.9)
    assert cuts_of(planes)[0] == []


def test_flash_on_a_cut_hides_it_not() -> None:
    planes = film(shot(1, 30), flash(shot(2, 30), 0, 3, 0.7))
    assert cuts_of(planes)[0] == [30]


def test_light_switched_off_makes_no_cut() -> None:
    whole = shot(1, 60)
    planes = film(whole[:30], fade(whole[30:], start=0.5, end=0.5))
    assert cuts_of(planes)[0] == []


def test_black_for_a_moment_is_no_cut() -> None:
    whole = shot(1, 60)
    assert cuts_of(film(whole[:30], blank(3), whole[33:]))[0] == []


def test_dip_to_black_and_back_is_no_cut() -> None:
    whole = shot(1, 60)
    dip = film(fade(whole[20:28], start=1, end=0), blank(4), fade(whole[32:40], start=0, end=1))
    assert cuts_of(film(whole[:20], dip, whole[40:]))[0] == []


def test_fade_through_black_to_another_picture_is_one_cut_where_black_ends() -> None:
    planes = film(
        shot(1, 20), fade(shot(2, 12), start=1, end=0), blank(6), fade(shot(3, 12), start=0, end=1)
    )
    found, _ = cuts_of(planes)
    assert len(found) == 2
    assert found[0] == 20
    assert 38 <= found[1] <= 41


def test_fade_in_from_black_at_the_beginning_is_no_cut() -> None:
    whole = shot(1, 40)
    assert cuts_of(film(blank(10), fade(whole[:20], start=0, end=1), whole[20:]))[0] == []


def test_hard_cut_from_a_picture_to_text_on_black_is_found() -> None:
    picture = letterbox(shot(1, 40), top=14, bottom=14)
    titles = with_text(blank(40), ["one", "two", "three"], y=60)
    assert cuts_of(film(picture, titles))[0] == [40]


@pytest.mark.parametrize("length", [6, 12, 24])
def test_dissolve_makes_at_most_one_cut(length: int) -> None:
    mixed = dissolve(shot(1, length), shot(2, length))
    assert len(cuts_of(film(shot(1, 24), mixed, shot(2, 24)))[0]) <= 1


def test_frame_blended_from_both_shots_makes_one_cut() -> None:
    blended = dissolve(shot(1, 1), shot(2, 1))
    found, _ = cuts_of(film(shot(1, 24), blended, shot(2, 24)))
    assert len(found) == 1
    assert found[0] in (24, 25)


def test_noise_makes_and_hides_no_cut() -> None:
    planes = with_noise(film(shot(1, 30), shot(2, 30)), 12)
    assert cuts_of(planes)[0] == [30]


def test_flat_colours_are_cut_where_they_change() -> None:
    assert cuts_of(film(blank(30, 60), blank(30, 180)))[0] == [30]


@pytest.mark.parametrize("rate", [12, 24, 60])
def test_decision_waits_no_longer_than_the_look_ahead(rate: int) -> None:
    planes = film(shot(1, 60), shot(2, 60))
    features = NumpyBackend().luma(planes, None)
    detector = CutDetector(Fraction(rate))
    for i in range(len(features)):
        found = detector.push(features.thumbs[i], mean=128.0, deviation=40.0, black=False)
        if found:
            assert found == [60]
            assert i - 60 == detector.look_ahead <= rate / 2
            return
    raise AssertionError("the cut was not final before the end")


def test_same_film_gives_the_same_cuts_in_batches_of_any_size(tmp_path: Path) -> None:
    planes = film(*(shot(seed, 11 + seed) for seed in range(1, 8)))
    expected = tuple(np.cumsum([11 + seed for seed in range(1, 8)])[:-1].tolist())
    assert analysed(tmp_path, planes).cuts == expected
    assert tuple(cuts_of(planes)[0]) == expected


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_tiny_films_have_no_cuts(frames: int) -> None:
    assert cuts_of(shot(1, frames))[0] == []


def test_cut_survives_in_a_film_of_two_frames() -> None:
    assert cuts_of(film(shot(1, 1), shot(2, 1)))[0] == [1]
