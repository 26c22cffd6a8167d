"""From what was found in windows to what is tried."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from drapto.core.analysis import FieldOrder, Interlacing, Scene, VideoAnalysis
from drapto.core.deinterlacing import Method
from drapto.core.estimate import Window
from drapto.core.media import FrameIndex, MediaInfo, Track, TrackKind
from drapto.core.source import SourceVideo
from drapto.services.estimating.sample import make_sample

WINDOWS = (Window(10, 58, 0, 100), Window(120, 168, 100, 200), Window(230, 278, 200, 300))


def video() -> SourceVideo:
    frames = np.arange(300, dtype=np.int64)
    index = FrameIndex(Fraction(1, 24), frames, np.ones_like(frames), frames % 24 == 0)
    track = Track(
        index=0, kind=TrackKind.VIDEO, codec="h264", time_base=Fraction(1, 24), width=64, height=48
    )
    media = MediaInfo(path=Path("film.mkv"), format_name="matroska,webm", size_bytes=1)
    return SourceVideo(media, track, media.path, 0, index)


def scene(start: int, end: int) -> Scene:
    return Scene(start=start, end=end, spatial_complexity=5.0, temporal_complexity=2.0)


def found(*scenes: Scene, **facts: object) -> VideoAnalysis:
    return VideoAnalysis(scenes=scenes, decoded_frames=144, **facts)


def test_cuts_are_those_within_a_window() -> None:
    seen = found(scene(10, 58), scene(120, 140), scene(140, 168), scene(230, 278))
    sample = make_sample(video(), seen, WINDOWS, None, "auto", 1.0)
    assert [window.cuts for window in sample.seen] == [0, 1, 0]
    assert [(s.start, s.end) for s in sample.segments] == [(10, 58), (120, 168), (230, 278)]
    assert sample.pre_roll == 10 + 0 + 14
    assert sample.notes == ()


def test_a_window_that_cannot_be_decoded_is_left_out_and_named() -> None:
    seen = found(scene(10, 58), scene(230, 278))
    sample = make_sample(video(), seen, WINDOWS, None, "auto", 1.0)
    assert [window.window for window in sample.seen] == [WINDOWS[0], WINDOWS[2]]
    assert [segment.index for segment in sample.segments] == [0, 1]
    assert sample.notes == ("1 window could not be decoded.",)


def test_what_the_source_spent_is_known_of_each_window() -> None:
    sizes = np.full(300, 100, dtype=np.int64)
    sizes[120:168] = 700
    seen = found(*(scene(w.start, w.end) for w in WINDOWS))
    sample = make_sample(video(), seen, WINDOWS, sizes, "auto", 1.0)
    assert [window.hint for window in sample.seen] == [100.0, 700.0, 100.0]


def test_windows_of_fields_become_windows_of_pictures() -> None:
    seen = found(
        *(scene(w.start, w.end) for w in WINDOWS),
        interlacing=Interlacing.TOP_FIELD_FIRST,
        field_order=FieldOrder.TOP_FIRST,
    )
    sample = make_sample(video(), seen, WINDOWS, None, "bob", 1.0)
    assert len(sample.video.index) == 600
    assert sample.seen[1].window == Window(240, 336, 200, 400)
    assert sample.stills == (34, 144, 254)  # of what is decoded


def test_telecined_film_is_matched_without_leaving_frames_out() -> None:
    seen = found(
        *(scene(w.start, w.end) for w in WINDOWS),
        interlacing=Interlacing.TELECINED,
        field_order=FieldOrder.TOP_FIRST,
    )
    sample = make_sample(video(), seen, WINDOWS, None, "auto", 1.0)
    assert sample.video.deinterlacing.method is Method.MATCH
    assert len(sample.video.index) == 300
    assert "telecined" in sample.notes[0]
