"""Who serves a stage of a job: the words that flags, routers, shadow runs and reports share.

A `Route` is decided once per job and stage, stored with the job, and reused by every retry and
resume: a job never switches sides half-way.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from drapto.core.media import Value


class Side(StrEnum):
    """The two implementations of a stage."""

    LEGACY = "legacy"
    NEW = "new"

    @property
    def other(self) -> Side:
        return Side.NEW if self is Side.LEGACY else Side.LEGACY


class RoutedStage(StrEnum):
    """The stages that flags route; the values are those of `core.job.Stage`."""

    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    ENCODING = "encoding"


class Mode(StrEnum):
    """How far a stage has moved. Step by step in `docs/flags.md`."""

    LEGACY = "legacy"  # legacy serves, nothing runs beside it
    SHADOW = "shadow"  # legacy serves, new runs beside a sample of jobs
    CANARY = "canary"  # new serves `percent` of the jobs; a sample is compared
    NEW = "new"  # new serves; a sample is still compared
    RETIRED = "retired"  # new serves; legacy is never started again
    ROLLED_BACK = "rolled_back"  # legacy serves until a person or a new revision clears it


class SourceFacts(Value):
    """What rules can ask about a source: known from probing, before any stage has run."""

    path: Path
    container: str  # ffmpeg's format name, such as 'matroska,webm'
    codec: str  # of the main video, ffmpeg's name
    width: int
    height: int
    dynamic_range: str  # a value of core.media.DynamicRange
    interlaced: bool  # by the stream's own flag
    duration_s: float
    priority: str = "normal"  # 'low', 'normal' or 'high', as the user said with --priority

    @property
    def strata(self) -> tuple[str, ...]:
        """The groups a report judges apart: 'hdr' or 'sdr', 'uhd' or 'hd', 'interlaced'."""
        named = ["sdr" if self.dynamic_range == "sdr" else "hdr"]
        named.append("uhd" if max(self.width / 3840, self.height / 2160) >= 1 else "hd")
        return (*named, "interlaced") if self.interlaced else tuple(named)


class Route(Value):
    """The decision for one job and stage.

    `candidate` is the side that runs beside the primary after it, None for no shadow run; it
    equals `primary` for an A/A run, which measures noise.
    """

    stage: RoutedStage
    primary: Side
    candidate: Side | None = None
    mode: Mode
    reason: str  # one plain sentence: why this side, for people and for the audit
    revision: str = ""  # the flag's candidate_revision when the route was decided
    may_fall_back: bool = True  # legacy serves if the new primary fails; false once retired

    @property
    def is_aa(self) -> bool:
        return self.candidate is self.primary
