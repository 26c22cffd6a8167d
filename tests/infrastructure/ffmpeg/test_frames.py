"""The frame index against full decodes, container by container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.errors import InputError
from drapto.core.media import FrameIndex
from drapto.infrastructure.ffmpeg.display_order import decoded_rows, display_order
from drapto.infrastructure.ffmpeg.frames import (
    build_index,
    decoded_pts,
    index_from_decoded,
    index_packets,
)
from drapto.infrastructure.ffmpeg.packets import NO_PTS, PacketTable, read_packets
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.ffmpeg.timestamps import (
    durations,
    from_own,
    from_rate,
    from_some,
    strictly_increasing,
)
from tests.media import clips, hostile
from tests.media.containers import BUILDERS, shared
from tests.media.field_coded import field_coded

UNTIMED = {
    "avi_h264", "avi_mpeg4", "avi_packed", "raw_h264", "raw_hevc", "mpeg2_es", "mpeg4_es",
    "av1_obu", "raw_h264_adaptive", "raw_hevc_open", "raw_vvc",
}  # fmt: skip
"""Clips whose container does not say when each frame is shown."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.mark.parametrize("name", sorted(set(BUILDERS) - UNTIMED))
def test_index_is_what_both_decoders_yield(name: str, cache: Path) -> None:
    path = shared(name, cache)
    indexed = index_packets(path, 0)
    shown = indexed.index.pts.tolist()
    assert shown == [pts for pts, _ in clips.decoded_frames(path)], "the ffmpeg program"
    assert shown == decoded_pts(path, 0), "PyAV"
    assert indexed.faithful
    assert not indexed.index.synthetic


@pytest.mark.parametrize("name", sorted(UNTIMED))
def test_display_order_is_found_where_the_container_has_none(name: str, cache: Path) -> None:
    path = shared(name, cache)
    table = read_packets(path, 0)
    assert display_order(path, 0, table).tolist() == decoded_rows(path, 0)
    indexed = index_packets(path, 0)
    assert not indexed.faithful
    assert indexed.index.is_constant_rate
    assert any("timestamps" in note or "order" in note for note in indexed.index.notes)


@pytest.mark.parametrize(
    ("name", "rate", "synthetic"),
    [
        ("raw_h264", Fraction(24), True),
        ("raw_hevc", Fraction(24), True),
        ("mpeg2_es", Fraction(25), True),
        ("avi_h264", Fraction(24), False),
    ],
)
def test_made_up_timestamps_follow_the_rate_that_the_headers_tell(
    name: str, rate: Fraction, synthetic: bool, cache: Path
) -> None:
    index = index_packets(shared(name, cache), 0).index
    assert index.frame_rate == rate
    assert index.synthetic is synthetic
    assert int(index.pts[0]) == 0


def test_key_marks_are_where_the_encoder_put_them(cache: Path) -> None:
    media = probe_file(shared("mkv", cache))
    index = build_index(media.path, main_video(media))
    assert np.flatnonzero(index.key).tolist() == [0, 24, 48]
    assert (len(index), index.frame_rate) == (72, Fraction(24))
    assert index.duration_s == pytest.approx(3.0, abs=0.002)


def test_an_edit_list_hides_what_it_discards(cache: Path) -> None:
    indexed = index_packets(shared("edit_list", cache), 0)
    assert len(indexed.table) > len(indexed.index)
    assert int(indexed.index.pts[0]) == 0


def test_hidden_reference_pictures_are_no_frames(cache: Path) -> None:
    indexed = index_packets(shared("webm_vp8", cache), 0)
    assert len(indexed.table) > len(indexed.index) == 72


def test_start_offset_stays_in_the_timestamps(cache: Path) -> None:
    index = index_packets(shared("start_offset", cache), 0).index
    assert index.time_s(0) == 5.0


@pytest.mark.parametrize("container", ["h264", "ts", "mp4", "mkv"])
def test_two_fields_in_two_packets_are_one_frame(tmp_path: Path, container: str) -> None:
    path = field_coded(tmp_path)
    if container != "h264":
        source, path = path, tmp_path / f"fields.{container}"
        clips.ffmpeg("-framerate", "25", "-i", source, "-c", "copy", path)
    indexed = index_packets(path, 0)
    assert (len(indexed.table), len(indexed.index)) == (50, 30)
    assert len(clips.decoded_frames(path)) == 30
    assert indexed.index.frame_rate == 25
    if container != "h264":
        assert indexed.index.pts.tolist() == decoded_pts(path, 0)


