"""A language tag takes the place that was made for it, and nothing else in the file moves."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import av
import imageio_ffmpeg

from drapto.infrastructure.ffmpeg.language_tags import language_to_write, write_language_tags
from tests.media import ebml
from tests.media.clips import pattern, tone, x264


def written(path: Path, *languages: str) -> Path:
    """Mono tracks in these languages, as libavformat writes them: with checksums."""
    options = ["-map", "0:v"]
    for place, language in enumerate(languages):
        options += ["-map", "1:a", f"-metadata:s:a:{place}", f"language={language}"]
    inputs = (*pattern(6, size="96x64"), *tone(0.2, channels="mono"))
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *inputs, *options, *x264()]
    subprocess.run([*argv, "-c:a", "aac", str(path)], check=True)
    return path


def assert_checksum(path: Path) -> None:
    """That of Tracks stands first in it, over all the rest (RFC 8794, section 11.3.1)."""
    top = ebml.inside(path.read_bytes(), ebml.SEGMENT)
    tracks = next(payload for ident, payload in top if ident == ebml.TRACKS)
    assert tracks[:2] == b"\xbf\x84"
    assert int.from_bytes(tracks[2:6], "little") == zlib.crc32(tracks[6:])


def test_both_elements_stand_where_room_was_made(tmp_path: Path) -> None:
    room = [language_to_write("por", "pt-BR"), language_to_write(None, "zh-Hant-TW"), "eng"]
    path = written(tmp_path / "film.mkv", *room)
    before = path.stat().st_size
    write_language_tags(path, [("por", "pt-BR"), (None, "zh-Hant-TW")])
    assert path.stat().st_size == before
    assert ebml.languages_of(path) == ["und", "pt-BR", "zh-Hant-TW", "eng"]
    with av.open(str(path)) as container:
        assert [s.language for s in container.streams.audio] == ["por", None, "eng"]


def test_the_checksum_is_that_of_what_stands_there(tmp_path: Path) -> None:
    path = written(tmp_path / "film.mkv", language_to_write("por", "pt-BR"))
    assert_checksum(path)
    write_language_tags(path, [("por", "pt-BR")])
    assert_checksum(path)


def test_a_file_without_the_room_stays_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "film.mkv", "por")
    before = path.read_bytes()
    write_language_tags(path, [("por", "pt-BR")])
    write_language_tags(path, [])
    assert path.read_bytes() == before
