"""The Protocols between the layers. Each says what an implementation must provide.

`services` decide and describe, `infrastructure` does. Neither imports the other: they meet
here, and `bootstrap` hands one to the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from drapto.core.analysis import FieldOrder, Finding, VideoAnalysis
from drapto.core.events import Event
from drapto.core.job import EncodeOptions
from drapto.core.media import MediaInfo, Track
from drapto.core.quality import Measuring, Metric
from drapto.core.segments import EncodedSegment, Segment, SegmentTask, VideoSettings
from drapto.core.source import FieldSeries, LumaFrame, SourceVideo


class EventSink(Protocol):
    """Takes events from any thread; never blocks, never raises."""

    def emit(self, event: Event) -> None: ...


class Clock(Protocol):
    def monotonic_s(self) -> float: ...


class MediaReader(Protocol):
    """Reads files without changing them. Errors: InputError."""

    async def probe(self, path: Path) -> MediaInfo: ...

    async def open_video(self, media: MediaInfo, track: Track, work_dir: Path) -> SourceVideo:
        """Build the frame index by demuxing; rewrap into `work_dir` only where it must."""
        ...

    def main_video(self, media: MediaInfo, wanted: int | None = None) -> Track:
        """The video stream to encode; `wanted` counts the video streams from 0."""
        ...

    async def corrected(self, video: SourceVideo) -> SourceVideo:
        """The same video with the index that decoding shows to be true."""
        ...

    async def field_series(
        self, video: SourceVideo, order: FieldOrder, on_progress: ProgressCallback
    ) -> FieldSeries:
        """Decode all of `video` and compare its fields."""
        ...


class LumaReader(Protocol):
    """Decodes a stream once, in order. Blocking: call it in a worker thread."""

    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]: ...


ProgressCallback = Callable[[int], None]  # frames done so far; called from any thread


FindingCallback = Callable[[Finding], None]  # called from any thread


def unheard(_finding: Finding) -> None:
    """The listener of those who wait for the whole analysis."""


class DetectionService(Protocol):
    """Contract suite: tests/services/test_detection_contract.py.

    `on_finding` gets what is final before the end, so that encoding can start early; an
    implementation that knows nothing before the end never calls it.
    """

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis: ...


class ScenePlanner(Protocol):
    """Plans segments while scenes become known. The same segments as `plan` in the end."""

    def add_scene(self, end: int) -> list[Segment]:
        """Take the scene that ends before frame `end`; returns the segments now final."""
        ...


class SegmentationService(Protocol):
    """Every frame once, in order. Contract suite: tests/services/test_segmentation_contract.py."""

    def planner(self, video: SourceVideo, options: EncodeOptions) -> ScenePlanner | None:
        """None: this implementation has to see the whole analysis first."""
        ...

    async def plan(
        self, video: SourceVideo, analysis: VideoAnalysis, options: EncodeOptions
    ) -> tuple[Segment, ...]: ...


class Encoder(Protocol):
    """Turns a segment task into ffmpeg arguments: pure, no process is started here."""

    @property
    def name(self) -> str:
        """As in --encoder."""
        ...

    @property
    def codec(self) -> str:
        """ffmpeg's codec name of the result: 'av1', 'hevc', 'h264'."""
        ...

    @property
    def ffmpeg_encoder(self) -> str:
        """ffmpeg's encoder name, which `doctor` looks for: 'libsvtav1'."""
        ...

    @property
    def needs_device(self) -> bool:
        """Whether a graphics card does the work, so that it has to be tried before it is used."""
        ...

    @property
    def crf_range(self) -> tuple[float, float]: ...

    @property
    def is_steerable(self) -> bool:
        """Whether its CRF counts as AV1's own scale of 0 to 63 does, of which the curves of
        quality and size are known well enough to steer by."""
        ...

    @property
    def codes_grain(self) -> bool:
        """Whether it can take film grain off and have the player put it on again."""
        ...

    def check(self, settings: VideoSettings) -> None:
        """Errors: UsageError if this encoder cannot make such a picture."""
        ...

    def default_crf(self, width: int) -> float:
        """The quality without --crf, by the width of the output picture."""
        ...

    def arguments(self, task: SegmentTask) -> list[str]:
        """Everything after the program name, input and output included; no progress options."""
        ...


class SegmentExecutor(Protocol):
    """Runs one segment task somewhere. The only place a segment's process is started.

    Returns what came out, with its frames counted by decoding; judging them is the caller's
    business. Errors: ProcessFailedError, ResourceError, MissingToolError.
    """

    async def run(self, task: SegmentTask, on_progress: ProgressCallback) -> EncodedSegment: ...


