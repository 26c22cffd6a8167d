"""What probing says of real files, and how it refuses what is no video."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from drapto.core.errors import InputError
from drapto.core.media import DynamicRange, MediaInfo, TrackKind
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.ffmpeg.side_data import (
    StreamFacts,
    dolby_vision_of_frame,
    orientation,
    parse_stream_facts,
)
from tests.media import clips, containers, tracks
from tests.media.hdr import hdr10_plus
from tests.media.hostile import cut_off


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> MediaInfo:
    return probe_file(tracks.rich_tracks(tmp_path_factory.mktemp("rich")))


def test_every_track_is_found_with_its_language_title_and_dispositions(rich: MediaInfo) -> None:
    found = [
        (t.index, t.kind.value, t.codec, t.language, t.title, set(t.dispositions))
        for t in rich.tracks
    ]
    assert found == [
        (0, "video", "h264", None, "Main picture", set()),
        (1, "audio", "aac", "eng", "Stereo", {"default"}),
        (2, "audio", "ac3", "fre", "Commentaire", {"comment"}),
        (3, "subtitle", "subrip", "ger", None, {"forced"}),
        (4, "subtitle", "ass", "jpn", "Styled", set()),
        (6, "video", "png", None, None, {"attached_pic"}),
    ]


def test_audio_layout_rate_and_duration_are_read(rich: MediaInfo) -> None:
    surround = rich.track(2)
    assert (surround.channels, surround.channel_layout) == (6, "5.1(side)")
    assert surround.sample_rate_hz == 48000
    assert surround.duration_s == pytest.approx(3.0, abs=0.05)


def test_cover_art_is_not_a_video_to_encode(rich: MediaInfo) -> None:
    assert [t.index for t in rich.cover_art] == [6]
    assert main_video(rich).index == 0


def test_attachments_are_read_with_their_hash(rich: MediaInfo) -> None:
    (font,) = rich.attachments
    assert (font.filename, font.mimetype) == ("Some Font.ttf", "font/ttf")
    assert font.size_bytes == len(clips.FONT_BYTES)
    assert font.sha256 == sha256(clips.FONT_BYTES).hexdigest()


def test_chapters_and_global_tags_are_read(rich: MediaInfo) -> None:
    assert [(c.start_s, c.end_s, c.title) for c in rich.chapters] == [
        (0.0, 1.2, "First part"),
        (1.2, 3.0, "Zweiter Teil"),
    ]
    assert rich.tags["title"] == "A small film"


def test_chapters_of_an_mp4_are_not_listed_as_a_track_too(tmp_path: Path) -> None:
    media = probe_file(tracks.mp4_tracks(tmp_path))
    assert [t.codec for t in media.tracks] == ["h264", "aac", "aac", "mov_text"]
    assert [t.language for t in media.tracks] == [None, "eng", "ger", "eng"]
    assert [c.title for c in media.chapters] == ["First part", "Zweiter Teil"]


def test_hdr10_metadata_is_read_from_the_frames(tmp_path: Path) -> None:
    color = main_video(probe_file(clips.hdr10(tmp_path))).color
    assert (color.primaries, color.transfer, color.matrix) == ("bt2020", "smpte2084", "bt2020nc")
    assert (color.range, color.chroma_location) == ("tv", "topleft")
    assert color.mastering_display is not None and color.content_light is not None
    assert color.mastering_display.green == pytest.approx((0.265, 0.69))
    assert color.mastering_display.white == pytest.approx((0.3127, 0.329))
    assert color.mastering_display.max_luminance == 1000
    assert color.mastering_display.min_luminance == pytest.approx(0.005)
    assert (color.content_light.max_cll, color.content_light.max_fall) == (1000, 400)
    assert color.dynamic_range is DynamicRange.HDR10


def test_hdr10_plus_is_told_from_hdr10(tmp_path: Path) -> None:
    color = main_video(probe_file(hdr10_plus(tmp_path))).color
    assert color.hdr10_plus
    assert color.dynamic_range is DynamicRange.HDR10_PLUS


def test_hlg_is_told_by_its_transfer(tmp_path: Path) -> None:
    color = main_video(probe_file(clips.hlg(tmp_path))).color
    assert color.transfer == "arib-std-b67"
    assert color.dynamic_range is DynamicRange.HLG


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (clips.ten_bit_422, {"pixel_format": "yuv422p10le", "bit_depth": 10}),
        (clips.twelve_bit_444, {"pixel_format": "yuv444p12le", "bit_depth": 12}),
        (clips.odd_size, {"width": 175, "height": 99, "codec": "vp9"}),
        (clips.anamorphic, {"sample_aspect_ratio": Fraction(16, 11), "width": 352}),
        (clips.start_offset, {"start_pts": 5000, "frame_rate": Fraction(24)}),
        (clips.raw_hevc, {"frame_rate": Fraction(24), "start_pts": None, "codec": "hevc"}),
        (clips.mirrored, {"mirrored": True, "rotation_deg": 0}),
        (containers.BUILDERS["interlaced_ts"], {"interlaced": True, "codec": "h264"}),
        (clips.open_gop, {"interlaced": False, "codec": "h264"}),
    ],
)
def test_picture_facts_are_read(
    tmp_path: Path, build: Callable[[Path], Path], expected: dict[str, object]
) -> None:
    track = main_video(probe_file(build(tmp_path)))
    assert {name: getattr(track, name) for name in expected} == expected


@pytest.mark.parametrize(("option", "clockwise"), [(90, 270), (180, 180), (-90, 90)])
def test_rotation_is_told_clockwise(tmp_path: Path, option: int, clockwise: int) -> None:
    track = main_video(probe_file(clips.rotated(tmp_path, degrees=option)))
    assert (track.rotation_deg, track.mirrored) == (clockwise, False)


def test_a_matrix_that_turns_and_mirrors_gives_both() -> None:
    one, none = 1 << 16, 0
    # Turned clockwise by 90 degrees (a=0, b=1, c=-1, d=0), then mirrored (a and c negated).
    matrix = struct.pack("=9i", none, one, 0, one, none, 0, 0, 0, 1 << 30)
    assert orientation(matrix) == (90, True)
    assert orientation(bytes(36)) == (0, False)


def test_start_is_not_counted_as_duration_in_a_matroska_by_ffmpeg(tmp_path: Path) -> None:
    media = probe_file(clips.start_offset(tmp_path))
    assert media.start_s == 5.0
    assert [t.duration_s for t in media.tracks] == pytest.approx([3.0, 3.02], abs=0.01)


def test_the_default_video_is_chosen_and_another_can_be_asked_for(tmp_path: Path) -> None:
    media = probe_file(tracks.two_videos(tmp_path))
    assert main_video(media).width == 320
    assert main_video(media, 0).width == 160
    with pytest.raises(InputError, match=r"2 video tracks; there is no number 2"):
        main_video(media, 2)


def test_audio_alone_is_probed_but_has_no_video_to_encode(tmp_path: Path) -> None:
    media = probe_file(clips.audio_only(tmp_path))
    assert [t.kind for t in media.tracks] == [TrackKind.AUDIO]
    with pytest.raises(InputError, match="holds no video"):
        main_video(media)


def test_music_with_a_cover_has_no_video_to_encode(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only cover art"):
        main_video(probe_file(tracks.music_with_cover(tmp_path)))


@pytest.mark.parametrize(
    "name", ["-y.mkv", "a:b.mkv", "100%d 'x'.mkv", "concat:a|b.mkv", "ü \n.mkv"]
)
def test_odd_file_names_are_taken_literally(tmp_path: Path, name: str) -> None:
    path = clips.silent(tmp_path, frames=2).rename(tmp_path / name)
    track = main_video(probe_file(path))
    assert (track.width, track.color.chroma_location) == (320, "left")


def test_a_name_that_is_no_utf8_is_opened(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.mkv")
    clips.silent(tmp_path, frames=2).rename(path)
    assert main_video(probe_file(path)).codec == "h264"


def _text(directory: Path) -> Path:
    return _written(directory / "text.mkv", b"Just words.\n" * 500)


def _playlist(directory: Path) -> Path:
    target = clips.silent(directory, "real.ts", frames=2)
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n"
    return _written(directory / "list.m3u8", text.encode())


def _concat_list(directory: Path) -> Path:
    target = clips.silent(directory, "real.mkv", frames=2)
    return _written(directory / "list.mkv", f"ffconcat version 1.0\nfile {target.name}\n".encode())


def _picture(directory: Path) -> Path:
    out = directory / "picture.png"
    clips.ffmpeg(*clips.pattern(1), out)
    return out


def _pipe(directory: Path) -> Path:
    os.mkfifo(directory / "pipe.mkv")
    return directory / "pipe.mkv"


def _noise(directory: Path) -> Path:
    import random

    return _written(directory / "secret.mkv", random.Random(1).randbytes(200_000))


def _no_moov(directory: Path) -> Path:
    return cut_off(clips.silent(directory, "whole.mp4"), 0.5)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: d / "missing.mkv", "does not exist"),
        (lambda d: d, "is a directory"),
        (lambda d: _written(d / "empty.mkv", b""), "is empty"),
        (_text, "is a text file"),
        (_playlist, "is a text file"),
        (_concat_list, "is a text file"),
        (_picture, r"still picture \(PNG\)"),
        (_pipe, "a named pipe"),
        (lambda d: Path("/dev/zero"), "a character device"),
        (_noise, "probably encrypted"),
        (lambda d: _written(d / "zeros.mp4", bytes(50_000)), "nothing but zero bytes"),
        (lambda d: _written(d / "z.mkv", b"PK\x03\x04" + bytes(range(256)) * 9), "ZIP archive"),
        (_no_moov, "was cut off"),
        (lambda d: cut_off(clips.silent(d, "w.mkv"), 0.001), "cut off near its beginning"),
    ],
)
def test_what_is_no_video_is_refused_in_one_clear_paragraph(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(InputError, match=says) as caught:
        probe_file(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_read_permission_is_named_as_such(tmp_path: Path) -> None:
    path = clips.silent(tmp_path, frames=2)
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        probe_file(path)


REPORT = """\
Input #0, matroska,webm, from '/films/a.mkv':
  Duration: 00:00:10.80, start: 0.000000, bitrate: 58 kb/s
  Stream #0:0[0x1](eng): Video: hevc (Main 10), 1 reference frame (hvc1 / 0x31637668), \
