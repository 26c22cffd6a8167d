"""What cannot work ends in one clear paragraph, the right exit code, and nothing left behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from tests.end_to_end.program import QUICK, processes_about
from tests.end_to_end.program import drapto_here as drapto
from tests.infrastructure import full_disks
from tests.media import clips
from tests.media.corpus.damaged import fifo


def missing(directory: Path) -> Path:
    return directory / "missing.mkv"


def empty(directory: Path) -> Path:
    path = directory / "empty.mkv"
    path.touch()
    return path


def text(directory: Path) -> Path:
    path = directory / "text.mkv"
    path.write_text("This is not a film.\n" * 200)
    return path


def noise(directory: Path) -> Path:
    path = directory / "encrypted.mkv"
    path.write_bytes(random.Random(3).randbytes(200_000))
    return path


def header_only(directory: Path) -> Path:
    path = directory / "truncated.mkv"
    path.write_bytes(clips.simple(directory, "whole.mkv").read_bytes()[:600])
    (directory / "whole.mkv").unlink()
    return path


@pytest.mark.parametrize("make", [missing, empty, text, noise, header_only, fifo, clips.audio_only])
def test_unusable_input_is_exit_3_with_one_paragraph(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = drapto("encode", source, tmp_path / "out.mkv", *QUICK)
    assert done.returncode == 3, done.stderr
    assert source.name in done.stderr.replace("\n", "")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().split("\n\n")) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_output_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    source = clips.simple(tmp_path)
    done = drapto("encode", source, tmp_path / "nowhere" / "out.mkv", *QUICK)
    assert done.returncode in (1, 2)
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_existing_output_is_never_replaced_without_overwrite(tmp_path: Path) -> None:
    source = clips.simple(tmp_path)
    output = tmp_path / "out.mkv"
    output.write_text("precious")
    done = drapto("encode", source, output, *QUICK)
    assert done.returncode != 0
    assert "--overwrite" in done.stderr
    assert output.read_text() == "precious"
    assert drapto("encode", source, output, *QUICK, "--overwrite").returncode == 0
    assert output.stat().st_size > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, "out.mkv"])


@pytest.mark.parametrize("link", ["same", "symlink", "hardlink"])
def test_output_is_never_the_input(link: str, tmp_path: Path) -> None:
    source = clips.simple(tmp_path)
    before = source.read_bytes()
    output = source
    if link != "same":
        output = tmp_path / "other.mkv"
        output.symlink_to(source) if link == "symlink" else output.hardlink_to(source)
    done = drapto("encode", source, output, *QUICK, "--overwrite")
    assert done.returncode != 0
    assert source.read_bytes() == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, or a skip where mounting is refused."""
    with full_disks.small_disk(tmp_path, 1024) as mounted:
        yield mounted


def test_full_disk_is_a_clear_error_and_leaves_no_output(small_disk: Path, tmp_path: Path) -> None:
    source = clips.with_cuts(tmp_path)[0]
    done = drapto("encode", source, small_disk / "out.mkv", "--preset", "13", "--crf", "5")
    assert done.returncode == 1, done.stderr
    assert "space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (small_disk / "out.mkv").exists()
    assert processes_about(small_disk) == []


def test_file_size_limit_is_told_like_a_full_disk(tmp_path: Path) -> None:
    source = clips.with_cuts(tmp_path)[0]
    limited = tmp_path / "ffmpeg-with-little-room"
    limited.write_text(f'#!/bin/sh\nulimit -f 8\nexec {find_ffmpeg()} "$@"\n')
    limited.chmod(0o755)
    done = drapto("encode", source, tmp_path / "out.mkv", *QUICK, DRAPTO_FFMPEG=str(limited))
    assert done.returncode == 1, done.stderr
    assert "space" in done.stderr
    assert not (tmp_path / "out.mkv").exists()


def test_missing_ffmpeg_is_exit_4(tmp_path: Path) -> None:
    source = clips.simple(tmp_path)
    done = drapto("encode", source, tmp_path / "o.mkv", DRAPTO_FFMPEG="/nowhere/ffmpeg")
    assert done.returncode == 4, done.stderr
    assert "/nowhere/ffmpeg" in done.stderr
    assert list(tmp_path.iterdir()) == [source]
