"""Segments joined into one track: the index's timestamps, exactly."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.errors import SegmentFailedError
from drapto.core.media import DolbyVision, FrameIndex
from drapto.core.segments import EncodedSegment, Segment
from drapto.infrastructure.ffmpeg.decode import decode_segment
from drapto.infrastructure.ffmpeg.parameter_sets import ParameterSets
from drapto.infrastructure.ffmpeg.probe import probe_file
from drapto.infrastructure.ffmpeg.video_track import (
    decode_times,
    timescale_of,
    write_video_track,
)
from tests.media.assembling import AV1, encode_all, encode_segment, frame_index, packet_times_s
from tests.media.clips import ffmpeg, pattern, x264
from tests.media.sound import SMALL

X264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "40", "-pix_fmt", "yuv420p", "-bf", "3")
X265: tuple[str, ...] = (
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-crf",
    "40",
    "-pix_fmt",
    "yuv420p",
)
X265 += ("-x265-params", "log-level=error:bframes=3:pools=2")


@pytest.fixture(scope="module")
def vfr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames dropped unevenly, in MP4 with a fine time base, starting at 0.5 s."""
    out = tmp_path_factory.mktemp("vfr") / "vfr.mp4"
    graph = "select='gt(mod(n*7,11),3)',setpts=PTS+0.5/TB"
    tempo = ("-fps_mode", "vfr", "-video_track_timescale", "30030")
    ffmpeg(*pattern(60, size=SMALL, rate="30000/1001"), "-vf", graph, *tempo, *x264(), out)
    return out


@pytest.mark.parametrize("encoder", [AV1, X264, X265], ids=["av1", "x264", "x265"])
async def test_every_frame_gets_its_own_timestamp_back(
    encoder: tuple[str, ...], vfr: Path, tmp_path: Path
) -> None:
    index = frame_index(vfr)
    assert not index.is_constant_rate
    segments = encode_all(vfr, index, tmp_path, cuts=(7, 20), encoder=encoder)
    track = await write_video_track(segments, index, tmp_path / "video.mp4")
    base = index.time_base
    assert track.start_s == int(index.pts[0]) * base > 0
    shown = [time + track.start_s for time in packet_times_s(track.path)]
    assert shown == [int(pts) * base for pts in index.pts]
    with av.open(str(track.path)) as container:
        decoded = [frame.pts for frame in container.decode(video=0)]
    assert len(decoded) == len(index)
    with av.open(str(track.path)) as container:
        packets = [(p.dts or 0, p.pts) for p in container.demux(video=0) if p.pts is not None]
    assert all(a[0] < b[0] for a, b in itertools.pairwise(packets))
    assert all(dts <= pts for dts, pts in packets)


async def test_reordered_codecs_are_really_reordered_in_this_suite(
    vfr: Path, tmp_path: Path
) -> None:
    index = frame_index(vfr)
    segment = encode_segment(vfr, index, 0, (0, len(index)), tmp_path / "s.mkv", X265)
    with av.open(str(segment.path)) as container:
        times = [p.pts for p in container.demux(video=0) if p.pts is not None]
    assert times != sorted(times)


async def test_segments_with_other_parameter_sets_still_decode(vfr: Path, tmp_path: Path) -> None:
    index = frame_index(vfr)
    middle, end = 12, len(index)
    plain = encode_segment(vfr, index, 0, (0, middle), tmp_path / "a.mkv", X264)
    other = (*X264, "-refs", "1", "-x264-params", "cabac=0:keyint=5")
    second = encode_segment(vfr, index, 1, (middle, end), tmp_path / "b.mkv", other)
    track = await write_video_track([plain, second], index, tmp_path / "video.mp4")
    with av.open(str(track.path)) as container:
        container.streams.video[0].codec_context.options = {"err_detect": "explode"}
        frames = list(container.decode(video=0))
    assert len(frames) == len(index)
    assert not any(frame.is_corrupt for frame in frames)


async def test_av1_segment_with_another_sequence_header_is_refused_by_name(
    vfr: Path, tmp_path: Path
) -> None:
    index = frame_index(vfr)
    first = encode_segment(vfr, index, 0, (0, 12), tmp_path / "a.mkv")
    eight_bit = ("-c:v", "libsvtav1", "-preset", "13", "-crf", "55", "-pix_fmt", "yuv420p")
    second = encode_segment(vfr, index, 1, (12, len(index)), tmp_path / "b.mkv", eight_bit)
    with pytest.raises(SegmentFailedError, match=r"Segment 00001 .*other settings"):
        await write_video_track([first, second], index, tmp_path / "video.mp4")
    assert not (tmp_path / "video.mp4").exists()