yuv420p10le(tv, bt2020nc/bt2020/smpte2084, topleft), 256x144, 23.98 fps, 1k tbn (default)
    Metadata:
      title           : left (center)
    Side data:
      DOVI configuration record: version: 1.0, profile: 7, level: 6, rpu flag: 1, el flag: 1, \
bl flag: 1, compatibility id: 6, compression: 0
  Stream #0:1: Audio: aac (LC), 48000 Hz, stereo, fltp
  Stream #0:2: Video: h264 (Main), 1 reference frame, yuv420p(progressive, left), 320x180
  Stream #0:3: Video: vp9 (Profile 0), yuv420p(tv, progressive), 175x99
  Stream #0:4: Video: dvvideo, yuv420p(bottom coded first (swapped), topleft), 720x576
"""


def test_the_programs_report_is_read_per_stream() -> None:
    facts = parse_stream_facts(REPORT)
    record = facts[0].dolby_vision
    assert record is not None
    assert (record.profile, record.level, record.compatibility_id) == (7, 6, 6)
    assert record.has_enhancement_layer
    assert facts[0].chroma_location == "topleft"
    assert facts[1] == StreamFacts()
    assert facts[2] == StreamFacts(chroma_location="left")
    assert facts[3] == StreamFacts()
    assert facts[4] == StreamFacts(chroma_location="topleft")


@pytest.mark.parametrize(
    ("header", "codec", "transfer", "expected"),
    [  # (vdr_rpu_profile, full range, bit depth, EL filter, residual disabled)
        ((0, 1, 12, 0, 1), "hevc", "smpte2084", (5, 0, False)),
        ((1, 0, 12, 0, 1), "hevc", "smpte2084", (8, 1, False)),
        ((1, 0, 12, 0, 1), "hevc", "arib-std-b67", (8, 4, False)),
        ((1, 0, 12, 1, 0), "hevc", "smpte2084", (7, 6, True)),
        ((1, 0, 12, 0, 1), "av1", "smpte2084", (10, 1, False)),
    ],
)
def test_the_dolby_vision_profile_follows_from_the_rpu_header(
    header: tuple[int, ...], codec: str, transfer: str, expected: tuple[int, int, bool]
) -> None:
    profile, full_range, depth, el_filter, no_residual = header
    fields = bytearray(17)
    fields[4], fields[10], fields[13], fields[15], fields[16] = (
        profile, full_range, depth, el_filter, no_residual,
    )  # fmt: skip
    data = struct.pack("@NNN", 24, 0, 0) + bytes(fields)
    found = dolby_vision_of_frame(data, codec, transfer)
    assert found is not None
    assert (found.profile, found.compatibility_id, found.has_enhancement_layer) == expected
