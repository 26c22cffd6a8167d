"""The tables of what a container holds, against what ffmpeg's muxers really take."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from drapto.core.errors import UsageError
from drapto.core.tracks import Container
from drapto.services.assembly.containers import (
    container_for,
    holds_attachments,
    holds_audio,
    holds_video,
    subtitle_fate,
)

ENCODABLE = [
    "aac", "ac3", "adpcm_ima_wav", "adpcm_ms", "alac", "eac3", "flac", "mp2", "mp3", "opus",
    "pcm_alaw", "pcm_f32be", "pcm_f32le", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le",
    "pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_u8", "tta", "vorbis", "wavpack",
    "wmav1", "wmav2",
]  # fmt: skip
ENCODERS = {"mp3": "libmp3lame", "opus": "libopus", "vorbis": "libvorbis"}


def takes(container: Container, codec: str, path: Path) -> bool:
    """True if the bundled ffmpeg writes a file of this kind with a track of this codec."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y"]
    argv += ["-f", "lavfi", "-i", "sine=r=48000:d=0.1", "-ac", "2"]
    argv += ["-c:a", ENCODERS.get(codec, codec), "-f", str(container), str(path)]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("container", Container)
def test_every_audio_codec_of_the_table_can_really_be_muxed(
    container: Container, tmp_path: Path
) -> None:
    claimed = [codec for codec in ENCODABLE if holds_audio(container, codec)]
    refused = [codec for codec in claimed if not takes(container, codec, tmp_path / "x")]
    assert claimed
    assert refused == []


def test_webm_refuses_what_the_table_says_it_refuses(tmp_path: Path) -> None:
    refused = [c for c in ("aac", "ac3", "flac", "mp3") if takes(Container.WEBM, c, tmp_path / "x")]
    assert refused == []
    assert not any(holds_audio(Container.WEBM, c) for c in ("aac", "ac3", "flac", "mp3"))


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("film.mkv", Container.MATROSKA),
        ("film.MKV", Container.MATROSKA),
        ("film.webm", Container.WEBM),
        ("film.mp4", Container.MP4),
        ("film.m4v", Container.MP4),
    ],
)
def test_extension_decides_the_container(name: str, container: Container) -> None:
    assert container_for(Path(name)) is container


@pytest.mark.parametrize(
    ("name", "better"),
    [("film.mov", "film"), ("film.mkvv", "film.mkv"), ("film.mp5", "film.mp4"), ("a.avi", "a.mkv")],
)
def test_unknown_extension_is_refused_with_a_suggestion(name: str, better: str) -> None:
    with pytest.raises(UsageError, match=name.rpartition(".")[2]) as caught:
        container_for(Path(name))
    assert better in caught.value.hint


def test_output_without_extension_is_refused() -> None:
    with pytest.raises(UsageError, match="no extension"):
        container_for(Path("film"))


@pytest.mark.parametrize(
    ("container", "codec", "fate"),
    [
        (Container.MATROSKA, "mov_text", ("convert", "subrip")),
        (Container.MATROSKA, "eia_608", ("convert", "subrip")),
        (Container.MATROSKA, "ass", ("copy", "ass")),
        (Container.MATROSKA, "ssa", ("copy", "ass")),
        (Container.MATROSKA, "hdmv_pgs_subtitle", ("copy", "hdmv_pgs_subtitle")),
        (Container.MP4, "subrip", ("convert", "mov_text")),
        (Container.MP4, "ass", ("convert", "mov_text")),
        (Container.MP4, "mov_text", ("copy", "mov_text")),
        (Container.WEBM, "subrip", ("convert", "webvtt")),
        (Container.WEBM, "webvtt", ("copy", "webvtt")),
    ],
)
def test_subtitles_are_copied_where_possible_and_else_converted(
    container: Container, codec: str, fate: tuple[str, str]
) -> None:
    assert subtitle_fate(container, codec) == fate


@pytest.mark.parametrize("container", [Container.MP4, Container.WEBM])
@pytest.mark.parametrize("codec", ["hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"])
def test_picture_subtitles_outside_matroska_are_dropped_with_the_reason(
    container: Container, codec: str
) -> None:
    action, reason = subtitle_fate(container, codec)
    assert action == "drop"
    assert "picture subtitles" in reason


def test_only_matroska_holds_attachments_and_webm_only_av1() -> None:
    assert [c for c in Container if holds_attachments(c)] == [Container.MATROSKA]
    assert [c for c in Container if holds_video(c, "hevc")] == [Container.MATROSKA, Container.MP4]
    assert all(holds_video(c, "av1") for c in Container)
