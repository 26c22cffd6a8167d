"""What tests of several services begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.routing import RoutedStage
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media import clips
from tests.services.routing import Routing
from tests.services.routing_steps import ALWAYS_COMPARED


@pytest.fixture
def routing(tmp_path: Path) -> Routing:
    """New serves everything, and everything is compared."""
    return Routing(
        tmp_path, "".join(f"[stage.{stage}]\n{ALWAYS_COMPARED}\n" for stage in RoutedStage)
    )


@pytest.fixture
async def video(tmp_path: Path) -> SourceVideo:
    """A short film that is really there."""
    reader = PyAvReader()
    media = await reader.probe(clips.simple(tmp_path))
    return await reader.open_video(media, media.tracks[0], tmp_path)
