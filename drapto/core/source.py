"""One video stream that is worked on, and what is decoded of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import PictureShape
from drapto.core.deinterlacing import UNTOUCHED, Deinterlacing, shown_index
from drapto.core.dynamic_metadata import NONE_CARRIED, CarriedFrames
from drapto.core.media import ClockChange, FrameIndex, MediaInfo, Track


@dataclass(frozen=True)
class SourceVideo:
    """One video stream that can be addressed frame by frame.

    `path` and `stream_index` name the file to decode: the source itself, or, where the source
    has no usable timestamps, its rewrapped copy in the work directory. `index` counts in the
    time base of that file. `origin` is the source as the user knows it. `late_s` is how much
    later a frame is in the index than in `origin`: 0, but for a source that begins before 0
    and had to be rewrapped; other tracks of `origin` are to be moved by as much. Where the clock
    of the source jumped, `mended` is a copy of all of it on one clock, and `clock_changes` say what
    was changed: the other tracks are read from there.

    `index` is the shown one once deinterlacing is settled; `coded`, of what the decoder yields, is
    another only where `deinterlacing` makes it another (core/deinterlacing.py).
    """

    origin: MediaInfo
    track: Track  # as in `origin`
    path: Path
    stream_index: int
    index: FrameIndex
    late_s: Fraction = Fraction(0)
    mended: Path | None = None
    clock_changes: tuple[ClockChange, ...] = ()
    carries: CarriedFrames = NONE_CARRIED  # how many frames have dynamic metadata
    deinterlacing: Deinterlacing = UNTOUCHED
    # Coded frames whose packets the demuxer calls corrupt. Where an MPEG-TS packet is lost, that
    # is the picture before the one that lacks it.
    doubtful: tuple[int, ...] = ()
    coded_index: FrameIndex | None = None  # None: `index` is that of the decoded frames

    @property
    def coded(self) -> FrameIndex:
        """The index of what the decoder yields."""
        return self.index if self.coded_index is None else self.coded_index

    @property
    def as_coded(self) -> SourceVideo:
        """The same video as it was before deinterlacing was settled."""
        return replace(self, index=self.coded, coded_index=None, deinterlacing=UNTOUCHED)

    def deinterlaced(self, work: Deinterlacing) -> SourceVideo:
        """The same video with `index` counting what `work` makes of it."""
        if work.is_off:
            return self
        coded = self.coded
        return replace(self, index=shown_index(coded, work), coded_index=coded, deinterlacing=work)

    @property
    def media(self) -> MediaInfo:
        """The file to read the other tracks from: the source, or its mended copy."""
        return self.origin.model_copy(update={"path": self.mended}) if self.mended else self.origin


@dataclass(frozen=True, eq=False)
class FieldSeries:
    """How the fields of every coded frame go with those of the frame before it.

    Shapes (frames,), means of absolute luma differences in 8-bit codes over the part of the
    picture where they are largest. `earlier_change` and `later_change` are how much the field that
    comes first and the other one changed since the frame before; infinite where that is unknown.
    `own_misfit` is how much worse the frame's own later field weaves with its earlier one than the
    later field of the frame before does; `before_misfit` the other way round.
    """

    earlier_change: npt.NDArray[np.float64]
    later_change: npt.NDArray[np.float64]
    own_misfit: npt.NDArray[np.float64]
    before_misfit: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.earlier_change)


@dataclass(frozen=True)
class LumaFrame:
    """One decoded frame as detection sees it.

    `luma` is uint8 (height, width), reduced to at most the height that was asked for and
    scaled from whatever bit depth to 8 bit full code values (limited range stays limited:
    black is 16). `full` is the luma plane at the size of the track (uint8, or uint16 for more
    than 8 bits), valid only until the next frame is taken; a frame of another size, as `shape`
    tells, has been scaled to it, as the encoders do.
    """

    number: int  # in display order, from 0
    pts: int
    luma: npt.NDArray[np.uint8]
    full: npt.NDArray[Any]
    bit_depth: int
    shape: PictureShape  # as decoded
    interlaced: bool  # the stream's own flag
    top_field_first: bool
    damaged: bool
