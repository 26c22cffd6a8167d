"""What becomes of an audio track, and that libopus really accepts what is planned."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from drapto.core.job import TrackOutcome
from drapto.core.media import MediaInfo, Track, TrackKind
from drapto.core.tracks import AudioEncoding, Container, TrackPlan
from drapto.infrastructure.ffmpeg.audio import encode_audio
from drapto.services.encoding.audio import (
    FAMILY_1,
    OTHER_LAYOUTS,
    channel_names,
    decide_audio,
    opus_encoding,
)
from tests.media.sound import TONE_RMS, loudest_hz, tones

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
MKV = Container.MATROSKA
MOVE = r"(\w+)=0\.999999\*(\w+)"


def audio(codec: str = "aac", channels: int | None = 2, layout: str | None = "stereo") -> Track:
    return Track(
        index=1,
        kind=TrackKind.AUDIO,
        codec=codec,
        time_base=Fraction(1, 48000),
        channels=channels,
        channel_layout=layout,
    )


def every_layout() -> dict[str, tuple[str, ...]]:
    """All layouts that the bundled ffmpeg names, with their channels."""
    done = subprocess.run([FFMPEG, "-hide_banner", "-layouts"], capture_output=True, text=True)
    standard = done.stdout.split("Standard channel layouts:")[1]
    rows = re.findall(r"^(\S+)\s+(\S+)$", standard, re.MULTILINE)
    return {name: tuple(parts.split("+")) for name, parts in rows if name != "NAME"}


LAYOUTS = every_layout()


@pytest.mark.parametrize(
    ("channels", "layout", "bit_rate"),
    [
        (1, "mono", 64_000),
        (2, "stereo", 128_000),
        (3, "3.0", 144_000),
        (3, "2.1", 144_000),
        (5, "5.0", 240_000),
        (6, "5.1", 256_000),
        (6, "5.1(side)", 256_000),
        (7, "6.1", 336_000),
        (8, "7.1", 384_000),
        (12, "7.1.4", 576_000),
    ],
)
def test_bit_rate_follows_the_channels(channels: int, layout: str, bit_rate: int) -> None:
    assert opus_encoding(audio(channels=channels, layout=layout))[0].bit_rate == bit_rate


def test_tables_name_the_channels_as_ffmpeg_does() -> None:
    for name, parts in (FAMILY_1 | OTHER_LAYOUTS).items():
        assert LAYOUTS[name] == tuple(parts.split()), name


@pytest.mark.parametrize(
    ("layout", "target"),
    [
        ("5.1(side)", "5.1"),
        ("5.0(side)", "5.0"),
        ("quad(side)", "quad"),
        ("2.1", "5.1"),
        ("3.1", "5.1"),
        ("3.0(back)", "6.1"),
        ("4.0", "6.1"),
        ("4.1", "6.1"),
        ("6.0", "6.1"),
        ("hexagonal", "6.1"),
        ("6.1(back)", "6.1"),
        ("6.0(front)", "7.1"),
        ("7.0", "7.1"),
        ("7.1(wide)", "7.1"),
        ("7.1(wide-side)", "7.1"),
        ("binaural", "stereo"),
        ("downmix", "stereo"),
    ],
)
def test_refused_layout_moves_to_the_smallest_one_with_room(layout: str, target: str) -> None:
    count = len(LAYOUTS[layout])
    encoding, note = opus_encoding(audio(channels=count, layout=layout))
    assert encoding.channel_layout == target
    assert encoding.channels >= count
    assert f"({layout} as {target})" in note


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_channel_of_every_layout_has_a_place_of_its_own(layout: str) -> None:
    parts = LAYOUTS[layout]
    encoding, note = opus_encoding(audio(channels=len(parts), layout=layout))
    if encoding.pan is not None:
        moves = re.findall(MOVE, encoding.pan)
        assert sorted(source for _, source in moves) == sorted(parts)
        assert len({to for to, _ in moves}) == len(parts)
    elif encoding.mapping_family == 255:
        assert encoding.channels == len(parts)
        assert "cannot store the positions" in note
    else:
        assert encoding.channel_layout == layout


async def encode(path: Path, encoding: AudioEncoding, out: Path) -> None:
    media = MediaInfo(path=path, format_name="", size_bytes=0)
    track = audio().model_copy(update={"index": 0})
    outcome = TrackOutcome(source_index=0, kind="audio", codec="", action="encoded", detail="")
    plan = TrackPlan(source=track, action="encode", codec="opus", audio=encoding, outcome=outcome)
    await encode_audio(media, plan, out, ffmpeg=FFMPEG)


# Layouts that a WAV header can name, with every treatment among them.
IN_WAV = [
    "mono", "stereo", "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1", "5.0",
    "5.0(side)", "4.1", "5.1", "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "6.1(back)",
    "6.1(front)", "7.0", "7.0(front)", "7.1", "7.1(wide)", "7.1(wide-side)", "octagonal", "5.1.2",
    "7.1.4",
]  # fmt: skip


@pytest.mark.parametrize("layout", IN_WAV)
async def test_libopus_takes_the_layout_and_each_channel_arrives(
    layout: str, tmp_path: Path
) -> None:
    parts = LAYOUTS[layout]
    hz = {name: 60 if name == "LFE" else 400 + 200 * n for n, name in enumerate(parts)}
    source = tones(tmp_path, layout, list(hz.values()))
    encoding, _ = opus_encoding(audio(channels=len(parts), layout=layout))
    out = tmp_path / "out.opus"
    await encode(source, encoding, out)
    heard, levels = loudest_hz(out, encoding.channels)
    expected: list[int | None] = list(hz.values())
    if encoding.pan is not None:
        by_place = {to: hz[source] for to, source in re.findall(MOVE, encoding.pan)}
        expected = [by_place.get(place) for place in LAYOUTS[encoding.channel_layout]]
    near = [None if f is None else round(f, -1) for f in heard]
    assert near == expected
    assert all(level == pytest.approx(TONE_RMS, rel=0.1) for level in levels if level)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 20])
async def test_unknown_layouts_are_encoded_without_losing_a_channel(
    channels: int, tmp_path: Path
) -> None:
    source = tmp_path / "unknown.wav"
    graph = f"anullsrc=cl='{channels} channels':r=48000:d=0.2"
    argv = [
        str(FFMPEG),
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        graph,
        "-c:a",
        "pcm_s16le",
        str(source),
    ]
    subprocess.run(argv, check=True)
    encoding, _ = opus_encoding(audio(channels=channels, layout=None))
    assert encoding.channels == channels
    await encode(source, encoding, tmp_path / "out.opus")


def test_custom_layout_is_read_from_its_channel_list() -> None:
    layout = "3 channels (FL+FR+LFE)"
    assert channel_names(layout) == ("FL", "FR", "LFE")
    encoding, _ = opus_encoding(audio(channels=3, layout=layout))
    assert encoding.pan == "5.1|FL=0.999999*FL|FR=0.999999*FR|LFE=0.999999*LFE"


def test_opus_source_is_copied_and_says_so() -> None:
    decision = decide_audio(audio("opus"), MKV, mode="opus", holdable=True)
    assert decision.action == "copy"
    assert "already Opus" in decision.detail


def test_track_without_decoder_is_copied_if_the_container_takes_it() -> None:
    decision = decide_audio(audio("ac4"), MKV, mode="opus", holdable=True)
    assert decision.action == "copy"
    assert "no decoder" in decision.detail


def test_track_that_can_neither_be_encoded_nor_copied_is_dropped_with_both_reasons() -> None:
    decision = decide_audio(audio("ac4"), Container.WEBM, mode="opus", holdable=False)
    assert decision.action == "drop"
    assert not decision.wanted
    assert "no decoder" in decision.detail
    assert "webm cannot hold it" in decision.detail


def test_copy_mode_encodes_what_the_container_cannot_take_and_says_so() -> None:
    decision = decide_audio(audio("aac"), Container.WEBM, mode="copy", holdable=False)
    assert decision.action == "encode"
    assert "webm cannot hold aac" in decision.detail


def test_audio_none_drops_on_purpose() -> None:
    decision = decide_audio(audio(), MKV, mode="none", holdable=True)
    assert (decision.action, decision.wanted) == ("drop", True)
