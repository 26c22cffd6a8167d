"""The finished container, read back: times, tracks, tags, pictures, HDR facts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from drapto.core.errors import ProcessFailedError
from drapto.core.job import EncodeOptions
from drapto.core.media import TrackKind
from drapto.core.tracks import VideoTrackFile
from drapto.infrastructure.ffmpeg.mux import mux
from drapto.infrastructure.ffmpeg.video_track import write_video_track
from tests.infrastructure.ffmpeg.test_mux_arguments import VIDEO, plan_of
from tests.media.assembling import (
    FFMPEG,
    Result,
    assemble,
    encode_all,
    frame_index,
    packet_times_s,
)
from tests.media.clips import FONT_BYTES, anamorphic, ffmpeg, hdr10, pattern, x264
from tests.media.sound import SMALL, beeping, beeps_s
from tests.media.tracks import mp4_cover, mp4_tracks, rich_tracks

MILLISECOND = Fraction(1, 1000)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rich_tracks(tmp_path_factory.mktemp("rich"))


def subtitle_times_s(path: Path, stream: int) -> list[float]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams[stream])
        return [float(p.pts * p.time_base) for p in packets if p.pts is not None and p.size > 2]


def facts(result: Result) -> list[tuple[str, str, str | None, str | None]]:
    return [(t.kind, t.codec, t.language, t.title) for t in result.output.tracks]


async def test_matroska_keeps_every_track_tag_chapter_and_attachment(
    rich: Path, tmp_path: Path
) -> None:
    result = await assemble(rich, tmp_path / "out.mkv")
    source, output = result.source, result.output
    assert facts(result) == [
        ("video", "av1", None, "Main picture"),
        ("audio", "opus", "eng", "Stereo"),
        ("audio", "opus", "fre", "Commentaire"),
        ("subtitle", "subrip", "ger", None),
        ("subtitle", "ass", "jpn", "Styled"),
        ("video", "png", None, None),
    ]
    assert [t.dispositions for t in output.tracks] == [t.dispositions for t in source.tracks]
    assert output.chapters == source.chapters
    assert output.attachments == source.attachments
    assert output.tags["title"] == "A small film"
    assert output.tags["ARTIST"] == "Nobody"
    for number in (3, 4):
        assert subtitle_times_s(output.path, number) == subtitle_times_s(source.path, number)
    with av.open(str(output.path)) as container:
        fonts = [s for s in container.streams if s.type == "attachment"]
        assert [bytes(getattr(s, "data")) for s in fonts] == [FONT_BYTES]  # noqa: B009
        cover = next(container.demux(container.streams[-1]))
        assert bytes(cover) == (rich.parent / "rich.png").read_bytes()
    assert not list(tmp_path.rglob("cover-*"))


async def test_no_tag_of_the_old_encode_is_left(tmp_path: Path) -> None:
    stale = tmp_path / "stale.mkv"
    tags = ["-metadata:s:a:0", "BPS=1", "-metadata:s:a:0", "_STATISTICS_TAGS=BPS"]
    tags += ("-metadata:s:v:0", "NUMBER_OF_FRAMES-eng=7", "-metadata", "major_brand=isom")
    tone = ("-f", "lavfi", "-i", "sine=d=1")
    ffmpeg(*pattern(24, size=SMALL), *tone, *x264(), "-c:a", "aac", *tags, stale)
    output = (await assemble(stale, tmp_path / "out.mkv")).output
    for track in output.tracks:
        left = {key.upper() for key in track.tags}
        assert left <= {"DURATION"}, left  # Matroska's muxer writes the new duration
    assert set(output.tags) <= {"ENCODER"}


async def test_mp4_converts_subtitles_and_names_what_it_cannot_hold(
    rich: Path, tmp_path: Path
) -> None:
    result = await assemble(rich, tmp_path / "out.mp4")
    kept = [t for t in result.output.tracks if t.kind is not TrackKind.DATA]
    assert [(t.codec, t.language) for t in kept if t.kind is TrackKind.SUBTITLE] == [
        ("mov_text", "ger"),
        ("mov_text", "jpn"),
    ]
    assert [t.codec for t in result.output.cover_art] == ["png"]
    assert [t.language for t in result.output.of_kind(TrackKind.AUDIO)] == ["eng", "fre"]
    assert [(c.start_s, c.end_s, c.title) for c in result.output.chapters] == [
        (0, 1.2, "First part"),
        (1.2, 3, "Zweiter Teil"),
    ]
    assert [o.title for o in result.plan.dropped] == ["Some Font.ttf"]
    assert subtitle_times_s(result.output.path, 3) == pytest.approx([0.2, 1.5])


async def test_webm_gets_webvtt_and_only_what_it_can_hold(rich: Path, tmp_path: Path) -> None:
    result = await assemble(rich, tmp_path / "out.webm")
    assert [t.codec for t in result.output.tracks] == ["av1", "opus", "opus", "webvtt", "webvtt"]
    assert subtitle_times_s(result.output.path, 3) == [0.2, 1.5]
    assert {o.kind for o in result.plan.dropped} == {"cover", "attachment"}


async def test_mp4_text_becomes_srt_in_matroska(tmp_path: Path) -> None:
    result = await assemble(mp4_tracks(tmp_path), tmp_path / "out.mkv")
    assert [t.codec for t in result.output.tracks] == ["av1", "opus", "opus", "subrip"]
    assert [t.language for t in result.output.tracks[1:]] == ["eng", "ger", "eng"]
    assert subtitle_times_s(result.output.path, 3) == [0.2, 1.5]
    assert [c.title for c in result.output.chapters] == ["First part", "Zweiter Teil"]


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
async def test_mp4_cover_is_still_a_cover(name: str, tmp_path: Path) -> None:
    source = mp4_cover(tmp_path)
    result = await assemble(source, tmp_path / name)
    assert [t.codec for t in result.output.cover_art] == ["png"]
    with av.open(str(result.output.path)) as container:
        stream = container.streams[result.output.cover_art[0].index]
        assert bytes(next(container.demux(stream))) == (tmp_path / "mp4_cover.png").read_bytes()


@pytest.mark.parametrize("name", ["out.mkv", "out.webm", "out.mp4"])
async def test_variable_frame_rate_is_exact_to_the_time_base(name: str, tmp_path: Path) -> None:
    source = tmp_path / "vfr.mp4"
    graph = "select='gt(mod(n*7,11),3)'"
    tempo = ("-fps_mode", "vfr", "-video_track_timescale", "30000")
    ffmpeg(*pattern(50, size=SMALL, rate="30000/1001"), "-vf", graph, *tempo, *x264(), source)
    result = await assemble(source, tmp_path / name)
    shown = packet_times_s(result.output.path)
    if name == "out.mp4":
        assert shown == result.expected_s()
    else:
        assert len(shown) == len(result.index)
        errors = [abs(a - b) for a, b in zip(shown, result.expected_s(), strict=True)]
        assert max(errors) <= MILLISECOND / 2


CLIPS: dict[str, dict[str, float | str]] = {
    "plain.mp4": {},
    "plain.mkv": {},
    "late.mkv": {"audio_delay_s": 0.5},
    "late.mp4": {"audio_delay_s": 0.5},
    "early.mkv": {"video_delay_s": 0.4, "codec": "ac3"},
    "five.mkv": {"shift_s": 5},
    "beep.ts": {"codec": "ac3"},
}
ROUTES = [
    *(("opus", clip, "out.mkv") for clip in CLIPS),
    *(("opus", clip, "out.mp4") for clip in ("plain.mkv", "late.mp4", "early.mkv", "beep.ts")),
    *(("copy", clip, "out.mkv") for clip in ("plain.mp4", "late.mkv", "five.mkv", "beep.ts")),
    *(("copy", clip, "out.mp4") for clip in ("plain.mp4", "early.mkv", "late.mp4")),
]


@pytest.mark.parametrize(("audio", "clip", "name"), ROUTES)
async def test_beep_and_picture_keep_their_distance(
    audio: str, clip: str, name: str, tmp_path: Path
) -> None:
    source = beeping(tmp_path, clip, **CLIPS[clip])  # type: ignore[arg-type]
    chosen = EncodeOptions.model_validate({"audio": audio})
    result = await assemble(source, tmp_path / name, chosen)
    shift_s = float(result.done.shift_s)
    heard = [at - shift_s for at in beeps_s(result.output.path)]
    assert heard == pytest.approx(beeps_s(source), abs=0.0025)
    shown = packet_times_s(result.output.path)
    expected = result.expected_s()
    assert len(shown) == len(expected)
    assert max(abs(a - b) for a, b in zip(shown, expected, strict=True)) <= MILLISECOND / 2


async def test_chapters_and_subtitles_move_with_everything_else(tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=5500\nEND=6000\ntitle=X\n")
    subtitles = tmp_path / "s.srt"
    subtitles.write_text("1\n00:00:00,500 --> 00:00:00,900\nHi\n")
    inputs = (*pattern(24, size=SMALL), "-i", str(subtitles), "-i", str(chapters))
    maps = ("-map", "0:v", "-map", "1:s", "-map_chapters", "2")
    ffmpeg(*inputs, *maps, *x264(), "-output_ts_offset", "5", late)
    result = await assemble(late, tmp_path / "out.mkv")
    assert result.done.shift_s == -5
    before = result.source.chapters[0]
    after = result.output.chapters[0]
    assert after.start_s == pytest.approx(before.start_s - 5)
    assert after.end_s == pytest.approx(before.end_s - 5)
    assert subtitle_times_s(result.output.path, 1) == [0.5]


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
async def test_hdr10_facts_are_in_the_container(name: str, tmp_path: Path) -> None:
    result = await assemble(hdr10(tmp_path, frames=6), tmp_path / name)
    source, output = result.source.tracks[0].color, result.output.tracks[0].color
    before, after = source.mastering_display, output.mastering_display
    assert before is not None
    assert after is not None
    for name_of in ("red", "green", "blue", "white"):  # AV1 keeps them in 1/65536
        assert getattr(after, name_of) == pytest.approx(getattr(before, name_of), abs=2**-16)
    assert after.max_luminance == before.max_luminance
    assert after.min_luminance == pytest.approx(before.min_luminance, abs=2**-14)
    assert output.content_light == source.content_light
    written = result.output.path.read_bytes()  # in the container too, not only in the stream
    marks = (
        (b"mdcv", b"clli", b"colr")
        if name == "out.mp4"
        else (b"\x55\xd0", b"\x55\xbc", b"\x55\xb0")
    )
    assert all(mark in written for mark in marks)
    assert (output.primaries, output.transfer, output.matrix, output.range) == (
        "bt2020", "smpte2084", "bt2020nc", "tv",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
async def test_pixel_shape_is_kept(name: str, tmp_path: Path) -> None:
    result = await assemble(anamorphic(tmp_path), tmp_path / name)
    assert result.source.tracks[0].sample_aspect_ratio == Fraction(16, 11)
    assert result.output.tracks[0].sample_aspect_ratio == Fraction(16, 11)


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("upright") / "upright.mp4"
    ffmpeg(*pattern(4, size=SMALL), *x264(), out)
    return out


TURNS = [(degrees, mirrored) for degrees in (0, 90, 180, 270) for mirrored in (False, True)]
ORIENTATIONS = [
    *((*turn, "out.mkv") for turn in TURNS),
    *((*turn, "out.mp4") for turn in ((90, False), (270, True), (0, True))),
]


@pytest.mark.parametrize(("degrees", "mirrored", "name"), ORIENTATIONS)
async def test_turned_and_mirrored_pictures_stay_so(
    degrees: int, mirrored: bool, name: str, upright: Path, tmp_path: Path
) -> None:
    source = tmp_path / "turned.mp4"
    turn = ("-display_rotation", str(degrees), *(("-display_hflip",) if mirrored else ()))
    ffmpeg(*turn, "-i", upright, "-c", "copy", source)
    result = await assemble(source, tmp_path / name)
    before, after = result.source.tracks[0], result.output.tracks[0]
    assert (after.rotation_deg, after.mirrored) == (before.rotation_deg, before.mirrored)
    assert before.mirrored is mirrored


async def test_timecode_survives_in_both_containers(tmp_path: Path) -> None:
    source = tmp_path / "tc.mov"
    ffmpeg(*pattern(24, size=SMALL), *x264(), "-timecode", "01:00:00:12", source)
    for name in ("out.mkv", "out.mp4"):
        result = await assemble(source, tmp_path / name, EncodeOptions(strict_tracks=True))
        tags = {key.lower(): value for key, value in result.output.tracks[0].tags.items()}
        assert tags["timecode"] == "01:00:00:12"


async def test_any_text_survives_as_a_tag(upright: Path, tmp_path: Path) -> None:
    tags = {
        "title": "a;b#c=d\\e\nf\r\ng [STREAM] ;FFMETADATA1 ü 漢 🎬",
        "LONG": "0123456789" * 20_000,
        "ODD_KEY": "\\",
    }
    index = frame_index(upright)
    video = await write_video_track(encode_all(upright, index, tmp_path), index, tmp_path / "v.mp4")
    source = (await assemble(upright, tmp_path / "a.mkv")).source
    out = tmp_path / "-odd %03d 'name'.mkv"
    plan = plan_of(VIDEO, tags=tags)
    await mux(plan, source=source, video=video, audio={}, out=out, ffmpeg=FFMPEG, work_dir=tmp_path)
    with av.open(str(out)) as container:
        found = dict(container.metadata)
    found.pop("ENCODER")
    assert found == tags


async def test_failed_run_leaves_nothing_behind(upright: Path, tmp_path: Path) -> None:
    source = (await assemble(upright, tmp_path / "a.mkv")).source
    missing = VideoTrackFile(
        path=tmp_path / "gone.mp4", start_s=Fraction(0), frames=1, timescale=24
    )
    out = tmp_path / "out.mkv"
    with pytest.raises(ProcessFailedError, match=r"Assembling out\.mkv"):
        await mux(
            plan_of(VIDEO), source=source, video=missing, audio={}, out=out, ffmpeg=FFMPEG,
            work_dir=tmp_path,
        )  # fmt: skip
    assert not list(tmp_path.glob("out*"))
