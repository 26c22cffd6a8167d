"""VMAF of real files: the right frames are paired, and nothing else is."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.media import CropRect, TrackKind
from drapto.core.output_summary import Quality
from drapto.core.quality import Metric
from drapto.infrastructure.ffmpeg import pairing, quality
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.pairing import Means, Pair
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.ffmpeg.quality import measure_quality, measure_whole, windows
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media import clips

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
SVT = ("-c:v", "libsvtav1", "-preset", "12", "-pix_fmt", "yuv420p10le", "-fps_mode", "passthrough")


async def source_footage(path: Path, work: Path, crop: CropRect | None = None) -> Footage:
    reader = PyAvReader()
    media = await reader.probe(path)
    video = await reader.open_video(media, reader.main_video(media), work)
    return Footage.of(video, crop)


async def measured(source: Path, output: Path, work: Path, crop: CropRect | None = None) -> Quality:
    return await measure_quality(
        FFMPEG,
        await source_footage(source, work, crop),
        await output_footage(output),
        scratch_dir=work,
        deadline_s=120,
    )


async def paired(source: Path, output: Path, work: Path, metric: Metric = Metric.VMAF) -> Pair:
    return Pair(
        await source_footage(source, work), await output_footage(output), metric_for(metric)
    )


def encoded(source: Path, name: str, *options: str, crf: int = 30) -> Path:
    out = source.parent / name
    clips.ffmpeg("-i", source, "-map", "0:v:0", *SVT, "-crf", str(crf), *options, out)
    return out


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.silent(tmp_path_factory.mktemp("quality"), frames=48)


@pytest.fixture(scope="module")
def good(film: Path) -> Path:
    return encoded(film, "good.mkv")


async def test_a_copy_is_perfect_and_more_compression_is_worse(
    film: Path, good: Path, tmp_path: Path
) -> None:
    poor = encoded(film, "poor.mkv", crf=55)
    copy = await measured(film, film, tmp_path)
    better = await measured(film, good, tmp_path)
    worse = await measured(film, poor, tmp_path)
    assert copy.mean > 97 and copy.frames == 48
    assert copy.mean > better.mean > worse.mean
    assert better.p1 <= better.mean and better.model == "vmaf_v0.6.1" and better.note == ""
    assert not list(tmp_path.glob("quality-*"))


async def test_frames_are_paired_by_number_whatever_their_times(
    good: Path, film: Path, tmp_path: Path
) -> None:
    plain = await measured(film, good, tmp_path)
    later = film.parent / "later.mkv"
    clips.ffmpeg("-i", good, "-c", "copy", "-output_ts_offset", "7.3", later)
    assert await measured(film, later, tmp_path) == plain


async def test_a_shift_by_one_frame_is_seen(film: Path, tmp_path: Path) -> None:
    """The same pictures, each one frame late: the figure says so, so pairing is exact."""
    shifted = encoded(film, "shifted.mkv", "-vf", "tpad=start=1:start_mode=clone,trim=end_frame=48")
    assert (await measured(film, shifted, tmp_path)).mean < 80


@pytest.mark.parametrize("graph", ["select='not(eq(n,20))'", "loop=1:1:20,setpts=N/24/TB"])
async def test_a_dropped_or_doubled_frame_is_refused(
    film: Path, tmp_path: Path, graph: str
) -> None:
    other = encoded(film, "other.mkv", "-vf", graph)
    with pytest.raises(InputError, match="which frame belongs to which"):
        await measured(film, other, tmp_path)


async def test_the_crop_of_the_source_is_measured_and_another_picture_refused(
    tmp_path: Path,
) -> None:
    boxed = clips.letterboxed(tmp_path, frames=24, bar=24)
    crop = CropRect(width=320, height=132, x=0, y=24)
    cut = encoded(boxed, "cut.mkv", "-vf", f"crop={crop}")
    assert (await measured(boxed, cut, tmp_path, crop)).mean > 85
    with pytest.raises(InputError, match="its picture is 320x132, and 320x180"):
        await measured(boxed, cut, tmp_path)


async def test_windows_of_a_long_video_are_the_same_frames_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows in the middle, open GOPs, and a source whose times do not begin at 0."""
    monkeypatch.setattr(quality, "WHOLE_FRAMES", 50)
    monkeypatch.setattr(quality, "WINDOWS", 3)
    monkeypatch.setattr(quality, "WINDOW_FRAMES", 10)
    monkeypatch.setattr(pairing, "EARLIER_S", 0.5)
    source = clips.open_gop(tmp_path, frames=240)
    later = tmp_path / "later.mkv"
    clips.ffmpeg("-i", source, "-c", "copy", "-output_ts_offset", "5", later)
    output = encoded(later, "out.mkv", "-g", "30")
    found = await measured(later, output, tmp_path)
    assert (found.frames, found.windows) == (30, 3)
    assert found.mean > 85
    pair = await paired(later, output, tmp_path)
    command = pair.command(Means(FFMPEG, tmp_path), pair.measuring(), 195, 205)
    assert command.count("-ss") == 2, "both sides are sought, not decoded from the beginning"