@dataclass(frozen=True)
class ProcessUse:
    """What a process that has ended took, its own children included."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0


class QualityMetric(Protocol):
    """Compares two videos frame by frame inside ffmpeg. Pure: arguments out, what it wrote in.

    Contract suite: tests/infrastructure/ffmpeg/test_metrics.py.
    """

    @property
    def metric(self) -> Metric: ...

    def model_for(self, width: int, height: int) -> str:
        """The model for pictures of this size; empty where a metric has none."""
        ...

    def pixel_format(self, bit_depth: int) -> str:
        """What both sides must be brought to. `bit_depth`: the higher one of the two."""
        ...

    def graph(
        self,
        measuring: Measuring,
        *,
        encoded: str,
        original: str,
        frame_rate: Fraction,
        log: str,
        threads: int,
    ) -> str:
        """Filters that compare the labelled streams `[encoded]` and `[original]`, frame n with
        frame n, whatever their timestamps, and end with the shorter one.

        Both must have the pixel format and size. `frame_rate` is the nominal one of the film.
        `log`: a plain file name, in the working directory of ffmpeg. One output without a label,
        a frame of it for each of theirs.
        """
        ...

    def scores(self, log: bytes, measuring: Measuring) -> list[float]:
        """One for each measured frame, in order. Errors: ValueError."""
        ...


class SegmentInspector(Protocol):
    """Takes over a segment file from whoever has written it."""

    async def accept(self, task: SegmentTask, written: Path, use: ProcessUse) -> EncodedSegment:
        """Decode `written` from end to end, count and hash it, and rename it to `task.output`.

        Errors: PublishError if there is no such file, ResourceError if the disk fails.
        """
        ...


@dataclass(frozen=True)
class ScriptRun:
    """How a script ended."""

    command: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr_tail: str
    use: ProcessUse


class ScriptRunner(Protocol):
    """Runs the legacy scripts. What they are told and print: `services/legacy`."""

    async def run(
        self, stage: str, variables: Mapping[str, str], *, what: str, work_dir: Path
    ) -> ScriptRun:
        """Run the script of `stage` in `work_dir`; of the environment variables that begin with
        DRAPTO_ it sees only `variables`. `what` opens an error message.

        Errors: MissingToolError if there is no such script or it cannot be started,
        ProcessFailedError if it runs past its deadline.
        """
        ...


class WorkerSlots(Protocol):
    """Admits segment workers: CPU, memory and disk, all at once."""

    def admit(self, task: SegmentTask) -> AbstractAsyncContextManager[None]: ...

    def observe(self, task: SegmentTask, done: EncodedSegment) -> None:
        """Learn from what a finished worker really used."""
        ...


class TaskSource(Protocol):
    """Where segment workers get their work; it may still be growing."""

    @property
    def left(self) -> int | None:
        """Tasks that wait for a worker; None while more may come."""
        ...

    async def next(self) -> SegmentTask | None:
        """Wait for a task; None when there will be no more."""
        ...


class EncodingService(Protocol):
    """Encodes all segments. `on_done` is awaited once for every accepted segment, in any order.

    Contract suite: tests/services/test_encoding_contract.py.
    """

    @property
    def has_own_encoders(self) -> bool:
        """Whether Drapto's own encoders do the work, so that trying one of them tells something."""
        ...

    def default_crf(self, encoder: Encoder, width: int) -> float:
        """The quality without --crf, by the width of the output picture."""
        ...

    def steers(self, encoder: Encoder) -> bool:
        """Whether segments may each have a CRF of their own, chosen by what is measured."""
        ...

    async def encode(
        self,
        tasks: TaskSource,
        *,
        workers: int,
        on_progress: Callable[[int, int], None],  # (segment index, frames done)
        on_retry: Callable[[int, int, str], None],  # (segment index, attempt, reason)
        on_done: Callable[[EncodedSegment], Awaitable[None]],
    ) -> None: ...


class Journal(Protocol):
    """An append-only list of JSON objects that survives a kill at any moment."""

    async def append(self, entry: dict[str, Any]) -> None:
        """Returns once the entry is on the disk."""
        ...

    async def read(self) -> list[dict[str, Any]]:
        """Every whole entry; a torn last line is left out. Errors: StateError if another is."""
        ...

    async def discard(self) -> None:
        """Forget every entry: the next `append` begins an empty journal."""
        ...

    async def write_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint atomically."""
        ...
