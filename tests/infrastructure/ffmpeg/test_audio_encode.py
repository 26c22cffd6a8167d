"""Encoded audio stays where it was: a beep is looked for in the decoded result."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from drapto.core.audio_clock import HOLE_S
from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.job import TrackOutcome
from drapto.core.media import MediaInfo, Track, TrackKind
from drapto.core.tracks import AudioEncoding, AudioTrackFile, TrackPlan
from drapto.infrastructure.ffmpeg.audio import (
    encode_arguments,
    encode_audio,
    filter_graph,
    parse_first_sample,
    source_arguments,
)
from tests.media.assembling import FFMPEG
from tests.media.clips import ffmpeg
from tests.media.sound import BEEP_SOURCE, beeping, beeps_s, samples

MONO = AudioEncoding(
    bit_rate=64_000, channels=1, channel_layout="mono", mapping_family=0, source_layout="mono"
)


def plan(index: int = 1, encoding: AudioEncoding = MONO) -> TrackPlan:
    track = Track(index=index, kind=TrackKind.AUDIO, codec="aac", time_base=Fraction(1, 48000))
    outcome = TrackOutcome(
        source_index=index, kind="audio", codec="aac", action="encoded", detail=""
    )
    return TrackPlan(source=track, action="encode", codec="opus", audio=encoding, outcome=outcome)


async def encoded(source: Path, index: int = 1) -> AudioTrackFile:
    media = MediaInfo(path=source, format_name="", size_bytes=0)
    out = source.parent / "track.opus"
    return await encode_audio(media, plan(index), out, ffmpeg=FFMPEG)


def heard_s(track: AudioTrackFile) -> list[float]:
    """When the beeps are heard on the source's clock."""
    return [float(track.start_s) + at for at in beeps_s(track.path)]


@pytest.mark.parametrize(
    ("name", "clip", "start_s", "beeps"),
    [
        ("plain.mkv", {}, 0, (1, 2)),
        ("plain.mp4", {}, 0, (1, 2)),
        ("late.mkv", {"audio_delay_s": 0.5}, 0.5, (1.5, 2.5)),
        ("early.mkv", {"video_delay_s": 0.4, "codec": "ac3"}, 0, (1, 2)),
        ("five.mkv", {"shift_s": 5}, 5, (6, 7)),
        ("flac.mkv", {"codec": "flac"}, 0, (1, 2)),
        ("rate.mkv", {"audio_filter": "aresample=44100"}, 0, (1, 2)),
    ],
)
async def test_beep_stays_at_its_time(
    name: str, clip: dict[str, float], start_s: float, beeps: tuple[float, ...], tmp_path: Path
) -> None:
    track = await encoded(beeping(tmp_path, name, **clip))  # type: ignore[arg-type]
    assert float(track.start_s) == pytest.approx(start_s, abs=0.001)
    assert heard_s(track) == pytest.approx(beeps, abs=0.002)
    assert track.duration_s == pytest.approx(3, abs=0.025)


async def test_edit_list_with_late_audio_keeps_the_beep(tmp_path: Path) -> None:
    track = await encoded(beeping(tmp_path, "late.mp4", audio_delay_s=0.5))
    assert heard_s(track) == pytest.approx((1.5, 2.5), abs=0.002)


async def test_transport_stream_keeps_the_beep_where_its_timestamps_say(tmp_path: Path) -> None:
    source = beeping(tmp_path, "beep.ts", codec="ac3")
    track = await encoded(source)
    assert heard_s(track) == pytest.approx(beeps_s(source), abs=0.002)
    assert float(track.start_s) > 1


async def test_gap_in_the_middle_stays_a_gap_of_the_same_length(tmp_path: Path) -> None:
    hole = "aselect='not(between(t,1.3,1.7))'"
    source = beeping(tmp_path, "gap.mkv", codec="pcm_s16le", audio_filter=hole)
    track = await encoded(source)
    assert heard_s(track) == pytest.approx((1, 2), abs=0.002)
    assert track.duration_s == pytest.approx(3, abs=0.002)


async def test_many_lost_packets_do_not_add_up_to_a_drift(tmp_path: Path) -> None:
    lost = "noise=drop='eq(mod(n,9),5)'"  # 15 of 141 packets of 21 ms: 0.3 s in all
    source = beeping(tmp_path, "lost.mkv", audio_bsf=lost)
    track = await encoded(source)
    assert heard_s(track)[-1] == pytest.approx(2, abs=HOLE_S)
    assert track.duration_s == pytest.approx(3, abs=0.05)


