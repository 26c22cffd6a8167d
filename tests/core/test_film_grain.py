"""Which level of film grain follows from what was asked and what was measured."""

from __future__ import annotations

import pytest

from drapto.core.film_grain import MOST, FilmGrainChoice, level_for, parameters


@pytest.mark.parametrize(
    ("choice", "grain", "level"),
    [
        ("off", 8.0, 0),
        ("auto", 0.0, 0),
        ("auto", 0.52, 0),  # the noisiest of the clean clips
        ("auto", 0.99, 0),
        ("auto", 1.0, 10),
        ("auto", 2.44, 24),
        ("auto", 9.0, MOST),
        (7, 0.0, 7),
        (50, 2.0, 50),
    ],
)
def test_level_follows_from_the_choice_and_the_grain(
    choice: FilmGrainChoice, grain: float, level: int
) -> None:
    assert level_for(choice, grain) == level


def test_encoder_is_told_nothing_where_there_is_no_grain() -> None:
    assert parameters(0) == []
    assert parameters(12) == ["film-grain=12", "film-grain-denoise=1"]
