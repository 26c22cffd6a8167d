"""How many segments at once: by the machine, and by what a graphics card allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.job import EncodeOptions, JobRequest, RunOptions
from drapto.core.source import SourceVideo
from drapto.core.workshop import Machine
from drapto.services.encoding.hardware import CARD_SESSIONS
from drapto.services.encoding.registry import encoder_named
from drapto.services.encoding.service import ParallelEncoding
from drapto.services.planning import plan_video

MACHINE = Machine(cores=16, memory_bytes=64 * 1024**3, ffmpeg_version="9")


@pytest.mark.parametrize(
    ("encoder", "asked", "workers"),
    [
        ("svt-av1", None, 16),
        ("av1-nvenc", None, CARD_SESSIONS),
        ("av1-nvenc", 5, 5),
        ("av1-nvenc", 1, 1),
    ],
)
def test_a_card_is_given_few_segments_at_once_unless_more_are_asked_for(
    video: SourceVideo, encoder: str, asked: int | None, workers: int
) -> None:
    request = JobRequest(
        source=Path("in.mkv"),
        output=Path("out.mkv"),
        options=EncodeOptions(encoder=encoder),
        run=RunOptions(workers=asked),
    )
    plan = plan_video(
        request, encoder_named(encoder), video, None, video.track.color, MACHINE, None,
        ParallelEncoding(None, None),  # type: ignore[arg-type]
    )  # fmt: skip
    assert plan.workers.workers == workers
