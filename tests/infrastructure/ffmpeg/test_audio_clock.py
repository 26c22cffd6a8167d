"""Timestamps that leap in real files: the beeps stay where they belong."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from drapto.core.audio_clock import Leap, Picture
from drapto.core.errors import InputError
from drapto.core.media import MediaInfo
from drapto.core.tracks import AudioTrackFile
from drapto.infrastructure.ffmpeg.audio import encode_audio
from drapto.infrastructure.ffmpeg.audio_clock import MAX_LEAPS, mending, read_leaps
from tests.infrastructure.ffmpeg.test_audio_encode import FFMPEG, heard_s, plan
from tests.media.restamped import restamped, restamped_ts
from tests.media.sound import beeping

HOUR_MS = 3_600_000
SHOWN = Picture(Fraction(0), Fraction(3))


async def leaps_in(source: Path, picture: Picture = SHOWN) -> tuple[Leap, ...]:
    return (await read_leaps(source, [1], picture))[1]


async def encoded(source: Path, leaps: tuple[Leap, ...]) -> AudioTrackFile:
    media = MediaInfo(path=source, format_name="", size_bytes=0)
    mended = plan(1).model_copy(update={"leaps": leaps})
    return await encode_audio(media, mended, source.parent / "track.opus", ffmpeg=FFMPEG)


Wild = Callable[[int], int]


@pytest.mark.parametrize(
    ("wild", "packets"),
    [
        (lambda n: 9 * HOUR_MS * (n == 70), [(70, 1)]),
        (lambda n: 30_000 * (n == 70), [(70, 1)]),
        (lambda n: 9 * HOUR_MS * (n >= 70), [(70, 72)]),
        (lambda n: 9 * HOUR_MS * (n == 0), [(0, 1)]),
        (lambda n: 9 * HOUR_MS * (60 <= n < 80), [(60, 20)]),
        (lambda n: n % 7 * HOUR_MS * (60 <= n < 63), [(60, 1), (61, 1), (62, 1)]),
    ],
    ids=["one packet", "one packet by seconds", "second half", "first", "a stretch", "in a row"],
)
async def test_leap_by_hours_moves_no_beep(
    wild: Wild, packets: list[tuple[int, int]], tmp_path: Path
) -> None:
    whole = beeping(tmp_path, "whole.mkv", audio_delay_s=0.1)
    source = restamped(whole, tmp_path / "wild.mkv", lambda n, at_ms: at_ms + wild(n))
    leaps = await leaps_in(source)
    assert [(leap.packet, leap.packets) for leap in leaps] == packets
    track = await encoded(source, leaps)
    assert heard_s(track) == pytest.approx((1.1, 2.1), abs=0.004)
    assert track.duration_s == pytest.approx(3, abs=0.025)


async def test_gap_of_a_minute_within_the_film_stays_a_gap(tmp_path: Path) -> None:
    whole = beeping(tmp_path, "whole.mkv")
    source = restamped(whole, tmp_path / "gap.mkv", lambda n, at: at + 60_000 * (n >= 70))
    leaps = await leaps_in(source, Picture(Fraction(0), Fraction(65)))
    assert leaps == ()
    assert heard_s(await encoded(source, leaps)) == pytest.approx((1, 62), abs=0.004)


async def test_transport_stream_with_a_wild_packet_keeps_its_beeps(tmp_path: Path) -> None:
    whole = beeping(tmp_path, "whole.ts", codec="ac3")
    untouched = await encoded(whole, await leaps_in(whole))
    source = restamped_ts(whole, tmp_path / "wild.ts", packet=8, by_s=3600)
    leaps = await leaps_in(source)
    assert len(leaps) == 1
    track = await encoded(source, leaps)
    assert heard_s(track) == pytest.approx(heard_s(untouched), abs=0.004)
    assert track.duration_s == pytest.approx(untouched.duration_s, abs=0.002)


async def test_sound_tracks_are_read_together_and_whole_ones_have_no_leaps(tmp_path: Path) -> None:
    source = beeping(tmp_path, "whole.mkv")
    assert await read_leaps(source, [1], SHOWN) == {1: ()}
    assert await read_leaps(source, [], SHOWN) == {}


async def test_as_many_leaps_as_are_mended_fit_on_a_command_line(tmp_path: Path) -> None:
    source = beeping(tmp_path, "whole.mkv")
    one = Leap(packet=500_000, packets=1, ticks=-(2**40), at_s=0, said_s=0)
    far = tuple(one.model_copy(update={"packet": one.packet + 2 * n}) for n in range(MAX_LEAPS))
    assert heard_s(await encoded(source, far)) == pytest.approx((1, 2), abs=0.002)
    with pytest.raises(InputError, match="leap 1001 times"):
        mending(1, (*far, one))
