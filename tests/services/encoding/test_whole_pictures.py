"""What the filters of encode commands make of fields, picture by picture, with real ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from drapto.core.analysis import VideoAnalysis
from drapto.core.deinterlacing import DeinterlaceChoice, Method
from drapto.core.errors import InputError
from drapto.core.job import EncodeOptions
from drapto.core.media import FrameIndex, MediaInfo, Track, TrackKind
from drapto.core.segments import Segment, VideoSettings
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.quality import measure_quality
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.services.detection.deinterlacing import deinterlacing_notes, settle_on_shown
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import StreamingDetection
from drapto.services.encoding.command import filter_graph, input_arguments
from drapto.services.encoding.tasks import make_tasks
from tests.media import film

STEP = (3, 1)
LOSSLESS = {
    "qp": "0",
    "g": "9",
    "bf": "2",
    "preset": "ultrafast",
}  # with B-frames, and to be sought


async def deinterlaced(
    path: Path, asked: DeinterlaceChoice, work_dir: Path
) -> tuple[SourceVideo, VideoAnalysis]:
    reader = PyAvReader()
    media = await reader.probe(path)
    video = await reader.open_video(media, reader.main_video(media), work_dir)
    detection = StreamingDetection(PyAvLumaReader(), NumpyBackend())
    analysis = await detection.analyze(video, EncodeOptions(), lambda _frames: None)
    return await settle_on_shown(reader, video, analysis, asked)


def pictures(
    video: SourceVideo, borders: Sequence[int], pixel_format: str, out: Path
) -> list[np.ndarray]:
    """The luma of what the encoder of each segment gets, all of them in a row."""
    settings = settings_of(video)
    segments = [
        Segment(index=number, start=start, end=end)
        for number, (start, end) in enumerate(pairwise(borders))
    ]
    shown: list[np.ndarray] = []
    for task in make_tasks(video, segments, settings, out):
        argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *input_arguments(task)]
        argv += ["-vf", filter_graph(task, pixel_format), "-fps_mode", "passthrough"]
        done = subprocess.run([*argv, "-f", "rawvideo", "-"], capture_output=True, check=True)
        deep = pixel_format.endswith("10le")
        samples = np.frombuffer(done.stdout, np.uint16 if deep else np.uint8)
        frames = samples.reshape(-1, settings.height * 3 // 2, settings.width)
        assert len(frames) == task.segment.frames
        shown += list(frames)
    return shown


def settings_of(video: SourceVideo) -> VideoSettings:
    width, height = video.track.width or 0, video.track.height or 0
    return VideoSettings(
        width=width,
        height=height,
        source_width=width,
        source_height=height,
        source_bit_depth=video.track.bit_depth or 8,
        deinterlacing=video.deinterlacing.for_all_segments,
    )


def lossless(directory: Path, planes: film.Planes, *, fps: int, pixel_format: str) -> Path:
    return film.write_film(
        directory / "source.mkv",
        planes,
        fps=fps,
        pixel_format=pixel_format,
        codec="libx264",
        options=LOSSLESS,
    )


def sources() -> dict[str, film.Planes]:
    moments = film.interlaced(film.shot(3, 150, step=STEP))
    pulldown = film.telecined(film.shot(5, 60, step=STEP))
    return {
        "bwdif": moments,
        "bob": moments,
        "match": film.film(film.shot(4, 60, step=STEP), moments[:60]),
        "ivtc": pulldown[3:],
        "ivtc with video": film.film(pulldown[:50], moments[:30], pulldown[3:33]),
    }


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("case", list(sources()))
async def test_segments_show_the_pictures_of_one_run_over_the_film(
    tmp_path: Path, case: str, pixel_format: str
) -> None:
    path = lossless(tmp_path, sources()[case], fps=25, pixel_format=pixel_format)
    asked: dict[str, DeinterlaceChoice] = {"match": "auto", "bob": "bob", "bwdif": "bwdif"}
    video, _ = await deinterlaced(path, asked.get(case, "ivtc"), tmp_path)
    method = video.deinterlacing.method
    assert method is Method(case.split()[0])
    frames = len(video.index)
    whole = pictures(video, [0, frames], pixel_format, tmp_path)
    borders = sorted({0, 1, 7, 8, 18, 19, 31, 44, frames - 1, frames})
    cut = pictures(video, borders, pixel_format, tmp_path)
    assert len(whole) == len(cut) == frames
    assert [n for n in range(frames) if not np.array_equal(whole[n], cut[n])] == []


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("starts_at", range(5))
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
async def test_inverse_telecine_gives_every_picture_of_the_film_back_once(
    tmp_path: Path, starts_at: int, top_first: bool, pixel_format: str
) -> None:
    """Bit for bit, at the film's own times; but for one at an end that has lost a field."""
    original = film.shot(5, 48, step=STEP)
    telecined = film.telecined(original, top_first=top_first)[starts_at : starts_at + 53]
    path = lossless(tmp_path, telecined, fps=30, pixel_format=pixel_format)
    video, _ = await deinterlaced(path, "auto", tmp_path)
    assert video.deinterlacing.method is Method.IVTC
    found = pictures(video, [0, len(video.index)], pixel_format, tmp_path)
    wanted = original.astype(np.uint16) * (4 if pixel_format.endswith("10le") else 1)
    numbers = [number_of(picture[: original.shape[1]], wanted) for picture in found]
    whole = [n for n in numbers if n is not None]
    assert whole == list(range(whole[0], whole[-1] + 1))
    assert None not in numbers[1:-1]
    times_s = video.index.pts * float(video.index.time_base)
    assert np.abs(np.diff(times_s)[1:-1] - 1 / 24).max() <= 0.001  # Matroska's tick
    # A picture of film is there as long before or after its fields as half a field lasts.
    began_s = (np.array(whole) * 5 / 4 - starts_at) / 30
    late_s = times_s[numbers.index(whole[0]) :][: len(whole)] - began_s
    assert np.abs(late_s[1:]).max() <= 1 / 120 + 0.001


