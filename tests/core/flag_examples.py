"""Values that tests of flags start from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drapto.core.flag_overrides import Override
from drapto.core.routing import Mode, RoutedStage, SourceFacts

DETECTION = RoutedStage.DETECTION
FACTS = SourceFacts(
    path=Path("/films/archive/a film.mkv"),
    container="matroska,webm",
    codec="h264",
    width=1920,
    height=1080,
    dynamic_range="sdr",
    interlaced=False,
    duration_s=5400.0,
)


def facts(**changes: Any) -> SourceFacts:
    return SourceFacts(**{**dict(FACTS), **changes})


def override(mode: Mode, **changes: Any) -> Override:
    values: dict[str, Any] = {
        "stage": DETECTION,
        "revision": "1",
        "mode": mode,
        "at": datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        "by": "drapto",
        "why": "Three jobs in a row failed.",
    }
    return Override(**{**values, **changes})
