"""Segments of a damaged source: whatever the decoder makes of it, every frame is in one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media import clips, hostile
from tests.services.test_encoding_contract import Run, tasks_for


@pytest.fixture
async def damaged(tmp_path: Path) -> SourceVideo:
    """With a hole behind which the decoder shows old pictures late: the ffmpeg program gives
    them the time of the one before them, PyAV their own."""
    whole = clips.silent(tmp_path, frames=96)
    path = hostile.with_hole(whole, tmp_path / "damaged.mp4", share=0.2)
    reader = PyAvReader()
    media = await reader.probe(path)
    video = await reader.open_video(media, media.tracks[0], tmp_path)
    return await reader.corrected(video)


async def test_a_film_with_repeated_times_can_be_cut_anywhere(
    damaged: SourceVideo, tmp_path: Path
) -> None:
    frames = len(damaged.index)
    assert frames < 96
    steps = damaged.index.pts[1:] - damaged.index.pts[:-1]
    hole = int(steps.argmax()) + 1
    for cut in range(hole - 3, hole + 5):
        run = Run()
        await run(tasks_for(damaged, tmp_path, 0, cut, frames))
        assert [done.frames for done in sorted(run.done, key=lambda d: d.segment.index)] == [
            cut,
            frames - cut,
        ]
