"""Clips are the same in every run: what fails once can be looked at again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media import clips


@pytest.mark.parametrize("scene", clips.SCENES, ids=lambda scene: scene[0].partition("=")[0])
def test_scene_is_drawn_alike_every_time(scene: tuple[str, int], tmp_path: Path) -> None:
    source, _ = scene
    drawn = []
    for name in ("one", "two"):
        place = tmp_path / name
        place.mkdir()
        path, _ = clips.with_cuts(place, scenes=((source, 5),), size="64x36", audio=False)
        drawn.append(clips.decoded_hashes(path))
    assert drawn[0] == drawn[1]
