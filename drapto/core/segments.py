"""Segments: what one encoder run covers, and what came out of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from drapto.core.deinterlacing import Deinterlacing
from drapto.core.dynamic_metadata import DynamicMetadata
from drapto.core.facts import PictureForm
from drapto.core.field_filters import FieldStretch
from drapto.core.media import ColorInfo, CropRect, Value
from drapto.core.quality import Measuring, SegmentQuality


class Segment(Value):
    """Frames [start, end) of the frame index: the shown one, where deinterlacing makes another.

    `path` names a file into which legacy segmentation has cut them. Legacy encoding reads it if
    it is still there; everyone else reads the range of the source, which is always right.
    """

    index: int
    start: int
    end: int
    path: Path | None = None

    @property
    def frames(self) -> int:
        return self.end - self.start

    @property
    def label(self) -> str:
        return f"{self.index:05d}"


class VideoSettings(Value):
    """What an encoder has to be told, apart from which frames. Equal for all segments of a job."""

    encoder: str = "svt-av1"
    crf: float = 28.0
    preset: int = 6
    crop: CropRect | None = None
    color: ColorInfo = ColorInfo()
    frame_rate: Fraction = Fraction(25)  # nominal; timestamps are put back by assembly
    width: int  # of the output picture, after the crop, before rotation
    height: int
    source_width: int  # of the track's picture, which `crop` counts in
    source_height: int
    source_bit_depth: int = 8
    sample_aspect_ratio: Fraction | None = None
    deinterlacing: Deinterlacing = Deinterlacing()  # what becomes of single frames, tasks say
    dynamic_metadata: DynamicMetadata = DynamicMetadata()  # put in after encoding, frame by frame
    film_grain: int = 0  # level that the encoder takes off and the player puts on again; 0: none
    keyint: int = 240  # frames
    lp: int = 2  # SVT-AV1's level of parallelism for most segments; threads of the other encoders


class SegmentTask(Value):
    """One segment as plain data, so that it can travel to another machine.

    The decoder starts at `seeks_s[attempt]` (None: at the beginning of the file), each entry
    an earlier point than the one before, and drops every frame outside [first_pts, end_pts),
    both in `time_base`, the stream's own. `end_pts` None: to the end. With `fields` the frames are
    first made from those of the source, and the timestamps are those of what is made.
    """

    segment: Segment
    source: Path
    stream_index: int
    time_base: Fraction
    first_pts: int
    end_pts: int | None
    seeks_s: tuple[float | None, ...] = (None,)
    settings: VideoSettings
    output: Path
    frame_pts: tuple[int, ...] = ()  # whose dynamic metadata frame n of the output gets, in the
    # stream's own time base; empty where none is carried
    fields: FieldStretch | None = None  # None: the frames are taken as they are decoded
    as_decoded: bool = False  # the timestamps are those of a damaged source: core/decoded_times.py
    attempt: int = 0
    lp: int = 2  # SVT-AV1's level of parallelism for this run: its speed and memory, not its bytes
    measuring: Measuring | None = None  # what is measured of the result; None: nothing
    complexity: tuple[float, float] | None = None  # spatial, temporal, as of core.analysis.Scene

    @property
    def seek_s(self) -> float | None:
        return self.seeks_s[self.attempt]


class EncodedSegment(Value):
    """A finished segment file. `frames` and `forms` were found by decoding it once."""

    segment: Segment
    path: Path
    frames: int
    size_bytes: int
    digest: str  # blake2b-128 of the file, hex
    payload_sha256: str = ""  # of its packets in stored order, hex
    forms: tuple[PictureForm, ...] = ()  # every different kind of picture, in order
    attempt: int = 0
    crf: float | None = None  # None: written by a version of Drapto that did not say
    quality: SegmentQuality | None = None  # None: not measured
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0


class PayloadDigests(Value):
    """SHA-256, hex, over the packets of segment files: of each, and of all in order."""

    each: tuple[str, ...]
    joined: str
