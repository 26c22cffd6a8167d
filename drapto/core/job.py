"""A job: what was asked, and where it stands."""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from drapto.core.deinterlacing import DeinterlaceChoice
from drapto.core.film_grain import FilmGrainChoice
from drapto.core.media import CropRect, Value
from drapto.core.quality import FilmQuality, Pool
from drapto.core.routing import Mode, Route, RoutedStage
from drapto.core.segments import VideoSettings


class Stage(StrEnum):
    PROBE = "probe"
    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    ENCODING = "encoding"
    ASSEMBLY = "assembly"
    VALIDATION = "validation"
    PUBLISHING = "publishing"


class JobState(StrEnum):
    CREATED = "created"
    PROBING = "probing"
    DETECTING = "detecting"
    SEGMENTING = "segmenting"
    ENCODING = "encoding"
    ASSEMBLING = "assembling"
    VALIDATING = "validating"
    PUBLISHING = "publishing"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class EncodeOptions(Value):
    """What a person can ask of one encode; all of it decides the bytes of the output."""

    crf: float | None = None  # one for the whole film; None: as `target_vmaf` says
    target_vmaf: float | Literal["auto", "off"] = "auto"  # auto: 95 where VMAF is made for the film
    pool: Pool = Pool.MEAN  # how the frames' VMAF becomes that of the film
    floor: float | None = None  # least mean VMAF of a segment; None: target - 6
    strict: bool = False  # every segment within 0.5 of the target, or the job fails
    max_extra: float = 0.10  # share of the frames that may be encoded again
    max_size_percent: float | None = None  # of the source; more is no saving
    vmaf_neg: bool = False  # the models that sharpening cannot please
    measure: bool = False  # the quality, also where nothing is steered by it
    preset: int = 6
    encoder: str = "svt-av1"
    crop: Literal["auto", "off"] | CropRect = "auto"
    deinterlace: DeinterlaceChoice = "auto"
    film_grain: FilmGrainChoice = "off"  # a level: 1 to 50; auto: by what detection measures
    audio: Literal["opus", "copy", "none"] = "opus"
    strict_tracks: bool = False  # refuse, rather than name, a track the container cannot hold
    video_stream: int | None = None  # 0-based among the video streams; None: the main one
    min_segment_s: float = 1.0
    max_segment_s: float = 10.0


class RunOptions(Value):
    """How one encode is run; none of it changes the bytes of the output."""

    workers: int | None = None  # None: from cores, picture size and measured memory
    memory_bytes: int | None = None  # None: from what the machine has free
    overwrite: bool = False
    resume: bool = True
    keep_work: bool = False
    work_dir: Path | None = None  # None: beside the output
    dry_run: bool = False
    routes: dict[RoutedStage, Mode] = {}  # who serves a stage of this one run; else the flags say
    priority: Literal["low", "normal", "high"] = "normal"  # a fact that flag rules can ask about


class JobRequest(Value):
    source: Path
    output: Path
    options: EncodeOptions = EncodeOptions()
    run: RunOptions = RunOptions()

    @property
    def job_id(self) -> str:
        """The same for every run of the same job, so that logs of a resumed job belong together."""
        name = f"{self.source}\0{self.output}"
        return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()


class TrackOutcome(Value):
    """What became of one track of the source: the honest list shown to the user."""

    source_index: int | None  # None: not a stream (chapters, attachments)
    kind: str
    codec: str
    action: Literal["encoded", "copied", "converted", "dropped"]
    detail: str  # 'AAC 5.1 -> Opus 256 kb/s', or why it was dropped
    language: str | None = None
    title: str | None = None


class EncodeResult(Value):
    """The typed outcome of one finished job."""

    source: Path
    output: Path
    source_bytes: int
    output_bytes: int
    frames: int
    duration_s: float
    wall_s: float
    encode_fps: float
    segments: int
    resumed_segments: int
    settings: VideoSettings
    crop: CropRect | None
    dynamic_range: str
    tracks: tuple[TrackOutcome, ...] = ()
    routes: tuple[Route, ...] = ()  # who was to serve each stage that flags route, and why
    warnings: tuple[str, ...] = ()
    manifest: Path | None = None  # None once the work directory is gone
    quality: FilmQuality | None = None  # None: not measured

    @property
    def saving(self) -> float:
        """Share of the source's bytes saved, 0..1; negative if the output grew."""
        return 1 - self.output_bytes / self.source_bytes if self.source_bytes else 0.0
