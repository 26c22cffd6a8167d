"""What every segmentation must hold, and what the new one adds.

Every implementation joins by a line in SERVICES.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.interfaces import SegmentationService
from drapto.core.job import EncodeOptions
from drapto.core.segments import Segment
from drapto.infrastructure.ffmpeg.decode import decode_segment
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.services.legacy.adapter import LegacySegmentation
from drapto.services.segmentation.service import (
    SceneSegmentation,
    SegmentPlanner,
    frames_in,
    plan_segments,
)
from tests.legacy import needs_tools, packaged
from tests.media import clips
from tests.services.routing import routed

FPS = Fraction(24)


def scenes_of(*lengths: int) -> list[Scene]:
    scenes, start = [], 0
    for length in lengths:
        scenes.append(Scene(start=start, end=start + length))
        start += length
    return scenes


def planned(*lengths: int) -> list[tuple[int, int]]:
    segments = plan_segments(scenes_of(*lengths), planner())
    return [(s.start, s.end) for s in segments]


def planner(fps: Fraction = FPS, min_s: float = 1, max_s: float = 10) -> SegmentPlanner:
    return SegmentPlanner(min_frames=frames_in(min_s, fps), max_frames=frames_in(max_s, fps))


def assert_covers(segments: tuple[Segment, ...], frames: int) -> None:
    assert [s.index for s in segments] == list(range(len(segments)))
    borders = [0, *(s.end for s in segments)]
    assert [s.start for s in segments] == borders[:-1]
    assert borders[-1] == frames
    assert all(s.frames > 0 for s in segments)


SERVICES: dict[str, Callable[[Path], SegmentationService]] = {
    "new": lambda _directory: SceneSegmentation(),
    "routed": lambda home: routed(home, segmentation=SceneSegmentation()).segmentation,
    "legacy": lambda directory: LegacySegmentation(packaged(directory)),
}


@pytest.mark.parametrize("name", ["new", "routed", pytest.param("legacy", marks=needs_tools)])
@pytest.mark.parametrize(
    "builder",
    [clips.simple, clips.vfr, clips.ts, clips.edit_list, clips.raw_h264, clips.start_offset],
)
async def test_segments_cover_every_frame_of_a_real_file_once(
    name: str, builder: Callable[[Path], Path], tmp_path: Path
) -> None:
    service, reader = SERVICES[name](tmp_path), PyAvReader()
    media = await reader.probe(builder(tmp_path))
    video = await reader.open_video(media, media.tracks[0], tmp_path)
    frames = len(video.index)
    analysis = VideoAnalysis(scenes=(Scene(start=0, end=30), Scene(start=30, end=frames)))
    options = EncodeOptions()
    for _ in range(2):  # and again: what an earlier run left is no obstacle
        segments = await service.plan(video, analysis, options)
        assert_covers(segments, frames)
    for segment in segments:
        if segment.path is not None:
            assert (await decode_segment(segment.path)).frames == segment.frames
    planner = service.planner(video, options)
    if planner is not None:
        arrived = [s for scene in analysis.scenes for s in planner.add_scene(scene.end)]
        assert arrived == list(segments[: len(arrived)])


@given(
    st.lists(st.integers(1, 700), min_size=1, max_size=60),
    st.sampled_from([Fraction(24), Fraction(25, 2), Fraction(24000, 1001), Fraction(120)]),
    st.floats(0.1, 5),
    st.floats(1, 30),
)
def test_every_frame_is_covered_once_within_the_limits(
    lengths: list[int], fps: Fraction, min_s: float, max_s: float
) -> None:
    segments = plan_segments(scenes_of(*lengths), planner(fps, min_s, max_s))
    assert_covers(segments, sum(lengths))
    longest = frames_in(max_s, fps)
    shortest = min(frames_in(min_s, fps), max(1, longest // 2), sum(lengths))
    assert max(s.frames for s in segments) <= longest
    assert min(s.frames for s in segments) >= shortest


@given(st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_planning_while_scenes_arrive_gives_the_same_segments(lengths: list[int]) -> None:
    growing = planner()
    arrived: list[Segment] = []
    for scene in scenes_of(*lengths):
        ready = growing.add_scene(scene.end)
        assert all(segment.end <= scene.start for segment in ready)
        arrived += ready
    arrived += growing.finish()
    at_once = plan_segments(scenes_of(*lengths), planner())
    assert tuple(arrived) == at_once


def test_borders_are_the_cuts_where_lengths_allow() -> None:
    assert planned(100, 50, 240) == [(0, 100), (100, 150), (150, 390)]


def test_long_scene_is_split_evenly() -> None:
    assert planned(500) == [(0, 166), (166, 333), (333, 500)]


def test_short_scene_joins_what_follows() -> None:
    assert planned(100, 10, 60) == [(0, 100), (100, 170)]


def test_short_last_scene_joins_what_came_before() -> None:
    assert planned(100, 10) == [(0, 110)]


def test_film_shorter_than_the_minimum_is_one_segment() -> None:
    assert planned(1) == [(0, 1)]
    assert planned(3, 4) == [(0, 7)]
