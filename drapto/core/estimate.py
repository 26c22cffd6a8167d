"""What an encode would come to, said before it is done: `drapto estimate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drapto.core.media import CropRect, Int64Array, MediaInfo, Value
from drapto.core.source import LumaFrame, SourceVideo
from drapto.core.tracks import TrackPlan

COVERAGE = 0.8
"""Share of finished encodes that each range is meant to hold (bench/estimate.py counts them)."""


@dataclass(frozen=True)
class Window:
    """Frames [start, end) that are tried, for frames [first, last), which they stand for."""

    start: int
    end: int
    first: int
    last: int

    @property
    def frames(self) -> int:
        return self.end - self.start

    @property
    def stands_for(self) -> int:
        return self.last - self.first


class Range(Value):
    """What is likely, and between which two values it should lie in `COVERAGE` of all cases."""

    low: float
    likely: float
    high: float


class Estimate(Value):
    """What a finished encode of one film is predicted to be, and what the prediction took."""

    source: Path
    source_bytes: int
    frames: int  # of the output
    duration_s: float
    width: int  # of the output's picture
    height: int
    crop: CropRect | None
    crop_reason: str
    encoder: str
    preset: int
    film_grain: int = 0  # level; 0: none
    target_vmaf: float | None  # None: one CRF for the whole film
    crf: float  # the one, or the level around which segments would lie
    vmaf: Range | None  # mean of all frames; None: not measured
    coverage: float = COVERAGE
    output_bytes: Range
    saving: Range  # share of the source's bytes; below 0 where the output is larger
    video_bytes: Range
    other_bytes: int  # all other tracks, attachments, and the container itself
    wall_s: Range  # of the whole job on this machine, if nothing else runs
    cpu_s: Range
    workers: int
    lp: int
    memory_bytes: int  # of all workers and Drapto itself
    disk_bytes: int  # free bytes that a job wants to find
    windows: int
    sampled_frames: int
    spent_wall_s: float  # on this estimate
    spent_cpu_s: float
    sheet: Path | None = None  # the contact sheet, if one was asked for
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PacketSizes:
    """`by_stream`: bytes of all packets of every stream, by its index in the source. `frames`:
    (coded frames,) bytes of the video's packets; None where they cannot be told apart."""

    by_stream: dict[int, int]
    frames: Int64Array | None


class PacketSizer(Protocol):
    """Weighs packets without decoding them. Errors: InputError."""

    async def of(self, media: MediaInfo, video: SourceVideo) -> PacketSizes:
        """Reads the source from end to end."""
        ...

    async def first_packet(self, path: Path) -> int:
        """Bytes of the first packet of a segment file: its key frame."""
        ...


class WindowReader(Protocol):
    """Decodes a part of a stream. Blocking: call it in a worker thread."""

    def stretch(
        self, video: SourceVideo, start: int, end: int, *, max_height: int
    ) -> Iterator[LumaFrame]:
        """The coded frames [start, end), numbered as in the film. Errors: InputError."""
        ...


class AudioTrial(Protocol):
    """Encodes excerpts of a track."""

    async def bytes_per_s(self, media: MediaInfo, plan: TrackPlan, duration_s: float) -> float:
        """What one second of the encoded track takes. `plan.audio` must not be None."""
        ...


class SheetMaker(Protocol):
    """Draws stills of coded frames with the crop in them. Errors: InputError, PublishError."""

    async def __call__(
        self, video: SourceVideo, frames: Sequence[int], crop: CropRect | None, out: Path
    ) -> None: ...
