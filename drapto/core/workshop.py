"""What the orchestrator needs done outside itself: the Protocols of a job's workshop.

`infrastructure` provides them, `bootstrap` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from drapto.core.audio_clock import Leap, Picture
from drapto.core.dynamic_metadata import DynamicFacts, DynamicMetadata
from drapto.core.encoder_trial import EncoderTrial
from drapto.core.entries import SourceFingerprint
from drapto.core.facts import FileFacts
from drapto.core.film_memory import RememberedFilm
from drapto.core.interfaces import (
    Encoder,
    EventSink,
    Journal,
    MediaReader,
    ProgressCallback,
    QualityMetric,
)
from drapto.core.job import JobRequest
from drapto.core.manifest import Manifest
from drapto.core.media import ColorInfo, DolbyVision, FrameIndex, MediaInfo, TrackKind
from drapto.core.quality import Metric
from drapto.core.resources import Leaks
from drapto.core.segments import EncodedSegment, PayloadDigests, SegmentTask, VideoSettings
from drapto.core.tracks import (
    Assembled,
    AudioTrackFile,
    Container,
    MuxPlan,
    TrackPlan,
    VideoTrackFile,
)

SecondsCallback = Callable[[float], None]  # seconds of media done so far; from any thread


class TrackMaker(Protocol):
    """Makes tracks and joins them. Every file appears under its name only when it is whole."""

    async def audio_leaps(
        self, media: MediaInfo, streams: Collection[int], picture: Picture
    ) -> Mapping[int, tuple[Leap, ...]]:
        """Timestamps of these audio streams that cannot be true. Errors: InputError."""
        ...

    async def copy_audio(
        self, media: MediaInfo, plan: TrackPlan, out: Path, container: Container
    ) -> None:
        """A file with this one track copied. Errors: ProcessFailedError, ResourceError."""
        ...

    async def encode_audio(
        self, media: MediaInfo, plan: TrackPlan, out: Path, on_progress: SecondsCallback
    ) -> AudioTrackFile: ...

    async def write_video_track(
        self,
        segments: Sequence[EncodedSegment],
        index: FrameIndex,
        out: Path,
        sample_aspect_ratio: Fraction | None,
        late_s: Fraction = Fraction(0),
        dolby_vision: DolbyVision | None = None,
    ) -> VideoTrackFile: ...

    async def mux(
        self,
        plan: MuxPlan,
        *,
        source: MediaInfo,
        video: VideoTrackFile,
        audio: Mapping[int, AudioTrackFile],
        out: Path,
        temp: Path,
        color: ColorInfo,
    ) -> Assembled: ...

    def segment_command(self, task: SegmentTask) -> list[str]:
        """The command that would run, for --dry-run."""
        ...

    def audio_command(self, media: MediaInfo, plan: TrackPlan, out: Path) -> list[str]: ...


class PayloadReader(Protocol):
    """Reads the packets of segment files again, without decoding. Errors: OSError."""

    async def __call__(self, paths: Sequence[Path]) -> PayloadDigests: ...


class MetadataReader(Protocol):
    """Reads the dynamic metadata of every frame, by demuxing. Errors: InputError."""

    async def of_source(
        self, path: Path, stream_index: int, frame_pts: Sequence[int], plan: DynamicMetadata
    ) -> DynamicFacts:
        """What frames made of those with these timestamps must carry by `plan`."""
        ...

    async def of_output(self, path: Path, stream_index: int) -> DynamicFacts:
        """What the frames of a finished file carry, in the order they are shown."""
        ...


class Metrics(Protocol):
    """What quality can be measured with on this machine."""

    async def usable(self, metric: Metric, *, neg: bool = False) -> QualityMetric:
        """Errors: MissingToolError if this ffmpeg cannot measure it, or measures it wrongly."""
        ...


class EncoderTrials(Protocol):
    """Tries encoders on this machine."""

    async def of(self, encoder: Encoder, settings: VideoSettings) -> EncoderTrial:
        """Whether it opens, and encodes a few frames of the size and colour of `settings`. Never
        fails, and takes seconds, whatever a driver does. Errors: ResourceError."""
        ...


class FilmMemory(Protocol):
    """Finished films of earlier jobs. It never fails a job: what cannot be read is not known."""

    async def recall(
        self, *, encoder: str, preset: int, model: str
    ) -> tuple[RememberedFilm, ...]: ...

    async def remember(self, film: RememberedFilm) -> None: ...


class FactsReader(Protocol):
    """Reads a finished file from end to end. `decode` says which kinds of track are decoded."""

    async def __call__(
        self,
        path: Path,
        *,
        decode: Collection[TrackKind],
        streams: Collection[int] | None = None,
        media: MediaInfo | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> FileFacts: ...


class JobPlace(Protocol):
    """The open, locked work directory of one job. Its layout: `docs/state.md`."""

    @property
    def path(self) -> Path: ...
    @property
    def source(self) -> Path: ...
    @property
    def segments(self) -> Path: ...
    @property
    def audio(self) -> Path: ...
    @property
    def assembly(self) -> Path: ...
    @property
    def temp(self) -> Path: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def log(self) -> EventSink:
        """Writes every event to the job's log."""
        ...

    def reset(self) -> None:
        """Drop every finished piece of an earlier run."""
        ...

    def remove(self) -> tuple[Path, ...]:
        """Drop the work directory; returns what somebody else put into it, which stays."""
        ...

    def require_disk(self, needed_bytes: int) -> None:
        """Errors: ResourceError."""
        ...

    async def watch_disk(self) -> None:
        """Runs until cancelled. Errors: ResourceError when the disk is as good as full."""
        ...

    async def write_manifest(self, manifest: Manifest) -> None: ...

    async def read_manifest(self) -> Manifest | None:
        """The manifest an earlier run wrote; None if there is none that can be read."""
        ...

    async def check_leaks(self) -> Leaks:
        """What the job left behind though it should not have. Closes the journal."""
        ...


