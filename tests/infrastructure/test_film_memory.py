"""Finished films are remembered, and whatever lies in their place harms nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.film_memory import RememberedAttempt, RememberedFilm, RememberedSegment
from drapto.infrastructure import film_memory
from drapto.infrastructure.film_memory import FileFilmMemory

SVT = {"encoder": "svt-av1"}


def film(frames: int = 100, preset: int = 6) -> RememberedFilm:
    attempt = RememberedAttempt(crf=30.25, size_bytes=12345, quality=94.5)
    segment = RememberedSegment(frames=frames, features=(3.5, 1.0), attempts=(attempt,))
    return RememberedFilm(preset=preset, model="vmaf_v0.6.1", pixels=640 * 360, segments=(segment,))


async def test_what_is_remembered_is_recalled_by_preset_and_model(tmp_path: Path) -> None:
    memory = FileFilmMemory(tmp_path)
    assert await memory.recall(**SVT, preset=6, model="vmaf_v0.6.1") == ()
    for one in (film(1), film(2), film(3, preset=8)):
        await memory.remember(one)
    assert await memory.recall(**SVT, preset=6, model="vmaf_v0.6.1") == (
        film(1),
        film(2),
    )
    assert await memory.recall(**SVT, preset=6, model="vmaf_4k_v0.6.1") == ()


async def test_only_the_last_films_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_memory, "KEPT", 3)
    memory = FileFilmMemory(tmp_path)
    for frames in range(1, 6):
        await memory.remember(film(frames))
    kept = await memory.recall(**SVT, preset=6, model="vmaf_v0.6.1")
    assert [one.segments[0].frames for one in kept] == [3, 4, 5]
    assert len(list((tmp_path / "films").iterdir())) == 3


async def test_what_cannot_be_read_or_written_is_not_missed(tmp_path: Path) -> None:
    memory = FileFilmMemory(tmp_path)
    await memory.remember(film())
    folder = tmp_path / "films"
    (folder / "0.json").write_text("not json")
    (folder / "1.json").write_bytes(b"\xff\x00")
    (folder / "2.json").mkdir()
    (folder / "3.json").symlink_to(next(folder.glob("0*-*.json")))
    assert await memory.recall(**SVT, preset=6, model="vmaf_v0.6.1") == (film(),)

    (tmp_path / "file").write_text("")
    await FileFilmMemory(tmp_path / "file").remember(film())
    assert await FileFilmMemory(tmp_path / "file").recall(**SVT, preset=6, model="") == ()


async def test_who_does_not_want_to_learn_reads_and_writes_nothing(tmp_path: Path) -> None:
    await FileFilmMemory(tmp_path).remember(film())
    memory = FileFilmMemory(tmp_path, learns=False)
    assert await memory.recall(**SVT, preset=6, model="vmaf_v0.6.1") == ()
    await memory.remember(film(2))
    assert len(list((tmp_path / "films").iterdir())) == 1