@pytest.mark.parametrize("frames", [3001, 5000, 172_800])
def test_windows_lie_inside_the_film_and_do_not_overlap(frames: int) -> None:
    found = windows(frames)
    assert len(found) == 10
    assert found[0][0] >= 0 and found[-1][1] <= frames
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    assert {b - a for a, b in found} == {240}


async def test_a_damaged_output_is_not_measured_with_its_neighbours(
    film: Path, tmp_path: Path
) -> None:
    """The index counts packets; a frame that cannot be decoded would shift all that follow."""
    coded = film.parent / "damaged.mkv"
    data = bytearray(encoded(film, "whole.mkv").read_bytes())
    with av.open(str(film.parent / "whole.mkv")) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    at = data.index(packets[30])
    data[at] = 0xFF  # the forbidden bit of an OBU header (AV1 specification, 5.3.2)
    coded.write_bytes(data)
    with pytest.raises(InputError, match=r"only \d+ of 48 could be decoded"):
        await measured(film, coded, tmp_path)


async def test_hdr_is_measured_and_named_as_relative(tmp_path: Path) -> None:
    source = clips.hdr10(tmp_path, frames=12)
    output = encoded(source, "out.mkv")
    found = await measured(source, output, tmp_path)
    assert "no model for hdr10" in found.note
    assert found.mean > 80


async def test_a_deadline_ends_the_measuring(tmp_path: Path) -> None:
    source = tmp_path / "big.mkv"
    clips.ffmpeg(*clips.pattern(60, size="1920x1080"), *clips.x264(), source)
    side = await output_footage(source)
    started = time.monotonic()
    with pytest.raises(ProcessFailedError, match="ran past its deadline"):
        await measure_quality(FFMPEG, side, side, scratch_dir=tmp_path, deadline_s=0.1)
    assert time.monotonic() - started < 10
    assert not list(tmp_path.glob("quality-*"))


async def test_odd_names_and_a_second_video_stream_are_no_obstacle(tmp_path: Path) -> None:
    odd = tmp_path / "a:b'c,[d].mkv"
    clips.ffmpeg(
        *clips.pattern(12, size="64x64"), *clips.pattern(12), "-map", "0:v", "-map", "1:v",
        *clips.x264(), "-disposition:v:0", "0", "-disposition:v:1", "default", odd,
    )  # fmt: skip
    media = probe_file(odd)
    assert main_video(media).index == 1 and main_video(media).kind is TrackKind.VIDEO
    assert (await measured(odd, odd, tmp_path)).mean > 97
    assert os.fspath(odd) in str((await output_footage(odd)).path)


