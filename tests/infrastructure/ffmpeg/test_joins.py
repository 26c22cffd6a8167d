"""Where recordings were joined, and where a clock jumps for another reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.infrastructure.ffmpeg.frames import index_packets
from drapto.infrastructure.ffmpeg.joins import Join, clock_jumps, find_joins
from tests.media import clips, hostile
from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.joined import FRAMES, HOUR_S, join, part

TICKS = 90_000
HEAD_BYTES = 3 * 188  # service description, program association and map come before the pictures
PRIMING_S = 0.022  # AAC begins so much before the picture, and only a clock from 0 has room for it


def joins(path: Path) -> tuple[Join, ...]:
    return find_joins(path, 0, index_packets(path, 0).table)


def test_a_join_is_where_the_second_recording_begins(tmp_path: Path) -> None:
    first, second = part(tmp_path), part(tmp_path, "2.ts", at_s=HOUR_S)
    (found,) = joins(join(first, second))
    assert found.offset == first.stat().st_size + HEAD_BYTES
    assert found.packet == FRAMES
    assert found.shift == -found.jump
    assert found.shift / TICKS == pytest.approx(2 - HOUR_S, abs=PRIMING_S)


def test_shifts_count_from_the_source_not_from_the_join_before(tmp_path: Path) -> None:
    first, second = part(tmp_path), part(tmp_path, "2.ts", at_s=HOUR_S)
    found = joins(join(first, second, first))
    shifts_s = [one.shift / TICKS for one in found]
    assert shifts_s == pytest.approx([2 - HOUR_S, 4], abs=PRIMING_S)


def test_sound_that_comes_before_the_first_picture_belongs_to_its_recording(
    tmp_path: Path,
) -> None:
    first, second = part(tmp_path, at_s=HOUR_S), part(tmp_path, "2.ts")
    late = tmp_path / "late.ts"
    ffmpeg("-i", second, "-c", "copy", "-bsf:v", "setts=pts=PTS+90000:dts=DTS+90000", late)
    (found,) = joins(join(first, late))
    assert found.offset == first.stat().st_size + HEAD_BYTES
    with_sound_first = late.read_bytes()[HEAD_BYTES : HEAD_BYTES + 3]
    assert with_sound_first[1:] == b"\x41\x01"  # a PES packet begins; PID 0x101 is the sound


def test_where_sound_outlasts_the_picture_the_picture_waits(tmp_path: Path) -> None:
    first, second = part(tmp_path, sound_s=2.5), part(tmp_path, "2.ts")
    (found,) = joins(join(first, second))
    assert found.jump == -2 * TICKS
    assert found.shift / TICKS == pytest.approx(2.5, abs=0.06)


@pytest.mark.parametrize("later_s", [2, 11])
def test_a_hole_of_seconds_is_no_join(later_s: float, tmp_path: Path) -> None:
    source = join(part(tmp_path), part(tmp_path, "2.ts", at_s=later_s))
    assert joins(source) == ()
    assert not clock_jumps(index_packets(source, 0).table)


def test_an_overflow_of_the_clock_is_no_join(tmp_path: Path) -> None:
    assert not clock_jumps(index_packets(hostile.wrapped_ts(tmp_path), 0).table)


def test_missing_pictures_under_sound_that_goes_on_are_no_join(tmp_path: Path) -> None:
    source = tmp_path / "hole.ts"
    still = pattern(150, size="128x72", rate="5")
    dropped = ("-bsf:v", "noise=drop='between(pts*tb,8,20)'")
    ffmpeg(*still, *tone(30), *x264(keyint=5, bframes=0), *dropped, "-c:a", "mp2", source)
    table = index_packets(source, 0).table
    assert clock_jumps(table)
    assert find_joins(source, 0, table) == ()


def test_other_containers_are_not_asked(tmp_path: Path) -> None:
    assert not clock_jumps(index_packets(clips.simple(tmp_path), 0).table)
