"""Inverse telecine decided for whole films, from real fields of composed ones."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import anyio
import numpy as np
import pytest

from drapto.core.analysis import FieldOrder, Interlacing, VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing, Method
from drapto.core.media import FrameIndex, MediaInfo, Track, TrackKind
from drapto.core.source import FieldSeries, SourceVideo
from drapto.infrastructure.ffmpeg.fields import field_series
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.services.detection.deinterlacing import decide_deinterlacing
from drapto.services.detection.pulldown import inverse_telecine
from tests.media.film import (
    Planes,
    film,
    interlaced,
    shot,
    source_of,
    telecined,
    texture,
    with_noise,
    write_film,
)

TOP, BOTTOM = FieldOrder.TOP_FIRST, FieldOrder.BOTTOM_FIRST


def decided(folder: Path, planes: Planes, order: FieldOrder = TOP) -> Deinterlacing:
    video = source_of(write_film(folder / "film.mkv", planes, fps=30))
    series = field_series(video, order, lambda _frames: None, lambda: None)
    return inverse_telecine(series, order)


def places(work: Deinterlacing) -> set[int]:
    return {frame % 5 for frame in work.dropped}


@pytest.mark.parametrize("order", [TOP, BOTTOM])
@pytest.mark.parametrize("starts_at", range(5))
def test_the_frame_that_repeats_is_dropped_and_the_next_one_woven(
    tmp_path: Path, starts_at: int, order: FieldOrder
) -> None:
    planes = telecined(shot(3, 48, step=(3, 1)), top_first=order is TOP)[starts_at:]
    work = decided(tmp_path, planes, order)
    expected = [n for n in range(len(planes)) if (n + starts_at) % 5 == 2 and n > 0]
    assert list(work.dropped) == expected
    assert set(expected) <= {n - 1 for n in work.woven}
    assert work.loose_frames <= 2  # the first ones, where a field of theirs is not there


@pytest.mark.parametrize("step", [(1, 0), (3, 0), (0, 2), (5, 3)])
def test_nothing_is_dropped_of_video(tmp_path: Path, step: tuple[float, float]) -> None:
    for planes in (shot(3, 60, step=step), interlaced(shot(4, 120, step=step))):
        work = decided(tmp_path, planes)
        assert work.dropped == ()
        assert work.loose == ((0, 60),)


def test_nothing_is_dropped_of_a_still_that_shows_no_rhythm(tmp_path: Path) -> None:
    assert decided(tmp_path, np.repeat(texture(1)[None], 30, 0)).dropped == ()


def test_rhythm_goes_on_through_a_still(tmp_path: Path) -> None:
    moving, still = shot(3, 40, step=(3, 0)), np.repeat(texture(1)[None], 40, 0)
    planes = telecined(film(moving, still, shot(4, 40, step=(3, 0))))
    work = decided(tmp_path, planes)
    assert list(work.dropped) == list(range(2, 150, 5))


def test_rhythm_goes_on_through_drawings_that_are_shown_twice(tmp_path: Path) -> None:
    planes = telecined(np.repeat(shot(3, 60, step=(4, 1)), 2, axis=0))
    work = decided(tmp_path, planes)
    # The second or the third of five: either way each drawing is there twice, and whole.
    assert len(work.dropped) == 30
    assert len(places(work)) == 1
    assert work.loose == ()


def test_rhythm_goes_on_through_grain_that_no_repeat_shares(tmp_path: Path) -> None:
    planes = with_noise(telecined(shot(3, 96, step=(3, 1))), 3)
    assert list(decided(tmp_path, planes).dropped) == list(range(2, 120, 5))


def test_rhythm_may_change_at_a_cut(tmp_path: Path) -> None:
    first = telecined(shot(3, 48, step=(3, 1)))[:47]
    second = telecined(shot(4, 48, step=(3, 1)))[1:]
    work = decided(tmp_path, film(first, second))
    expected = [n for n in range(47) if n % 5 == 2]
    expected += [47 + n for n in range(59) if (n + 1) % 5 == 2]
    assert [n for n in work.dropped if abs(n - 47) > 3] == [n for n in expected if abs(n - 47) > 3]


def test_video_between_film_is_kept_whole(tmp_path: Path) -> None:
    pulldown = telecined(shot(3, 48, step=(3, 1)))
    planes = film(pulldown, interlaced(shot(4, 80, step=(3, 0))), pulldown)
    work = decided(tmp_path, planes)
    assert not [n for n in work.dropped if 60 <= n < 100]
    assert len(work.dropped) == 24
    assert any(start <= 62 and end >= 98 for start, end in work.loose)


async def test_looking_for_the_rhythm_of_a_long_film_stops_nothing_else() -> None:
    """Half an hour of film takes a second, in which the display and the encoders go on."""
    frames = 50_000
    series = FieldSeries(*(np.ones(frames) for _ in range(4)))

    class Reader(PyAvReader):
        async def field_series(self, *_: object) -> FieldSeries:
            return series

    one = np.arange(frames, dtype=np.int64)
    index = FrameIndex(Fraction(1, 30), one, np.ones_like(one), one == 0)
    track = Track(index=0, kind=TrackKind.VIDEO, codec="h264", time_base=index.time_base)
    media = MediaInfo(path=Path("in.mkv"), format_name="matroska", size_bytes=1, tracks=(track,))
    video = SourceVideo(media, track, media.path, 0, index)
    found = VideoAnalysis(scenes=(), interlacing=Interlacing.TELECINED, field_order=TOP)
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        while True:
            before = time.monotonic()
            await anyio.sleep(0.01)
            longest_s = max(longest_s, time.monotonic() - before)

    began = time.monotonic()
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.02)
        work = await decide_deinterlacing(Reader(), video, found, "auto")
        await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    assert work.method is Method.IVTC
    assert longest_s < (time.monotonic() - began) / 2
