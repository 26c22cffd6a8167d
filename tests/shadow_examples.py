"""Small, whole values of shadow runs, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing
from drapto.core.job import EncodeOptions
from drapto.core.media import ColorInfo
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.core.segments import Segment, VideoSettings
from drapto.core.shadow_task import ShadowTask

FRAMES = 48


def shadow_task(source: Path, output: Path, **changes: Any) -> ShadowTask:
    """A task on two existing files: detection, served by legacy, with new as the candidate."""
    found, made = source.stat(), output.stat()
    task = ShadowTask(
        id="0123456789ab",
        job="7f3a9c21",
        stage=RoutedStage.DETECTION,
        primary=Side.LEGACY,
        candidate=Side.NEW,
        mode=Mode.SHADOW,
        revision="1",
        source=source,
        source_size_bytes=found.st_size,
        source_mtime_ns=found.st_mtime_ns,
        output=output,
        output_size_bytes=made.st_size,
        options=EncodeOptions(preset=13),
        settings=VideoSettings(width=192, height=108, source_width=192, source_height=108),
        analysis=VideoAnalysis(scenes=(Scene(start=0, end=FRAMES),), decoded_frames=FRAMES),
        deinterlacing=Deinterlacing(),
        segments=(Segment(index=0, start=0, end=FRAMES),),
        color=ColorInfo(),
        frames=FRAMES,
        primary_s=1.0,
    )
    return task.model_copy(update=changes)
