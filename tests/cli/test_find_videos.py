from __future__ import annotations

from pathlib import Path

import pytest

from cli.batch import find_videos, plan_work
from drapto.core.errors import InputError, UsageError


@pytest.fixture
def films(tmp_path: Path) -> Path:
    root = tmp_path / "films"
    for name in ("b.mkv", "a.mp4", "sub/c.MKV", "notes.txt", ".hidden.mkv", "job/x.mkv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "job" / "journal.jsonl").touch()  # a work directory
    return root


def test_the_films_of_a_folder_are_those_that_encode_would_take(films: Path) -> None:
    found, is_batch = find_videos([str(films)])
    assert is_batch
    assert [str(film.name) for film in found] == ["a.mp4", "b.mkv", "sub/c.MKV"]
    work = plan_work([str(films)], str(films.parent / "out"))
    assert [film.path for film in found] == [item.source for item in work.plan.items]


def test_a_file_named_by_itself_is_taken_whatever_its_name(films: Path) -> None:
    found, is_batch = find_videos([str(films / "notes.txt")])
    assert not is_batch and found[0].path == films / "notes.txt"


def test_a_film_that_is_given_twice_is_refused(films: Path) -> None:
    with pytest.raises(UsageError, match=r"b\.mkv is given twice"):
        find_videos([str(films), str(films / "b.mkv")])


def test_a_folder_without_films_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video file"):
        find_videos([str(tmp_path)])
