"""What two finished files are compared by: plain, so that it can cross a process border as JSON.

`infrastructure/ffmpeg/summary.py` makes these from a file, `core/comparators/encoding.py` compares
them.
"""

from __future__ import annotations

from fractions import Fraction

from drapto.core.media import ColorInfo, CropRect, TrackKind, Value


class Quality(Value):
    """VMAF of an output against its source, frame by frame (0 to 100, higher is better)."""

    mean: float
    p1: float  # first percentile: one frame in a hundred is worse
    frames: int  # that were measured; fewer than the film has where windows were taken
    windows: int = 1  # stretches of the film that were measured
    model: str = ""  # libvmaf's name of the model
    note: str = ""  # what limits these figures, one plain sentence, or empty


class TrackSummary(Value):
    """One track of a file. Times are relative to the first frame of the main video."""

    kind: TrackKind
    codec: str
    language: str | None = None
    title: str | None = None
    dispositions: frozenset[str] = frozenset()
    channels: int | None = None
    start_s: float | None = None  # of the first thing that is shown or heard; None: unknown
    end_s: float | None = None

    @property
    def is_cover_art(self) -> bool:
        return self.kind is TrackKind.VIDEO and "attached_pic" in self.dispositions

    def __str__(self) -> str:
        kind = "cover" if self.is_cover_art else self.kind.value
        return " ".join((kind, self.codec, *([self.language] if self.language else [])))


class OutputSummary(Value):
    """One file, source or output. `duration_s` is that of the main video."""

    frames: int
    damaged: int = 0  # frames and packets that a decoder refused or had to conceal
    duration_s: float
    frame_rate: Fraction  # nominal
    size_bytes: int
    width: int
    height: int
    color: ColorInfo = ColorInfo()
    tracks: tuple[TrackSummary, ...] = ()  # in the file's order, the main video included
    chapters: int = 0
    attachments: int = 0
    fault: str = ""  # why reading stopped before the end; empty if it did not
    crop: CropRect | None = None  # what its encoder was told to cut out; None: nothing
    quality: Quality | None = None  # None: not measured