async def test_overlapping_timestamps_are_cut_and_do_not_push_the_rest_back(
    tmp_path: Path,
) -> None:
    twice = tmp_path / "overlap.nut"
    graph = "asplit[a][b];[a]atrim=end=1.5[c];[b]atrim=start=1.5,asetpts=PTS-0.2/TB[d];"
    graph += "[c][d]concat=v=0:a=1:unsafe=1"
    ffmpeg(*BEEP_SOURCE, "-filter_complex", graph, "-c:a", "pcm_s16le", twice)
    track = await encoded(twice, 0)
    assert heard_s(track)[0] == pytest.approx(1, abs=0.002)
    assert heard_s(track)[-1] == pytest.approx(beeps_s(twice)[-1], abs=0.002)


async def test_change_of_layout_in_the_middle_is_followed(tmp_path: Path) -> None:
    for name, pan in (("a.ac3", "5.1|FL=c0"), ("b.ac3", "stereo|FL=c0")):
        ffmpeg(*BEEP_SOURCE, "-af", f"pan={pan}", "-c:a", "ac3", "-b:a", "384k", tmp_path / name)
    joined = tmp_path / "joined.ac3"
    joined.write_bytes((tmp_path / "a.ac3").read_bytes() + (tmp_path / "b.ac3").read_bytes())
    source = tmp_path / "seam.mkv"
    ffmpeg("-i", joined, "-c", "copy", source)
    track = await encoded(source, 0)
    assert heard_s(track) == pytest.approx((1.005, 2.005, 4.013, 5.013), abs=0.003)


def test_millisecond_rounding_changes_no_sample(tmp_path: Path) -> None:
    source = tmp_path / "odd.mkv"
    odd_frames = ("-af", "asetnsamples=n=1111:p=0", "-c:a", "pcm_s16le")
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=r=48000:d=2:seed=5", *odd_frames, source)

    def decoded(*options: str) -> bytes:
        argv = [str(FFMPEG), "-v", "error", "-copyts", "-i", str(source), *options]
        return subprocess.run([*argv, "-f", "s16le", "-"], capture_output=True, check=True).stdout

    assert decoded("-af", filter_graph(MONO, Fraction(0))) == decoded()


async def test_odd_file_names_are_safe(tmp_path: Path) -> None:
    source = beeping(tmp_path, "plain.mkv")
    odd = source.rename(tmp_path / "-i 100% 'odd' [name]:x.mkv")
    assert heard_s(await encoded(odd)) == pytest.approx((1, 2), abs=0.002)


async def test_track_without_a_sample_is_an_input_error(tmp_path: Path) -> None:
    source = tmp_path / "empty.wav"
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-t", "0", source)
    with pytest.raises((InputError, ProcessFailedError)):
        await encoded(source, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["empty.wav"]


async def test_progress_ends_with_the_whole_length(tmp_path: Path) -> None:
    seen: list[float] = []
    media = MediaInfo(path=beeping(tmp_path, "p.mkv"), format_name="", size_bytes=0)
    out = tmp_path / "p.opus"
    track = await encode_audio(media, plan(), out, ffmpeg=FFMPEG, on_progress=seen.append)
    assert seen[-1] == track.duration_s == pytest.approx(len(samples(out)) / 48000)


def test_first_sample_is_read_from_framecrc() -> None:
    text = "#software: Lavf\n#tb 0: 1/48000\n#media_type 0: audio\n"
    text += "0,  67200,  67200, 1024, 2048, 0x0\n"
    assert parse_first_sample(text) == Fraction(67200, 48000)
    assert parse_first_sample(text.replace(" 67200,", " -1024,")) == Fraction(-1024, 48000)
    assert parse_first_sample("#tb 0: 1/48000\n") is None


def test_arguments_place_the_track_and_choose_the_mapping() -> None:
    moved = MONO.model_copy(
        update={"source_layout": "5.1(side)", "pan": "5.1|FL=FL", "mapping_family": 1}
    )
    arguments = encode_arguments(
        source_arguments(Path("/a/b.mkv"), plan(3)), moved, Fraction(3, 2), Path("/w/3.opus")
    )
    graph = arguments[arguments.index("-af") + 1]
    assert graph.startswith("aformat=channel_layouts=5.1(side),aresample=48000:async=1")
    assert graph.endswith("pan=5.1|FL=FL,asetpts=PTS-72000")
    assert arguments[arguments.index("-i") + 1] == "file:/a/b.mkv"
    assert arguments[arguments.index("-map") + 1] == "0:3"
    assert arguments[arguments.index("-mapping_family") + 1] == "1"