@pytest.mark.parametrize(
    ("build", "note"),
    [
        (hostile.begins_between_key_frames, "before the first key frame"),
        (hostile.headless, "before the first key frame"),
        (lambda d: hostile.open_start(d, "hevc"), "without what was cut off"),
        (lambda d: hostile.open_start(d, "h264"), "without what was cut off"),
        (lambda d: hostile.cut_off(clips.simple(d), 0.6), "it was cut off"),
        (lambda d: hostile.cut_off(BUILDERS["mp4_fragmented"](d), 0.6), "torn at the end"),
        (lambda d: hostile.cut_off(BUILDERS["flv"](d), 0.6), "torn at the end"),
        (lambda d: hostile.cut_off(BUILDERS["ts"](d), 0.6), None),
        (hostile.wrapped_ts, None),
        (hostile.rare_timestamps, None),
    ],
)
def test_index_of_a_damaged_file_is_what_can_be_decoded(
    tmp_path: Path, build: Callable[[Path], Path], note: str | None
) -> None:
    path = build(tmp_path)
    index = index_packets(path, 0).index
    assert index.pts.tolist() == decoded_pts(path, 0)
    if note is not None:
        assert any(note in said for said in index.notes), index.notes


def test_three_recordings_without_sound_follow_each_other(tmp_path: Path) -> None:
    index = index_packets(hostile.joined_ps(tmp_path), 0).index
    assert len(index) == 72
    assert len([note for note in index.notes if "clock starts anew" in note]) == 2
    assert set(np.diff(index.pts).tolist()) == {3750}


def test_two_recordings_in_one_file_get_one_clock(tmp_path: Path) -> None:
    indexed = index_packets(hostile.joined_ts(tmp_path), 0)
    assert len(indexed.index) == 96
    assert indexed.index.is_constant_rate
    assert not indexed.faithful
    assert any("clock starts anew at frame 48" in note for note in indexed.index.notes)


def test_equal_timestamps_are_moved_apart(tmp_path: Path) -> None:
    indexed = index_packets(hostile.equal_timestamps(tmp_path), 0)
    assert len(indexed.index) == 48
    assert not indexed.faithful
    assert any("12 timestamps moved apart" in note for note in indexed.index.notes)


def test_a_stream_that_is_not_there_is_an_input_error(cache: Path) -> None:
    with pytest.raises(InputError, match="no video stream"):
        index_packets(shared("mkv", cache), 1)


def test_reading_stops_when_the_caller_is_gone(cache: Path) -> None:
    class Gone(BaseException):
        pass

    def check() -> None:
        raise Gone

    with pytest.raises(Gone):
        index_packets(shared("mkv", cache), 0, check)


def _index(pts: list[int], keys: tuple[int, ...] = (0,)) -> FrameIndex:
    key = np.zeros(len(pts), dtype=np.bool_)
    key[list(keys)] = True
    times = np.array(pts, dtype=np.int64)
    return FrameIndex(Fraction(1, 1000), times, durations(times, 0, 40), key)


def test_decoded_frames_win_over_packets_and_keep_key_marks() -> None:
    index = _index([0, 40, 80, 120, 160, 200], keys=(0, 3, 5))
    rebuilt = index_from_decoded(index, [0, 40, 120, 160])
    assert rebuilt.pts.tolist() == [0, 40, 120, 160]
    assert rebuilt.key.tolist() == [True, False, True, False]
    assert rebuilt.duration.tolist() == [40, 80, 40, 80]
    assert rebuilt.notes == (
        "4 frames decoded where the container has 6, the first difference at frame 2: the source "
        "is damaged",
    )


def test_frames_that_only_have_other_times_are_not_said_to_be_missing() -> None:
    rebuilt = index_from_decoded(_index([0, 40, 80, 120]), [0, 40, 90, 130])
    assert rebuilt.pts.tolist() == [0, 40, 90, 130]
    assert rebuilt.notes == (
        "the decoder gives 2 of 4 frames another timestamp than the container, the first at frame "
        "2: the decoder's are used",
    )


def test_frames_lost_at_the_end_begin_where_the_decoder_ends() -> None:
    (note,) = index_from_decoded(_index([0, 40, 80]), [0, 40]).notes
    assert note.startswith("2 frames decoded where the container has 3, the first difference at ")
    assert "at frame 2:" in note


