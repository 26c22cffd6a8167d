"""Drapto re-encodes video to AV1: scene by scene, in parallel, proved against the source.

    import drapto
    result = drapto.encode("in.mkv", "out.mkv", crf=30)

Everything public is listed in `__all__` and loaded when it is first used: importing the package
alone loads no codec and no array library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from drapto._version import __version__

if TYPE_CHECKING:
    from drapto.api import Analysis, Drapto, encode
    from drapto.core.analysis import CropDecision, Interlacing, Scene, VideoAnalysis
    from drapto.core.comparison import Comparison, Outcome
    from drapto.core.doctor import DoctorLine
    from drapto.core.errors import (
        DraptoError,
        InputError,
        JobLockedError,
        MissingToolError,
        NoSavingError,
        ProcessFailedError,
        PublishError,
        QualityMissedError,
        ResourceError,
        ScriptContractError,
        SegmentFailedError,
        StateError,
        UsageError,
        ValidationFailedError,
    )
    from drapto.core.estimate import Estimate, Range
    from drapto.core.events import Event, PlanReady
    from drapto.core.interfaces import EventSink
    from drapto.core.job import EncodeOptions, EncodeResult, RunOptions, TrackOutcome
    from drapto.core.media import ColorInfo, CropRect, FrameIndex, MediaInfo, Track
    from drapto.core.offline import OfflineComparison
    from drapto.core.quality import Metric, SegmentQuality
    from drapto.core.routing import Mode, RoutedStage, Side
    from drapto.core.segments import Segment
    from drapto.core.shadow_report import ShadowReport
    from drapto.core.source import SourceVideo
    from drapto.core.verification import Moment, Verification
    from drapto.infrastructure.settings import Settings
    from drapto.run import Run

_HOME = {
    "drapto.api": ("Analysis", "Drapto", "encode"),
    "drapto.core.analysis": ("CropDecision", "Interlacing", "Scene", "VideoAnalysis"),
    "drapto.core.comparison": ("Comparison", "Outcome"),
    "drapto.core.doctor": ("DoctorLine",),
    "drapto.core.errors": (
        "DraptoError",
        "InputError",
        "JobLockedError",
        "MissingToolError",
        "NoSavingError",
        "ProcessFailedError",
        "PublishError",
        "QualityMissedError",
        "ResourceError",
        "ScriptContractError",
        "SegmentFailedError",
        "StateError",
        "UsageError",
        "ValidationFailedError",
    ),
    "drapto.core.estimate": ("Estimate", "Range"),
    "drapto.core.events": ("Event", "PlanReady"),
    "drapto.core.interfaces": ("EventSink",),
    "drapto.core.source": ("SourceVideo",),
    "drapto.core.job": ("EncodeOptions", "EncodeResult", "RunOptions", "TrackOutcome"),
    "drapto.core.media": ("ColorInfo", "CropRect", "FrameIndex", "MediaInfo", "Track"),
    "drapto.core.offline": ("OfflineComparison",),
    "drapto.core.quality": ("Metric", "SegmentQuality"),
    "drapto.core.routing": ("Mode", "RoutedStage", "Side"),
    "drapto.core.segments": ("Segment",),
    "drapto.core.shadow_report": ("ShadowReport",),
    "drapto.core.verification": ("Moment", "Verification"),
    "drapto.infrastructure.settings": ("Settings",),
    "drapto.run": ("Run",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Analysis",
    "ColorInfo",
    "Comparison",
    "CropDecision",
    "CropRect",
    "DoctorLine",
    "Drapto",
    "DraptoError",
    "EncodeOptions",
    "EncodeResult",
    "Estimate",
    "Event",
    "EventSink",
    "FrameIndex",
    "InputError",
    "Interlacing",
    "JobLockedError",
    "MediaInfo",
    "Metric",
    "MissingToolError",
    "Mode",
    "Moment",
    "NoSavingError",
    "OfflineComparison",
    "Outcome",
    "PlanReady",
    "ProcessFailedError",
    "PublishError",
    "QualityMissedError",
    "Range",
    "ResourceError",
    "RoutedStage",
    "Run",
    "RunOptions",
    "Scene",
    "ScriptContractError",
    "Segment",
    "SegmentFailedError",
    "SegmentQuality",
    "Settings",
    "ShadowReport",
    "Side",
    "SourceVideo",
    "StateError",
    "Track",
    "TrackOutcome",
    "UsageError",
    "ValidationFailedError",
    "Verification",
    "VideoAnalysis",
    "__version__",
    "encode",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'drapto' has no attribute '{name}'")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
