"""Which timestamps are believed, and where the sound of the others is placed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.audio_clock import MARGIN_S, Leap, Picture, find_leaps, on_clock

MS = Fraction(1, 1000)
STEP = 20
HOUR = 3_600_000


def even(packets: int, start: int = 0) -> list[int]:
    return [start + STEP * n for n in range(packets)]


def leaps_of(pts: Sequence[int], film_s: int = 10) -> tuple[Leap, ...]:
    duration = np.full(len(pts), STEP, dtype=np.int64)
    picture = Picture(Fraction(0), Fraction(film_s))
    return find_leaps(np.array(pts, dtype=np.int64), duration, MS, picture)


def placed(pts: Sequence[int], film_s: int = 10) -> list[int]:
    return on_clock(np.array(pts, dtype=np.int64), leaps_of(pts, film_s)).tolist()


def moved(pts: Sequence[int], by: int, first: int, end: int | None = None) -> list[int]:
    numbers = range(len(pts))[first:end]
    return [at + by * (n in numbers) for n, at in enumerate(pts)]


def test_even_track_has_no_leaps() -> None:
    assert leaps_of(even(500)) == ()
    assert leaps_of([]) == ()


def test_single_wild_packet_is_placed_where_it_stands() -> None:
    for by in (9 * HOUR, 5_000, -5_000, -9 * HOUR):
        wild = moved(even(500), by, 100, 101)
        (leap,) = leaps_of(wild)
        assert (leap.packet, leap.packets, leap.ticks) == (100, 1, by)
        assert (leap.at_s, leap.said_s) == (2.0, 2.0 + by / 1000)
        assert placed(wild) == even(500)


def test_first_packet_may_be_the_wild_one() -> None:
    assert placed(moved(even(500), 9 * HOUR, 0, 1)) == even(500)


def test_everything_after_a_leap_goes_on_where_it_stopped() -> None:
    for by in (9 * HOUR, -9 * HOUR):
        wild = moved(even(500), by, 300)
        assert [(leap.packet, leap.packets) for leap in leaps_of(wild)] == [(300, 200)]
        assert placed(wild) == even(500)


def test_sound_is_where_it_says_once_the_timestamps_return() -> None:
    lost = even(500)[:300] + even(500)[320:]  # 0.4 s are missing inside the leap
    wild = moved(lost, 9 * HOUR, 290, 310)
    assert placed(wild) == lost


def test_wild_packets_in_a_row_are_each_mended() -> None:
    wild = even(500)
    for number, by in ((100, 9 * HOUR), (101, 3 * HOUR), (102, 6000), (103, -20 * HOUR)):
        wild[number] += by
    assert placed(wild) == even(500)
    assert len(leaps_of(wild)) == 4


def test_gap_of_minutes_within_the_film_is_no_leap() -> None:
    assert leaps_of(moved(even(500), 20 * 60_000, 250), film_s=1800) == ()


def test_gap_just_behind_the_picture_is_no_leap_but_a_longer_one_is() -> None:
    margin_ms = round(MARGIN_S * 1000)
    assert leaps_of(moved(even(500), margin_ms, 250)) == ()
    assert len(leaps_of(moved(even(500), margin_ms + 5_000 + STEP, 250))) == 1


def test_sound_that_goes_on_long_after_the_picture_is_believed() -> None:
    assert leaps_of(even(50_000), film_s=1) == ()


def test_overlap_stays_as_it_is() -> None:
    assert leaps_of(even(250) + even(250, start=4500)) == ()
    assert leaps_of(even(100) + even(400, start=1500)) == ()


def test_track_with_a_clock_of_its_own_is_believed() -> None:
    late = even(500, start=9 * HOUR)
    assert leaps_of(late) == ()
    assert placed(moved(late, 9 * HOUR, 250)) == late


def test_gap_inside_a_displaced_half_is_kept() -> None:
    gap = moved(even(500), 3000, 400)
    assert placed(moved(gap, 9 * HOUR, 300)) == gap


STAMPS = st.lists(st.integers(-50 * HOUR, 50 * HOUR), min_size=1, max_size=60)


@given(STAMPS, st.integers(0, 7200))
def test_no_silence_is_filled_far_beyond_film_and_sound(stamps: list[int], film_s: int) -> None:
    places = placed(stamps, film_s)
    limit_ms = max(film_s * 1000, STEP * len(stamps)) + 2 * round(MARGIN_S * 1000)
    limit_ms += 2 * STEP * len(stamps)
    assert max(places) - min(places) <= limit_ms


@given(STAMPS)
def test_mended_timestamps_need_no_mending(stamps: list[int]) -> None:
    assert len(placed(stamps)) == len(stamps)
    assert sum(leap.packets for leap in leaps_of(stamps)) <= len(stamps)
