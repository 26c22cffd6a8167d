"""The contract of `DetectionService`: every implementation joins by a line in SERVICES.

What an implementation names in `unreported` it need not find.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import numpy as np
import pytest

from drapto.core.analysis import CropSettled, CutFound, InterlacingSoFar
from drapto.core.errors import InputError, UsageError
from drapto.core.interfaces import DetectionService
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect, FrameIndex
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import Analyzed, StreamingDetection
from drapto.services.legacy.adapter import LegacyDetection
from tests.legacy import needs_tools, packaged
from tests.media import clips, hdr
from tests.media.film import (
    blank,
    damage,
    film,
    flash,
    letterbox,
    shot,
    source_of,
    with_noise,
    write_film,
)
from tests.services.routing import routed


def new_detection() -> DetectionService:
    return StreamingDetection(PyAvLumaReader(), NumpyBackend())


SERVICES: dict[str, Callable[[Path], DetectionService]] = {
    "new": lambda _directory: new_detection(),
    "routed": lambda directory: routed(directory, detection=new_detection()).detection,
    "legacy": lambda directory: LegacyDetection(packaged(directory)),
}


@pytest.fixture(params=["new", "routed", pytest.param("legacy", marks=needs_tools)])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> DetectionService:
    return SERVICES[request.param](tmp_path)


def ignore(done: int) -> None:
    pass


async def test_scenes_cover_every_decoded_frame_and_begin_at_the_cuts(
    service: DetectionService, tmp_path: Path
) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", film(shot(1, 30), shot(2, 24), shot(3, 33))))
    found = await service.analyze(video, EncodeOptions(), ignore)
    assert found.decoded_frames == 87
    cuts = [] if "cuts" in found.unreported else [30, 54]
    assert [(s.start, s.end) for s in found.scenes] == list(itertools.pairwise([0, *cuts, 87]))
    assert found.decoded_pts is None
    assert found.decode_errors == 0
    if "complexity" not in found.unreported:
        assert all(s.spatial_complexity > 0 and 16 < s.mean_luma < 235 for s in found.scenes)


async def test_everything_is_told_about_one_film(service: DetectionService, tmp_path: Path) -> None:
    planes = film(flash(with_noise(shot(1, 40), 3), 20), blank(12), with_noise(shot(2, 40), 3))
    planes = letterbox(planes, top=14, bottom=14)
    video = source_of(write_film(tmp_path / "a.mkv", planes))
    found = await service.analyze(video, EncodeOptions(), ignore)
    assert found.crop.rect == CropRect(width=192, height=80, x=0, y=14)
    assert found.crop.confidence > 0.9
    if "black_frames" not in found.unreported:
        assert found.black_frames == ((40, 52),)
    if "flash_frames" not in found.unreported:
        assert found.flash_frames == (20, 21)
    if "grain" not in found.unreported:
        assert 2 < found.grain < 4


@pytest.mark.parametrize(
    "builder", [clips.hdr10, clips.hlg, clips.simple, hdr.hdr10_plus, hdr.dolby_vision]
)
async def test_colour_is_that_of_the_stream_to_the_last_digit(
    service: DetectionService, builder: Callable[[Path], Path], tmp_path: Path
) -> None:
    reader = PyAvReader()
    media = await reader.probe(builder(tmp_path))
    video = await reader.open_video(media, media.tracks[0], tmp_path)
    found = await service.analyze(video, EncodeOptions(), ignore)
    assert found.color == video.track.color
    assert (found.color.mastering_display is None) == (builder in (clips.hlg, clips.simple))
    assert (found.color.dolby_vision is None) == (builder is not hdr.dolby_vision)


@pytest.mark.parametrize("frames", [1, 2])
async def test_films_of_one_or_two_frames_are_analysed(
    service: DetectionService, tmp_path: Path, frames: int
) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, frames, width=32, height=32)))
    found = await service.analyze(video, EncodeOptions(), ignore)
    assert [(s.start, s.end) for s in found.scenes] == [(0, frames)]
    assert found.crop.rect is None


async def test_no_decodable_frame_is_an_input_error(
    service: DetectionService, tmp_path: Path
) -> None:
    path = write_film(tmp_path / "a.mkv", shot(1, 12), codec="libx264", options={"bf": "0"})
    video = source_of(path)
    for packet in range(12):
        damage(path, packet=packet)
    with pytest.raises(InputError, match="decoded"):
        await service.analyze(video, EncodeOptions(), ignore)


async def test_decoded_truth_wins_over_the_index(service: DetectionService, tmp_path: Path) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, 20)))
    index = video.index
    longer = FrameIndex(
        index.time_base,
        np.append(index.pts, index.end_pts),
        np.append(index.duration, index.duration[-1]),
        np.append(index.key, False),
    )
    found = await service.analyze(replace(video, index=longer), EncodeOptions(), ignore)
    if "decoded_frames" in found.unreported:
        assert found.decoded_pts is None
        return
    assert found.decoded_frames == 20
    assert found.decoded_pts == tuple(int(p) for p in index.pts)


async def test_crop_is_as_asked_where_it_was_asked(
    service: DetectionService, tmp_path: Path
) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", letterbox(shot(1, 30), top=14, bottom=14)))
    off = await service.analyze(video, EncodeOptions(crop="off"), ignore)
    assert off.crop.rect is None
    rect = CropRect(width=100, height=60, x=20, y=10)
    asked = await service.analyze(video, EncodeOptions(crop=rect), ignore)
    assert asked.crop.rect == rect
    whole = CropRect(width=192, height=108, x=0, y=0)
    nothing = await service.analyze(video, EncodeOptions(crop=whole), ignore)
    assert nothing.crop.rect is None


@pytest.mark.parametrize(
    "numbers", [(193, 108, 0, 0), (192, 108, 2, 0), (99, 60, 0, 0), (100, 60, 1, 0), (0, 0, 0, 0)]
)
async def test_crop_that_does_not_fit_is_a_usage_error(
    service: DetectionService, tmp_path: Path, numbers: tuple[int, int, int, int]
) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, 3)))
    width, height, x, y = numbers
    options = EncodeOptions(crop=CropRect(width=width, height=height, x=x, y=y))
    with pytest.raises(UsageError, match="crop"):
        await service.analyze(video, options, ignore)


async def test_progress_counts_up_to_all_frames(service: DetectionService, tmp_path: Path) -> None:
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, 50)))
    seen: list[int] = []
    await service.analyze(video, EncodeOptions(), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 50


async def test_cancelling_ends_the_pass_within_a_few_frames(tmp_path: Path) -> None:
    service = SERVICES["new"](tmp_path)
    video = source_of(write_film(tmp_path / "a.mkv", shot(1, 400)))
    seen: list[int] = []
    with anyio.CancelScope() as scope:

        def stop(done: int) -> None:
            seen.append(done)
            anyio.from_thread.run_sync(scope.cancel)

        await service.analyze(video, EncodeOptions(), stop)
    assert scope.cancelled_caught
    assert seen[-1] < 400


async def test_damaged_pictures_are_counted_and_survived(
    service: DetectionService, tmp_path: Path
) -> None:
    options = {"bf": "0", "g": "12"}
    path = write_film(tmp_path / "a.mkv", shot(1, 48), codec="libx264", options=options)
    video = source_of(path)
    damage(path, packet=19)
    found = await service.analyze(video, EncodeOptions(), ignore)
    assert "decode_errors" in found.unreported or found.decode_errors > 0
    assert found.scenes[-1].end == found.decoded_frames > 24
    pts = found.decoded_pts or tuple(int(p) for p in video.index.pts)
    assert all(math.isfinite(p) for p in pts)
    assert all(a < b for a, b in itertools.pairwise(pts))


def test_cuts_come_out_while_the_film_is_still_running(tmp_path: Path) -> None:
    """The seam for encoding behind the analysis; of `StreamingDetection` alone."""
    video = source_of(write_film(tmp_path / "a.mkv", film(shot(1, 40), shot(2, 160))))
    progress = [0]
    detection = StreamingDetection(PyAvLumaReader(), NumpyBackend())
    early: list[int] = []
    kinds = []
    for finding in detection.findings(video, EncodeOptions(), lambda n: progress.append(n)):
        kinds.append(type(finding))
        if isinstance(finding, CutFound) and progress[-1] < 64:
            early.append(finding.frame)
    assert early == [40]
    assert kinds == [CropSettled, InterlacingSoFar, CutFound, Analyzed]
