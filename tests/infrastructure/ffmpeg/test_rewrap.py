"""Copies with timestamps: the same pictures, in the same order, at the times of the index."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from drapto.core.errors import InputError, ResourceError
from drapto.infrastructure.ffmpeg import rewrap as module
from drapto.infrastructure.ffmpeg.frames import decoded_pts, index_packets
from drapto.infrastructure.ffmpeg.rewrap import read_rewrapped, rewrap, rewrapped_name
from tests.media import clips, hostile
from tests.media.containers import shared
from tests.media.field_coded import field_coded


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


REWRAPPED = (
    "raw_h264", "raw_hevc", "raw_h264_adaptive", "raw_hevc_open", "raw_vvc", "mpeg2_es",
    "mpeg4_es", "av1_obu", "avi_h264", "avi_mpeg4", "avi_packed", "ts", "hevc_ts", "open_gop_ts",
    "mpeg2_ts", "mpeg_ps", "flv", "vp9_ivf", "wmv_asf", "ogv", "interlaced_ts", "gif", "flv1",
)  # fmt: skip


@pytest.mark.parametrize("name", REWRAPPED)
def test_the_copy_decodes_to_the_same_pictures_at_the_times_of_its_index(
    name: str, cache: Path, tmp_path: Path
) -> None:
    source = shared(name, cache)
    indexed = index_packets(source, 0)
    out = tmp_path / (rewrapped_name(source, 0) or "none")
    index = rewrap(source, 0, indexed.index, out)
    frames = clips.decoded_frames(out)
    assert [picture for _, picture in frames] == clips.decoded_hashes(source)
    assert [pts for pts, _ in frames] == index.pts.tolist() == decoded_pts(out, 0)
    assert index.key.tolist() == indexed.index.key.tolist()
    assert not index.synthetic
    assert index.notes == indexed.index.notes


@pytest.mark.parametrize("name", ["raw_h264", "ts", "flv"])
def test_the_copy_keeps_every_timestamp_exactly(name: str, cache: Path, tmp_path: Path) -> None:
    source = shared(name, cache)
    before = index_packets(source, 0).index
    after = rewrap(source, 0, before, tmp_path / "video.nut")
    seconds = [pts * before.time_base for pts in before.pts.tolist()]
    assert [pts * after.time_base for pts in after.pts.tolist()] == seconds
    assert after.end_pts * after.time_base == before.end_pts * before.time_base


def test_a_film_rate_keeps_its_exact_fraction(tmp_path: Path) -> None:
    source = tmp_path / "film.h264"
    clips.ffmpeg(*clips.pattern(30, rate="24000/1001"), *clips.x264(), "-f", "h264", source)
    indexed = index_packets(source, 0)
    index = rewrap(source, 0, indexed.index, tmp_path / "film.nut")
    steps = {(b - a) * index.time_base for a, b in zip(index.pts[:-1], index.pts[1:], strict=True)}
    assert steps == {1 / index.frame_rate}
    assert str(index.frame_rate) == "24000/1001"


def test_the_two_fields_of_a_frame_become_one_packet(tmp_path: Path) -> None:
    source = field_coded(tmp_path)
    indexed = index_packets(source, 0)
    out = tmp_path / "video.nut"
    index = rewrap(source, 0, indexed.index, out)
    assert len(index) == len(index_packets(out, 0).table) == 30
    assert clips.decoded_hashes(out) == clips.decoded_hashes(source)


def test_what_stands_before_the_first_key_frame_is_not_copied(tmp_path: Path) -> None:
    source = hostile.headless(tmp_path)
    indexed = index_packets(source, 0)
    out = tmp_path / "video.nut"
    index = rewrap(source, 0, indexed.index, out)
    assert decoded_pts(out, 0) == index.pts.tolist()
    assert bool(index.key[0])


def test_a_source_that_begins_before_zero_is_moved_and_says_so(tmp_path: Path) -> None:
    source = hostile.wrapped_ts(tmp_path)
    indexed = index_packets(source, 0)
    assert int(indexed.index.pts[0]) < 0
    index = rewrap(source, 0, indexed.index, tmp_path / "video.nut")
    assert int(index.pts[0]) == 0
    assert any("was moved to 0" in note for note in index.notes)


def test_an_interrupted_copy_leaves_nothing_behind(cache: Path, tmp_path: Path) -> None:
    source = shared("raw_h264", cache)
    indexed = index_packets(source, 0)

    class Gone(BaseException):
        pass

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # the copy is written and is being read back
            assert (tmp_path / ".video.nut.partial").stat().st_size > 0
            raise Gone

    with pytest.raises(Gone):
        rewrap(source, 0, indexed.index, tmp_path / "video.nut", indexed=indexed, check=check)
    assert calls == 2
    assert list(tmp_path.iterdir()) == []


def test_a_disk_too_small_for_the_copy_is_said_before_it_is_filled(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shared("raw_h264", cache)
    indexed = index_packets(source, 0)
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(module, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match="has to be copied"):
        rewrap(source, 0, indexed.index, tmp_path / "video.nut")
    assert list(tmp_path.iterdir()) == []


def test_an_index_of_another_file_is_refused(cache: Path, tmp_path: Path) -> None:
    index = index_packets(shared("raw_h264", cache), 0).index
    with pytest.raises(InputError, match="has changed"):
        rewrap(shared("mpeg2_es", cache), 0, index, tmp_path / "video.nut")


def test_a_copy_that_is_not_whole_is_not_taken(cache: Path, tmp_path: Path) -> None:
    source = shared("ts", cache)
    indexed = index_packets(source, 0)
    out = tmp_path / "video.nut"
    rewrap(source, 0, indexed.index, out)
    assert read_rewrapped(out, indexed) is not None
    assert read_rewrapped(hostile.cut_off(out, 0.7), indexed) is None
    assert read_rewrapped(tmp_path / "none.nut", indexed) is None