def test_decoded_frames_that_are_the_listed_ones_need_no_note() -> None:
    assert index_from_decoded(_index([0, 40, 80]), [80, 0, 40]).notes == ()


def test_decoded_frames_at_one_time_are_counted_as_moved() -> None:
    times, moved = index_from_decoded(_index([0, 40, 80]), [0, 40, 40]).notes
    assert "gives 1 of 3 frames another timestamp" in times
    assert moved == "1 timestamp of decoded frames moved apart"


def test_no_decoded_frame_at_all_is_an_input_error() -> None:
    with pytest.raises(InputError):
        index_from_decoded(_index([0, 40]), [])


def test_damage_inside_a_file_is_survived_with_the_programs_frames(tmp_path: Path) -> None:
    path = clips.silent(tmp_path, frames=72)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    path.write_bytes(bytes(data))
    index = index_packets(path, 0).index
    decoded = decoded_pts(path, 0)
    rebuilt = index_from_decoded(index, decoded)
    assert rebuilt.pts.tolist() == sorted(set(decoded))
    assert set(decoded) == {pts for pts, _ in clips.decoded_frames(path)}


def _table(pts: list[int | None], dts: list[int] | None = None) -> PacketTable:
    count = len(pts)
    no = np.zeros(count, dtype=np.bool_)
    return PacketTable(
        format_name="mpeg", codec="mpeg2video", time_base=Fraction(1, 1000), rate=Fraction(25),
        pts=np.array([NO_PTS if p is None else p for p in pts], dtype=np.int64),
        dts=np.array(dts or range(0, 40 * count, 40), dtype=np.int64),
        duration=np.zeros(count, dtype=np.int64), key=no, shown=~no, second_field=no,
        b_picture=no, corrupt=no, fault="", promised=0, size_bytes=0,
    )  # fmt: skip


def test_missing_timestamps_are_spread_between_known_ones() -> None:
    table = _table([None, 1000, None, None, 1150, None])
    line = from_some(table, np.arange(6))
    assert line.pts.tolist() == [960, 1000, 1050, 1100, 1150, 1190]


def test_many_missing_timestamps_do_not_add_up_the_rounding_of_a_tick() -> None:
    """At 24 a second a frame takes 41.67 ms: 12 of them take 500 ms, not 12 x 42."""
    table = replace(_table([*[None] * 12, 500, *[None] * 12]), rate=Fraction(24))
    line = from_some(table, np.arange(25))
    assert line.pts.tolist() == [round(n * 1000 / 24) for n in range(25)]


def test_pictures_that_ask_for_three_fields_are_shown_for_three() -> None:
    """Film on a DVD, without a timestamp: 3 fields and 2 in turn at 59.94 fields a second."""
    table = replace(
        _table([None] * 4),
        time_base=Fraction(1, 90000),
        rate=Fraction(30000, 1001),
        duration=np.array([4504, 3003, 4504, 3003], dtype=np.int64),
    )
    line = from_rate(table, np.arange(4))
    assert line.time_base == Fraction(1001, 60000)
    assert line.pts.tolist() == [0, 3, 5, 8]
    assert "repeat" in line.notes[0]


def test_hidden_rows_do_not_disturb_the_order() -> None:
    table = _table([0, 160, 80, 40, 120])
    shown = table.shown.copy()
    shown[2] = False
    line = from_own(replace(table, shown=shown))
    assert line.rows.tolist() == [0, 3, 4, 1]
    assert line.pts.tolist() == [0, 40, 120, 160]
    assert line.own


def test_durations_reach_to_the_next_frame_and_the_last_is_the_containers_or_the_median() -> None:
    pts = np.array([0, 40, 80, 200], dtype=np.int64)
    assert durations(pts, 35, 1).tolist() == [40, 40, 120, 35]
    assert durations(pts, 0, 1).tolist() == [40, 40, 120, 40]
    assert durations(pts, 100_000, 1).tolist() == [40, 40, 120, 40]
    assert durations(pts[:1], 0, 33).tolist() == [33]


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50))
def test_repaired_timestamps_increase_and_never_go_back(values: list[int]) -> None:
    pts = np.array(values, dtype=np.int64)
    apart, moved = strictly_increasing(pts)
    assert bool(np.all(np.diff(apart) > 0))
    assert bool(np.all(apart >= pts))
    assert moved == sum(a != b for a, b in zip(values, apart.tolist(), strict=True))
