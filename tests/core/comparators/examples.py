"""Plain results of both sides, to be changed in one place by each test."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from drapto.core.analysis import CropDecision, Scene, VideoAnalysis
from drapto.core.comparators.verdict import Terms
from drapto.core.comparison import FieldResult, Severity
from drapto.core.flag_policy import Ignore, Tolerances
from drapto.core.media import ColorInfo, ContentLight, CropRect, MasteringDisplay, TrackKind
from drapto.core.output_summary import OutputSummary, Quality, TrackSummary
from drapto.core.segments import Segment

TODAY = date(2026, 6, 1)
FRAMES = 240

SDR = ColorInfo(primaries="bt709", transfer="bt709", matrix="bt709", range="tv")
HDR10 = ColorInfo(
    primaries="bt2020",
    transfer="smpte2084",
    matrix="bt2020nc",
    range="tv",
    mastering_display=MasteringDisplay(
        red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06), white=(0.3127, 0.329),
        min_luminance=0.005, max_luminance=1000,
    ),
    content_light=ContentLight(max_cll=1000, max_fall=400),
)  # fmt: skip


def terms(*ignored: str, is_aa: bool = False) -> Terms:
    ignore = tuple(Ignore(field=name, reason="known", expires=TODAY) for name in ignored)
    return Terms(Tolerances(), ignore, TODAY, is_aa)


def analysis(
    cuts: Sequence[int] = (50, 100, 150),
    crop: CropRect | None = None,
    color: ColorInfo = SDR,
    **changes: Any,
) -> VideoAnalysis:
    edges = (0, *cuts, FRAMES)
    scenes = tuple(Scene(start=a, end=b) for a, b in itertools.pairwise(edges))
    facts: dict[str, Any] = {"decoded_frames": FRAMES, **changes}
    return VideoAnalysis(scenes=scenes, crop=CropDecision(rect=crop), color=color, **facts)


def segments(*edges: int) -> tuple[Segment, ...]:
    pairs = itertools.pairwise(edges)
    return tuple(Segment(index=i, start=a, end=b) for i, (a, b) in enumerate(pairs))


VIDEO = TrackSummary(kind=TrackKind.VIDEO, codec="av1", dispositions=frozenset({"default"}))
ENGLISH = TrackSummary(
    kind=TrackKind.AUDIO, codec="opus", language="eng", title="Main", channels=2,
    dispositions=frozenset({"default"}), start_s=0.0, end_s=10.0,
)  # fmt: skip
FRENCH = ENGLISH.model_copy(
    update={"language": "fre", "title": "Commentaire", "dispositions": frozenset({"comment"})}
)
GERMAN = TrackSummary(
    kind=TrackKind.SUBTITLE, codec="subrip", language="ger", dispositions=frozenset({"forced"}),
    start_s=1.0, end_s=9.0,
)  # fmt: skip
TRACKS = (VIDEO, ENGLISH, FRENCH, GERMAN)


def output(tracks: Sequence[TrackSummary] = TRACKS, **changes: Any) -> OutputSummary:
    facts: dict[str, Any] = {
        "frames": FRAMES, "duration_s": 10.0, "frame_rate": Fraction(24), "size_bytes": 1_000_000,
        "width": 1920, "height": 800, "color": SDR, "chapters": 2, "attachments": 1,
        "quality": Quality(mean=93.0, p1=85.0, frames=FRAMES),
    }  # fmt: skip
    return OutputSummary(tracks=tuple(tracks), **(facts | changes))


def outside(fields: Sequence[FieldResult]) -> dict[str, Severity]:
    return {f.field: f.severity for f in fields if f.severity is not Severity.WITHIN}