class JobStore(Protocol):
    """Where jobs live on the disk, and how their output gets its name."""

    def check_output(self, source: Path, output: Path, *, overwrite: bool) -> None:
        """Errors: UsageError or PublishError if `output` cannot or must not be written."""
        ...

    def has_left(self, request: JobRequest) -> bool:
        """True if there is work of an earlier run, and the request allows going on with it."""
        ...

    def open(self, request: JobRequest, job: str) -> AbstractAsyncContextManager[JobPlace]:
        """Make and lock the work directory. Errors: JobLockedError, UsageError, PublishError."""
        ...

    def scratch(self) -> AbstractAsyncContextManager[Path]:
        """A directory that is gone afterwards."""
        ...

    async def fingerprint(self, source: Path) -> SourceFingerprint: ...

    async def digest(self, path: Path) -> str: ...

    async def verify(self, path: Path, size_bytes: int, digest: str) -> str | None:
        """None if the file is what it was, else why not."""
        ...

    async def publish(self, finished: Path, output: Path, *, source: Path, overwrite: bool) -> None:
        """Errors: PublishError, ResourceError."""
        ...

    async def keep_manifest(self, manifest: Manifest, output: Path) -> Path | None:
        """Keep the manifest of a finished job where it outlives the work directory.

        None if that place cannot be written to.
        """
        ...


@dataclass(frozen=True)
class Machine:
    """What this machine offers to encoders."""

    cores: int
    memory_bytes: int
    ffmpeg_version: str


@dataclass(frozen=True)
class Workshop:
    """All of it together."""

    reader: MediaReader
    tracks: TrackMaker
    facts: FactsReader
    payload: PayloadReader
    metadata: MetadataReader
    metrics: Metrics
    trials: EncoderTrials
    films: FilmMemory
    store: JobStore
    machine: Machine