@pytest.mark.parametrize("metric", list(Metric))
async def test_any_pair_is_measured_whole_or_every_third_frame(
    metric: Metric, film: Path, good: Path, tmp_path: Path
) -> None:
    pair, means = await paired(film, good, tmp_path, metric), Means(FFMPEG, tmp_path)
    seen: list[int] = []
    whole = await measure_whole(pair, means, on_frames=seen.append)
    third = await measure_whole(pair, means, every=3)
    assert (len(whole.values), len(third.values)) == (48, 16)
    assert third.values == pytest.approx(whole.values[::3], rel=1e-3)
    assert whole.quality.minimum == min(whole.values) and whole.quality.measured == 48
    weighed = (third.values[0] / 3 + sum(third.values[1:])) / (1 / 3 + 15)
    assert third.quality.mean == pytest.approx(weighed)
    assert seen == sorted(seen) and seen[-1] == 48


UNTAGGED = "setparams=colorspace=unknown:range=unknown"


def retold(source: Path, name: str, *filters: str) -> Path:
    """The same picture, coded in another way without a loss."""
    out = source.parent / name
    graph = ",".join([*filters, "format=yuv420p"]) if filters else "null"
    clips.ffmpeg("-i", source, "-vf", graph, "-c:v", "libx264", "-qp", "0", out)
    return out


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tagged") / "tagged.mkv"
    graph = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    clips.ffmpeg(*clips.pattern(6), "-vf", graph, "-c:v", "libx264", "-qp", "0", out)
    return out


async def xpsnr(source: Path, output: Path, work: Path) -> float:
    pair = await paired(source, output, work, Metric.XPSNR)
    return min((await measure_whole(pair, Means(FFMPEG, work))).values)


async def test_a_side_that_does_not_say_its_colour_is_taken_to_be_like_the_other(
    tagged: Path, tmp_path: Path
) -> None:
    silent = retold(tagged, "silent.mkv", UNTAGGED)
    assert probe_file(silent).tracks[0].color.matrix is None
    assert probe_file(tagged).tracks[0].color.matrix == "bt709"
    for source, output in ((tagged, silent), (silent, tagged), (silent, silent)):
        assert await xpsnr(source, output, tmp_path) > 59


@pytest.mark.parametrize(
    "told", ["out_color_matrix=smpte170m", "out_range=pc", "out_color_matrix=bt470bg:out_range=pc"]
)
async def test_the_same_picture_coded_in_another_way_is_the_same(
    told: str, tagged: Path, tmp_path: Path
) -> None:
    other = retold(tagged, "other.mkv", f"scale={told}")
    color, was = probe_file(other).tracks[0].color, probe_file(tagged).tracks[0].color
    assert (color.matrix, color.range) != (was.matrix, was.range)
    # Not exactly: whoever converts, rounds. As they are coded they have 8 to 13 dB.
    assert await xpsnr(tagged, other, tmp_path) > 30
    assert await xpsnr(other, tagged, tmp_path) > 30


async def test_full_range_is_known_from_limited_without_a_matrix(
    tagged: Path, tmp_path: Path
) -> None:
    limited = retold(tagged, "limited.mkv", "setparams=colorspace=unknown")
    full = retold(limited, "full.mkv", "scale=out_range=pc")
    color = probe_file(full).tracks[0].color
    assert (color.matrix, color.range) == (None, "pc")
    assert await xpsnr(limited, full, tmp_path) > 30


async def test_rgb_is_compared_as_the_luma_that_encoders_are_given(tmp_path: Path) -> None:
    rgb = tmp_path / "rgb.mkv"
    clips.ffmpeg(*clips.pattern(6), "-c:v", "libx264rgb", "-qp", "0", "-pix_fmt", "rgb24", rgb)
    luma = retold(rgb, "luma.mkv", "scale=out_color_matrix=bt709:out_range=tv", UNTAGGED)
    for source, output in ((rgb, luma), (rgb, rgb), (luma, rgb)):
        assert await xpsnr(source, output, tmp_path) > 59
