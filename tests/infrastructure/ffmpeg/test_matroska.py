"""What libavformat does not read of Matroska is read all the same, and from no bytes too far."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drapto.infrastructure.ffmpeg.matroska import Said, read_matroska
from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.media import ebml
from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.ebml import Atom

TREE = (
    Atom("Part 1", 0, 0.5, (Atom("1.1", 0, 0.2), Atom("1.2", 0.2, 0.5))),
    Atom("Part 2", 0.5, 1),
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Picture, a mono track in Portuguese and one in Chinese, and a font."""
    directory = tmp_path_factory.mktemp("plain")
    out, font = directory / "plain.mkv", directory / "font"
    font.write_bytes(b"a font")
    inputs = (*pattern(12, size="96x64"), *tone(0.5, channels="mono"))
    maps = ("-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:a", "aac")
    codes = ("-metadata:s:a:0", "language=por", "-metadata:s:a:1", "language=chi")
    attached = ("-attach", font, "-metadata:s:t", "mimetype=font/ttf")
    ffmpeg(*inputs, *maps, *x264(), *codes, *attached, out)
    return out


def test_chapters_in_chapters_are_read_with_their_depth(plain: Path, tmp_path: Path) -> None:
    path = ebml.with_chapters(plain, tmp_path / "nested.mkv", TREE)
    with av.open(str(path)) as container:
        assert len(container.chapters()) == 2  # so there is a need
    found = [(c.title, c.start_s, c.end_s, c.depth) for c in probe_file(path).chapters]
    assert found == [
        ("Part 1", 0, 0.5, 0), ("1.1", 0, 0.2, 1), ("1.2", 0.2, 0.5, 1), ("Part 2", 0.5, 1, 0),
    ]  # fmt: skip


def test_chapters_out_of_order_are_put_in_order(plain: Path, tmp_path: Path) -> None:
    late_first = (Atom("Two", 0.3, 0.5), Atom("One", 0, 0.4))
    path = ebml.with_chapters(plain, tmp_path / "disorder.mkv", late_first)
    assert [c.title for c in probe_file(path).chapters] == ["One", "Two"]


def test_chapters_that_begin_together_stay_in_order(plain: Path, tmp_path: Path) -> None:
    together = (Atom("First", 0, 0.5), Atom("Second", 0, 0.2), Atom("Third", 0, 0.3))
    path = ebml.with_chapters(plain, tmp_path / "together.mkv", together)
    assert [c.title for c in probe_file(path).chapters] == ["First", "Second", "Third"]


def test_a_chapter_without_an_end_ends_with_the_next_or_the_one_around_it(
    plain: Path, tmp_path: Path
) -> None:
    inner = (Atom("1.1", 0, None), Atom("1.2", 0.1, None))
    open_ends = (Atom("One", 0, None, inner), Atom("Two", 0.3, None))
    path = ebml.with_chapters(plain, tmp_path / "open.mkv", open_ends)
    media = probe_file(path)
    assert [c.end_s for c in media.chapters] == [0.3, 0.1, 0.3, media.duration_s]


def test_what_has_no_place_is_counted(plain: Path, tmp_path: Path) -> None:
    other = (Atom("Shorter", 0, 0.3, (Atom("Inner", 0, 0.1),)),)
    path = ebml.with_chapters(plain, tmp_path / "editions.mkv", TREE, other)
    media = probe_file(path)
    assert len(media.chapters) == 4
    assert media.unkept == ("2 chapters of other editions",)


def test_chapters_behind_the_film_are_found_by_the_seek_head(plain: Path, tmp_path: Path) -> None:
    path = ebml.with_chapters_last(plain, tmp_path / "last.mkv", TREE)
    assert [c.depth for c in probe_file(path).chapters] == [0, 1, 1, 0]


def test_language_tags_belong_to_their_tracks(plain: Path, tmp_path: Path) -> None:
    path = ebml.with_languages(plain, tmp_path / "tags.mkv", {1: "pt-BR", 2: "zh-Hant"})
    tracks = probe_file(path).tracks
    assert [(t.language, t.language_tag) for t in tracks] == [
        (None, None), ("por", "pt-BR"), ("chi", "zh-Hant"),
    ]  # fmt: skip


@pytest.mark.parametrize("tag", ["", "pt_BR", "a" * 100, "x y"])
def test_what_is_no_language_tag_is_none(tag: str, plain: Path, tmp_path: Path) -> None:
    path = ebml.with_languages(plain, tmp_path / "tags.mkv", {1: tag})
    assert probe_file(path).tracks[1].language_tag is None


def test_ordinary_files_read_as_libavformat_reads_them(plain: Path, tmp_path: Path) -> None:
    path = ebml.with_chapters(plain, tmp_path / "flat.mkv", (Atom("A", 0, 0.2), Atom("B", 0.2, 1)))
    with av.open(str(path)) as container:
        wanted = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"])
            for c in container.chapters()
        ]
    assert [(c.start_s, c.end_s, c.tags) for c in probe_file(path).chapters] == wanted


@pytest.mark.parametrize("data", [b"", b"\x1a\x45\xdf\xa3", b"not EBML at all", b"\x1a" * 300])
def test_what_makes_no_sense_is_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bytes.mkv"
    path.write_bytes(data)
    assert read_matroska(path) is None


def test_chapters_nested_without_end_are_refused(plain: Path, tmp_path: Path) -> None:
    deep = Atom("0", 0, 1)
    for number in range(200):
        deep = Atom(str(number), 0, 1, (deep,))
    path = ebml.with_chapters(plain, tmp_path / "deep.mkv", (deep,))
    assert read_matroska(path) is None
    assert [c.depth for c in probe_file(path).chapters] == [0]  # what libavformat makes of it


@settings(
    max_examples=300, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=20))
def test_no_bytes_bring_it_down(
    changes: list[tuple[int, int]], plain: Path, tmp_path: Path
) -> None:
    path = tmp_path / "changed.mkv"
    if not (tmp_path / "whole.mkv").exists():
        ebml.with_chapters(plain, tmp_path / "whole.mkv", TREE)
    data = bytearray((tmp_path / "whole.mkv").read_bytes())
    for at, value in changes:
        data[at] = value
    path.write_bytes(data)
    found = read_matroska(path)
    assert found is None or isinstance(found, Said)