async def test_missing_frame_and_missing_segment_are_refused_by_name(
    vfr: Path, tmp_path: Path
) -> None:
    index = frame_index(vfr)
    first, second = encode_all(vfr, index, tmp_path, cuts=(12,))
    longer = first.model_copy(update={"segment": Segment(index=0, start=0, end=13)})
    with pytest.raises(SegmentFailedError, match=r"Segment 00000 .* shows 12 frames.* show 13"):
        await write_video_track([longer, second], index, tmp_path / "video.mp4")
    with pytest.raises(SegmentFailedError, match=r"starts at frame 12, but .* end at frame 0"):
        await write_video_track([second], index, tmp_path / "video.mp4")
    with pytest.raises(SegmentFailedError, match=f"end at frame 12 of {len(index)}"):
        await write_video_track([first], index, tmp_path / "video.mp4")


async def test_segments_that_changed_after_they_were_decoded_are_refused_by_name(
    vfr: Path, tmp_path: Path
) -> None:
    """Two of the same length that changed places would otherwise pass every check."""
    index = frame_index(vfr)
    middle = len(index) // 2
    segments = []
    for encoded in encode_all(vfr, index, tmp_path, cuts=(middle,)):
        payload = (await decode_segment(encoded.path)).payload_sha256
        segments.append(encoded.model_copy(update={"payload_sha256": payload}))
    first, second = segments
    await write_video_track([first, second], index, tmp_path / "video.mp4")
    (tmp_path / "video.mp4").unlink()
    assert first.frames == second.frames
    spare = first.path.rename(tmp_path / "spare")
    second.path.rename(first.path)
    spare.rename(second.path)
    with pytest.raises(SegmentFailedError, match=r"Segment 00000 .*not what was encoded"):
        await write_video_track([first, second], index, tmp_path / "video.mp4")
    assert not (tmp_path / "video.mp4").exists()


async def test_track_has_its_record_when_it_gets_its_name_or_does_not_get_it(
    vfr: Path, tmp_path: Path
) -> None:
    index = frame_index(vfr)
    record = DolbyVision(profile=10, level=1, compatibility_id=4)
    segments = encode_all(vfr, index, tmp_path, cuts=(), encoder=X264)
    with pytest.raises(ValueError, match="no b'av01'"):  # the record belongs to AV1
        await write_video_track(segments, index, tmp_path / "video.mp4", dolby_vision=record)
    assert not list(tmp_path.glob("video*"))
    segments = encode_all(vfr, index, tmp_path, cuts=(), encoder=AV1)
    track = await write_video_track(segments, index, tmp_path / "video.mp4", dolby_vision=record)
    assert probe_file(track.path).tracks[0].color.dolby_vision == record


async def test_unreadable_segment_is_refused_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"not a video")
    one = np.array([0])
    index = FrameIndex(Fraction(1, 24), one, one + 1, one == 0)
    segment = Segment(index=0, start=0, end=1)
    encoded = EncodedSegment(segment=segment, path=broken, frames=1, size_bytes=1, digest="")
    with pytest.raises(SegmentFailedError, match=r"Segment 00000 .* cannot be read back"):
        await write_video_track([encoded], index, tmp_path / "video.mp4")
    assert list(tmp_path.iterdir()) == [broken]


@st.composite
def reordered(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """A decoding order in which no frame is far from its place, and strictly rising times."""
    frames = draw(st.integers(1, 40))
    order: list[int] = []
    while len(order) < frames:
        group = list(range(len(order), min(frames, len(order) + draw(st.integers(1, 6)))))
        order += draw(st.permutations(group))
    steps = draw(st.lists(st.integers(1, 5000), min_size=frames, max_size=frames))
    return order, list(np.cumsum(steps))


@given(reordered())
def test_decoding_times_rise_and_never_pass_the_display_time(
    case: tuple[list[int], list[int]],
) -> None:
    shown, pts = np.array(case[0]), np.array(case[1])
    dts = decode_times(shown, pts)
    assert len(dts) == len(pts)
    assert np.all(np.diff(dts) > 0)
    assert np.all(dts <= pts[shown])


def test_timescale_is_exact_for_the_time_base_or_refused() -> None:
    assert timescale_of(Fraction(1001, 24000)) == 24000
    assert timescale_of(Fraction(1, 12288)) == 12288
    with pytest.raises(ValueError, match="no MP4 time scale"):
        timescale_of(Fraction(1, 2**40))


def test_cut_off_configuration_record_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        ParameterSets.parse("h264", b"\x01\x42\x00\x1e\xff\xe1\x00\x20abc")
    with pytest.raises(ValueError, match="no parameter sets"):
        ParameterSets.parse("vp9", b"")
