"""One shadow run as plain data: it crosses a process border, and outlives the job it came from."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from drapto.core.analysis import VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing
from drapto.core.flag_policy import Ignore, RollbackPolicy, ShadowPolicy, Tolerances
from drapto.core.job import EncodeOptions
from drapto.core.media import ColorInfo, Value
from drapto.core.output_summary import OutputSummary
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.core.segments import Segment, VideoSettings


class ShadowTask(Value):
    """What the candidate is given, and what it is measured against.

    `analysis`, in coded frames, `deinterlacing` and `segments` are what the stages before this one
    made, whoever served them, so that only this stage differs. The primary's own result is
    `analysis` for detection, `segments` for segmentation and `output` for encoding.
    """

    id: str  # 12 hex digits; the comparison's id
    job: str
    stage: RoutedStage
    primary: Side
    candidate: Side
    mode: Mode
    revision: str = ""
    source: Path
    source_size_bytes: int
    source_mtime_ns: int  # a source that has changed since is not compared
    output: Path  # the published file
    output_size_bytes: int
    options: EncodeOptions
    settings: VideoSettings
    analysis: VideoAnalysis
    deinterlacing: Deinterlacing
    segments: tuple[Segment, ...]
    color: ColorInfo  # of the source's track, to tell who is wrong
    frames: int
    primary_s: float  # wall time of the primary
    strata: tuple[str, ...] = ()
    policy: ShadowPolicy = ShadowPolicy()
    compare: Tolerances = Tolerances()
    ignore: tuple[Ignore, ...] = ()
    rollback: RollbackPolicy = RollbackPolicy()

    @property
    def deadline_s(self) -> float:
        return max(DEADLINE_FLOOR_S, self.policy.deadline_factor * self.primary_s)

    @property
    def measure_deadline_s(self) -> float:
        """For decoding and measuring both files, after the candidate."""
        return 2 * self.deadline_s

    @property
    def longest_s(self) -> float:
        """How long all of it may take, ending what does not end by itself included."""
        return self.deadline_s + self.measure_deadline_s + DEADLINE_FLOOR_S

    def candidate_output(self, place: Path) -> Path:
        """The file that a candidate for encoding makes, in the `place` of its shadow run."""
        return place / "run" / f"candidate{self.output.suffix}"

    @property
    def reproduce(self) -> str:
        """The command that runs both sides of this stage again."""
        command = ["drapto", "shadow", "compare", "--stage", self.stage.value]
        usual, asked = EncodeOptions(), self.options
        if self.stage is RoutedStage.ENCODING:
            command += ["--crf", f"{self.settings.crf:g}"]
        for name in ("preset", "encoder", "crop", "deinterlace", "audio", "video_stream"):
            if getattr(asked, name) != getattr(usual, name):
                command += [f"--{name.replace('_', '-')}", str(getattr(asked, name))]
        return shlex.join([*command, str(self.source)])


# A candidate begins by starting Python at the lowest priority. The factor of a primary that took
# half a second must not be spent on that.
DEADLINE_FLOOR_S = 60.0


class CandidateResult(Value):
    """What a candidate hands back; the field of its stage is set."""

    analysis: VideoAnalysis | None = None
    segments: tuple[Segment, ...] | None = None
    output: Path | None = None
    wall_s: float  # of the stage alone, without starting Python and opening the source


class Measured(Value):
    """What was measured of both files of an encoding, and of the source they were made from."""

    primary: OutputSummary
    candidate: OutputSummary | None
    candidate_fault: str = ""  # why the candidate's file cannot be read
    source: OutputSummary | None = None  # None: it could not be read


@dataclass(frozen=True)
class CandidateEnd:
    """How the process of a candidate ended. `payload` is what it wrote, not yet trusted."""

    payload: bytes | None
    fault: str = ""  # one plain clause: what went wrong; empty if there is a payload
    timed_out: bool = False
    wall_s: float = 0.0
    status: int | None = None  # what it exited with: those of `core/errors.py`; None: it did not