def number_of(picture: np.ndarray, film_of: np.ndarray) -> int | None:
    return next((n for n, wanted in enumerate(film_of) if np.array_equal(picture, wanted)), None)


async def test_graph_of_a_progressive_film_is_trim_and_picture_and_nothing_else(
    tmp_path: Path,
) -> None:
    path = lossless(tmp_path, film.shot(3, 40, step=STEP), fps=25, pixel_format="yuv420p")
    video, _ = await deinterlaced(path, "auto", tmp_path)
    assert video.coded_index is None
    (task,) = make_tasks(video, [Segment(index=0, start=9, end=30)], settings_of(video), tmp_path)
    assert task.fields is None
    assert filter_graph(task, "yuv420p10le") == (
        "trim=start_pts=360:end_pts=1200,settb=1/25,setpts=N:strip_fps=1,"
        "scale=192:108,format=yuv420p10le"
    )


async def test_quality_is_measured_against_whole_pictures(tmp_path: Path) -> None:
    """The film behind the telecine, and not the fields, is what the encode is compared with."""
    original = film.shot(5, 48, step=STEP)
    source = lossless(tmp_path, film.telecined(original), fps=30, pixel_format="yuv420p")
    video, _ = await deinterlaced(source, "auto", tmp_path)
    perfect = film.write_film(tmp_path / "film.mkv", original, fps=24)
    output = await output_footage(perfect)
    ffmpeg = Path(imageio_ffmpeg.get_ffmpeg_exe())
    quality = await measure_quality(ffmpeg, Footage.of(video), output, scratch_dir=tmp_path)
    assert quality.frames == 48
    assert quality.p1 > 97
    with pytest.raises(InputError, match="it has 48 frames, not 60"):
        await measure_quality(ffmpeg, Footage.of(video.as_coded), output, scratch_dir=tmp_path)


def test_scripts_that_do_not_look_for_interlacing_are_named_where_the_stream_says_so() -> None:
    base = Fraction(1, 25)
    track = Track(
        index=0, kind=TrackKind.VIDEO, codec="mpeg2video", time_base=base, interlaced=True
    )
    media = MediaInfo(path=Path("in.ts"), format_name="mpegts", size_bytes=1, tracks=(track,))
    one = np.zeros(1, np.int64)
    index = FrameIndex(base, one, one + 1, one == 0)
    video = SourceVideo(media, track, media.path, 0, index)
    (said,) = deinterlacing_notes(video, VideoAnalysis(scenes=(), unreported=("interlacing",)))
    assert "calls itself interlaced" in said
    assert "encoded as it is" in said
    assert deinterlacing_notes(video, VideoAnalysis(scenes=())) == ()
