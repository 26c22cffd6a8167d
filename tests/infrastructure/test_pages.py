"""A page appears whole or not at all, and over nothing that it should leave alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from drapto.core.errors import DraptoError, PublishError, ResourceError, UsageError
from drapto.infrastructure.pages import check_page, write_page
from tests.infrastructure.full_disks import read_only_directory, small_disk


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(b"film")
    return path


def test_page_is_written_as_any_new_file_is_and_leaves_nothing_beside_it(
    film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    write_page("<p>ünï", out, [film], overwrite=False)
    assert out.read_text("utf-8") == "<p>ünï"
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mkv", "page.html", "plain"]


def test_page_that_is_there_is_replaced_only_when_asked(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("old")
    with pytest.raises(UsageError, match=r"page\.html exists already"):
        check_page(out, [film], overwrite=False)
    with pytest.raises(PublishError, match="appeared while the report was made"):
        write_page("new", out, [film], overwrite=False)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mkv", "page.html"]
    write_page("new", out, [film], overwrite=True)
    assert out.read_text() == "new"


def test_link_to_a_page_stays_a_link(film: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    link = tmp_path / "link.html"
    link.symlink_to("page.html")
    write_page("new", link, [film], overwrite=True)
    assert link.is_symlink()
    assert (tmp_path / "page.html").read_text() == "new"


@pytest.mark.parametrize("way", ["itself", "a symbolic link", "a hard link"])
def test_what_the_report_is_about_is_never_written_over(
    way: str, film: Path, tmp_path: Path
) -> None:
    out = {"itself": film}.get(way, tmp_path / "other.mkv")
    if way == "a symbolic link":
        out.symlink_to(film)
    elif way == "a hard link":
        out.hardlink_to(film)
    for attempt in (check_page, lambda *a, **k: write_page("page", *a, **k)):
        with pytest.raises(UsageError, match="which the report is about"):
            attempt(out, [tmp_path / "gone.json", film], overwrite=True)
    assert film.read_bytes() == b"film"


def test_page_is_not_made_where_a_lost_film_stood(tmp_path: Path) -> None:
    gone = tmp_path / "gone.mkv"
    with pytest.raises(UsageError, match="which the report is about"):
        check_page(gone, [gone], overwrite=False)


@pytest.mark.parametrize(
    ("out", "said"),
    [("none/page.html", "does not exist"), (".", "is a directory")],
)
def test_place_that_cannot_take_a_page_is_refused_before_the_work(
    out: str, said: str, film: Path, tmp_path: Path
) -> None:
    with pytest.raises(DraptoError, match=said):
        check_page(tmp_path / out, [film], overwrite=True)


def test_full_disk_leaves_no_part_of_a_page(film: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path, 64) as folder:
        with pytest.raises(ResourceError, match=r"page\.html cannot be written"):
            write_page("x" * 1_000_000, folder / "page.html", [film], overwrite=False)
        assert list(folder.iterdir()) == []


def test_directory_that_may_not_be_written_to_is_named_before_the_work(
    film: Path, tmp_path: Path
) -> None:
    with (
        read_only_directory(tmp_path) as folder,
        pytest.raises(PublishError, match="cannot be written to"),
    ):
        check_page(folder / "page.html", [film], overwrite=False)
