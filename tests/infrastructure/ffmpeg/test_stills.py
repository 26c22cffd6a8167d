"""Pictures of both files: the right frame, the right part of it, the right way up."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest

from drapto.core.analysis import FieldOrder
from drapto.core.deinterlacing import Deinterlacing, Method
from drapto.core.errors import DraptoError, InputError
from drapto.core.film_report import Still, StillPair
from drapto.core.manifest import Manifest, SegmentRecord
from drapto.core.media import ColorInfo, CropRect
from drapto.core.segments import VideoSettings
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.ffmpeg.stills import HIGHEST_PX, WIDEST_PX, StillPairs
from drapto.services.verifying import with_left_out
from tests.film_manifests import film_manifest, track
from tests.media import clips, film, odd

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
ALIKE = 4.0  # mean absolute difference, of 255: what JPEG and two conversions do to a test pattern

Picture = npt.NDArray[np.uint8]


def picture_of(still: Still) -> Picture:
    found = cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    assert found.shape == (still.height, still.width)
    return np.asarray(found, np.uint8)


def frames_of(path: Path, still: Still) -> list[Picture]:
    """Every frame as a player would show it, in the size of the picture, read in one go."""
    graph = f"scale={still.width}:{still.height},format=gray"
    raw = path.with_suffix(".raw")
    clips.ffmpeg(
        *("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-vf", graph),
        *("-f", "rawvideo", raw),
    )
    frames = np.fromfile(raw, np.uint8).reshape(-1, still.height, still.width)
    return list(frames)


def difference(one: Picture, other: Picture) -> float:
    return float(np.mean(cv2.absdiff(one, other)))


def manifest_of(source: Path, output: Path, frames: int, **settings: Any) -> Manifest:
    media = probe_file(source)
    video = main_video(media)
    crop = settings.get("crop")
    width, height = (crop.width, crop.height) if crop else (video.width or 0, video.height or 0)
    segment = SegmentRecord(
        index=0, start_frame=0, end_frame=frames, frames=frames, size_bytes=1, digest="",
        attempt=0, wall_s=1, cpu_s=1, peak_rss_bytes=1,
    )  # fmt: skip
    return film_manifest(
        source=source,
        output=output,
        source_bytes=source.stat().st_size,
        output_bytes=output.stat().st_size,
        settings=VideoSettings(
            width=width, height=height, source_width=video.width, source_height=video.height,
            sample_aspect_ratio=video.sample_aspect_ratio, color=video.color, **settings,
        ),
        segments=(segment,),
        tracks=(track(video.index, "video", "encoded", "x"),),
        quality=None,
    )  # fmt: skip


async def pairs_of(manifest: Manifest, frames: list[int], scratch: Path) -> list[StillPair]:
    pairs = StillPairs(manifest, FFMPEG, scratch)
    await pairs.open()
    return [await pairs.of(frame) for frame in frames]


def encoded(source: Path, *filters: str) -> Path:
    """What an encoder without any loss would make of all frames, in Matroska."""
    out = source.with_name("out.mkv")
    graph = ",".join(["null", *filters])
    clips.ffmpeg(
        *("-noautorotate", "-i", source, "-map", "0:v:0", "-fps_mode", "passthrough"),
        *("-enc_time_base", "demux", "-vf", graph, "-c:v", "ffv1", out),
    )
    return out


@pytest.mark.parametrize(
    "make",
    [
        clips.simple, clips.open_gop, clips.open_gop_hevc, clips.vfr, clips.ts, clips.raw_h264,
        clips.start_offset, clips.anamorphic, clips.odd_size,
    ],
    ids=lambda make: make.__name__,
)  # fmt: skip
async def test_both_pictures_are_of_the_frame_of_that_number(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = make(tmp_path)
    output = encoded(source)
    count = len(clips.decoded_hashes(output))
    wanted = [0, count // 3, count // 2 + 1, count - 1]
    found = await pairs_of(manifest_of(source, output, count), wanted, tmp_path)
    shown = frames_of(output, found[0].output)
    assert len(shown) == count
    for pair in found:
        for picture in map(picture_of, (pair.source, pair.output)):
            nearest = [difference(picture, frame) for frame in shown]
            assert int(np.argmin(nearest)) == pair.frame
            assert nearest[pair.frame] < ALIKE


async def test_source_is_cropped_as_it_was_for_the_encoder(tmp_path: Path) -> None:
    source = clips.letterboxed(tmp_path, frames=24, bar=24)
    crop = CropRect(width=320, height=132, x=0, y=24)
    output = encoded(source, "crop=320:132:0:24")
    (pair,) = await pairs_of(manifest_of(source, output, 24, crop=crop), [11], tmp_path)
    assert (pair.source.width, pair.source.height) == (320, 132)
    assert difference(picture_of(pair.source), picture_of(pair.output)) < ALIKE


@pytest.mark.parametrize(
    ("method", "filter_"),
    [(Method.BWDIF, "bwdif=mode=send_frame"), (Method.BOB, "bwdif=mode=send_field")],
)
async def test_source_is_deinterlaced_as_it_was_for_the_encoder(
    method: Method, filter_: str, tmp_path: Path
) -> None:
    fields = film.shot(3, 48, step=(6, 1))
    source = film.write_film(tmp_path / "fields.mkv", film.interlaced(fields))
    output = encoded(source, f"{filter_}:parity=tff:deint=all")
    count = len(clips.decoded_hashes(output))
    work = Deinterlacing(method=method, field_order=FieldOrder.TOP_FIRST)
    manifest = manifest_of(source, output, count, deinterlacing=work)
    found = await pairs_of(manifest, [0, 7, count // 2, count - 1], tmp_path)
    shown = frames_of(output, found[0].output)
    for pair in found:
        nearest = [difference(picture_of(pair.source), frame) for frame in shown]
        assert int(np.argmin(nearest)) == pair.frame
        assert nearest[pair.frame] < ALIKE


async def test_source_in_another_range_and_matrix_has_the_colours_of_its_output(
    tmp_path: Path,
) -> None:
    source = tmp_path / "full.mkv"
    wide = "scale=out_color_matrix=bt601:out_range=full,format=yuv444p"
    tags = "setparams=range=full:colorspace=smpte170m"
    clips.ffmpeg(
        *(*clips.pattern(4), "-vf", f"{wide},{tags}", "-c:v", "libx264", "-qp", "0", source)
    )
    assert probe_file(source).tracks[0].color.range == "pc"
    narrow = "scale=in_range=full:in_color_matrix=bt601:out_color_matrix=bt709:out_range=limited"
    output = encoded(source, narrow, "setparams=range=limited:colorspace=bt709")
    (pair,) = await pairs_of(manifest_of(source, output, 4), [2], tmp_path)
    one, other = (
        cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR)
        for still in (pair.source, pair.output)
    )
    assert one is not None and other is not None
    assert np.abs(one.astype(float) - other).mean() < 1


@pytest.mark.parametrize("make", [odd.rgb, odd.untagged_rgb], ids=lambda make: make.__name__)
async def test_rgb_source_has_the_colours_of_its_output(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = make(tmp_path)
    output = encoded(source, "scale=out_color_matrix=bt709:out_range=tv", "format=yuv444p")
    (pair,) = await pairs_of(manifest_of(source, output, 12), [5], tmp_path)
    for still in (pair.source, pair.output):
        red = cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert red is not None
        blue_green_red = red[-8:, 8:16].mean(axis=(0, 1))  # the first bar of the pattern
        assert np.abs(blue_green_red - (0, 0, 255)).max() < ALIKE


@pytest.mark.parametrize("degrees", [90, 180, 270, "mirrored"])
async def test_pictures_are_turned_as_a_player_turns_them(
    degrees: int | str, tmp_path: Path
) -> None:
    if isinstance(degrees, int):
        source = clips.rotated(tmp_path, degrees=degrees)
    else:
        source = clips.mirrored(tmp_path)
    output = tmp_path / "out.mp4"
    output.write_bytes(source.read_bytes())
    (pair,) = await pairs_of(manifest_of(source, output, 24), [9], tmp_path)
    shown = frames_of(source, pair.source)  # ffmpeg turns it by itself
    assert difference(picture_of(pair.source), shown[9]) < ALIKE
    assert difference(picture_of(pair.output), shown[9]) < ALIKE


@pytest.mark.parametrize("make", [clips.hdr10, clips.hlg], ids=lambda make: make.__name__)
async def test_hdr_is_brought_to_an_ordinary_screen_on_both_sides(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = make(tmp_path)
    output = tmp_path / f"out{source.suffix}"
    output.write_bytes(source.read_bytes())
    manifest = manifest_of(source, output, 24)
    (pair,) = await pairs_of(manifest, [5], tmp_path)
    assert pair.source.jpeg == pair.output.jpeg
    as_coded = manifest.settings.model_copy(update={"color": ColorInfo()})
    untouched = manifest.model_copy(update={"settings": as_coded})
    (flat,) = await pairs_of(untouched, [5], tmp_path)
    assert difference(picture_of(pair.source), picture_of(flat.source)) > ALIKE


async def test_large_picture_is_made_to_fit_and_keeps_its_shape(tmp_path: Path) -> None:
    source = tmp_path / "large.mkv"
    clips.ffmpeg(*clips.pattern(2, size="2560x1080"), *clips.x264(), source)
    (pair,) = await pairs_of(manifest_of(source, encoded(source), 2), [1], tmp_path)
    assert (pair.source.width, pair.source.height) == (WIDEST_PX, 540)
    picture_of(pair.source)
    assert HIGHEST_PX >= 540
    assert Fraction(pair.source.width, pair.source.height) == Fraction(2560, 1080)


async def test_frames_that_inverse_telecine_left_out_are_found_again(tmp_path: Path) -> None:
    original = film.shot(5, 48, step=(6, 2))
    source = film.write_film(tmp_path / "telecined.mkv", film.telecined(original), fps=30)
    output = film.write_film(tmp_path / "out.mkv", original)
    work = Deinterlacing(method=Method.IVTC, field_order=FieldOrder.TOP_FIRST)
    manifest = manifest_of(source, output, 48, deinterlacing=work)
    completed = partial(with_left_out, PyAvReader())
    pairs = StillPairs(manifest, FFMPEG, tmp_path, completed)
    await pairs.open()
    for frame in (7, 24, 40):
        pair = await pairs.of(frame)
        shown, made = picture_of(pair.source), picture_of(pair.output)
        assert difference(shown, made) < ALIKE
        other = picture_of((await pairs.of(frame + 1)).source)
        assert difference(other, made) > ALIKE, "the test tests nothing"


async def refused(manifest: Manifest, scratch: Path) -> str:
    with pytest.raises(DraptoError) as caught:
        await StillPairs(manifest, FFMPEG, scratch).open()
    assert isinstance(caught.value, InputError)
    return caught.value.message


async def test_files_that_cannot_be_paired_are_refused_with_the_reason(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=24)
    output = encoded(source)
    manifest = manifest_of(source, output, 24)
    gone = manifest.model_copy(update={"source": tmp_path / "gone.mkv"})
    assert "gone.mkv cannot be read: No such file" in await refused(gone, tmp_path)
    changed = manifest.model_copy(update={"output_bytes": 5})
    assert "out.mkv has changed: it has" in await refused(changed, tmp_path)
    fewer = manifest_of(source, output, 23)
    assert "lists 24 frames and 23 were encoded" in await refused(fewer, tmp_path)
    other = manifest.model_copy(update={"tracks": (track(7, "video", "encoded", "x"),)})
    assert "has no stream 7" in await refused(other, tmp_path)
