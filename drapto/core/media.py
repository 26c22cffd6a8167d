"""What is in a file: containers, tracks, colour, and the frame index.

Everything here is a frozen value. Nothing here opens a file: `infrastructure/ffmpeg/probe.py`
and `frames.py` make these values, the services read them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Value(BaseModel):
    """Base of every plain value: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrackKind(StrEnum):
    VIDEO = "video"
    AUDIO = "audio"
    SUBTITLE = "subtitle"
    DATA = "data"


class DynamicRange(StrEnum):
    SDR = "sdr"
    HDR10 = "hdr10"
    HDR10_PLUS = "hdr10+"
    HLG = "hlg"
    DOLBY_VISION = "dolby_vision"


class MasteringDisplay(Value):
    """SMPTE ST 2086. Chromaticities are CIE 1931 x, y; luminances are cd/m²."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    min_luminance: float
    max_luminance: float


class ContentLight(Value):
    """CTA-861.3 content light level, both in cd/m²."""

    max_cll: int
    max_fall: int


class DolbyVision(Value):
    """The Dolby Vision configuration record. `compatibility_id` is None if unknown."""

    profile: int
    level: int | None = None
    compatibility_id: int | None = None
    has_enhancement_layer: bool = False


class ColorInfo(Value):
    """Colour tags by their ITU-T H.273 names as ffmpeg spells them; None where untagged."""

    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    range: str | None = None  # 'tv' (limited) or 'pc' (full)
    chroma_location: str | None = None
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    dolby_vision: DolbyVision | None = None
    hdr10_plus: bool = False

    @property
    def dynamic_range(self) -> DynamicRange:
        """The richest of what the stream carries."""
        if self.dolby_vision is not None:
            return DynamicRange.DOLBY_VISION
        if self.hdr10_plus:
            return DynamicRange.HDR10_PLUS
        if self.transfer == "smpte2084":
            return DynamicRange.HDR10
        if self.transfer == "arib-std-b67":
            return DynamicRange.HLG
        return DynamicRange.SDR


class CropRect(Value):
    """The picture inside the frame, in luma samples of the coded (unrotated) frame."""

    width: int
    height: int
    x: int
    y: int

    def __str__(self) -> str:
        return f"{self.width}:{self.height}:{self.x}:{self.y}"


# ffmpeg's names: yuva420p, vuya, gbrap10le, rgba64le, bgra, argb, abgr, ya8.
_ALPHA_FORMAT = re.compile(r"yuva|vuya|ayuv|uyva|gbrap|rgba|bgra|argb|abgr|ya\d")


class Track(Value):
    """One stream of a container, of any kind. Video-only and audio-only facts are optional."""

    index: int  # stream index in the container
    kind: TrackKind
    codec: str  # ffmpeg's codec name, such as 'hevc' or 'subrip'; 'unknown' if it has none
    time_base: Fraction
    start_pts: int | None = None  # in time_base units
    duration_s: float | None = None
    bit_rate: int | None = None  # bits per second
    language: str | None = None
    title: str | None = None
    dispositions: frozenset[str] = frozenset()  # 'default', 'forced', 'comment', 'attached_pic', …
    tags: dict[str, str] = {}  # every tag of the stream as stored, language and title included
    # audio
    sample_rate_hz: int | None = None
    channels: int | None = None
    channel_layout: str | None = None
    # video
    width: int | None = None
    height: int | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    sample_aspect_ratio: Fraction | None = None
    frame_rate: Fraction | None = None  # nominal, frames per second
    interlaced: bool = False  # by the stream's own flag; what it really is, detection finds out
    rotation_deg: int = 0  # clockwise turn a player applies: 0, 90, 180, 270
    mirrored: bool = False
    profile: str | None = None
    color: ColorInfo = ColorInfo()

    @property
    def is_cover_art(self) -> bool:
        return self.kind is TrackKind.VIDEO and "attached_pic" in self.dispositions

    @property
    def has_alpha(self) -> bool:
        """Whether the picture has a transparency channel: by its pixel format, or, in WebM,
        where alpha is a second picture beside the first, by the tag that says so."""
        tagged = any(k.lower() == "alpha_mode" and v == "1" for k, v in self.tags.items())
        return tagged or bool(_ALPHA_FORMAT.match(self.pixel_format or ""))

    @property
    def start_s(self) -> float | None:
        return None if self.start_pts is None else float(self.start_pts * self.time_base)


class Attachment(Value):
    """A file carried inside the container, such as a font."""

    filename: str
    mimetype: str
    size_bytes: int
    sha256: str


class Chapter(Value):
    start_s: float
    end_s: float
    tags: dict[str, str] = {}

    @property
    def title(self) -> str:
        return self.tags.get("title", "")


class MediaInfo(Value):
    """What a file says about itself, before any frame is decoded (but one, for HDR facts)."""

    path: Path
    format_name: str  # ffmpeg's demuxer name, such as 'matroska,webm'
    size_bytes: int
    start_s: float | None = None
    duration_s: float | None = None
    tracks: tuple[Track, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    tags: dict[str, str] = {}

    def of_kind(self, kind: TrackKind) -> tuple[Track, ...]:
        """Tracks of one kind, cover art left out."""
        return tuple(t for t in self.tracks if t.kind is kind and not t.is_cover_art)

    @property
    def cover_art(self) -> tuple[Track, ...]:
        return tuple(t for t in self.tracks if t.is_cover_art)

    def track(self, index: int) -> Track:
        for track in self.tracks:
            if track.index == index:
                return track
        raise KeyError(index)


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Every frame of one video stream in display order: the only authority on 'frame 1234'.

    `pts` and `duration` are in units of `time_base`, shape (frames,), int64; `pts` strictly
    increases. `key` marks the frames a decoder can start from. `synthetic` says that the
    container carried no usable timestamps and these were made from the frame rate, so the
    source cannot be addressed by time until it is rewrapped.
    """

    time_base: Fraction
    pts: Int64Array
    duration: Int64Array
    key: BoolArray
    synthetic: bool = False
    notes: tuple[str, ...] = field(default=())  # what had to be repaired, in plain words

    def __post_init__(self) -> None:
        for array in (self.pts, self.duration, self.key):
            if array.shape != self.pts.shape:
                raise ValueError("frame index arrays differ in length")
            array.setflags(write=False)
        if len(self.pts) > 1 and not bool(np.all(np.diff(self.pts) > 0)):
            raise ValueError("frame index timestamps must strictly increase")

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def end_pts(self) -> int:
        """The timestamp at which the last frame stops being shown."""
        return int(self.pts[-1] + self.duration[-1]) if len(self) else 0

    @property
    def duration_s(self) -> float:
        return float((self.end_pts - int(self.pts[0])) * self.time_base) if len(self) else 0.0

    @cached_property
    def frame_rate(self) -> Fraction:
        """Nominal frame rate, as the field writes it: of the usual frame distance.

        With a coarse time base (Matroska's 1 ms) single distances are rounded, so it is the
        mean of all those near the median.
        """
        if len(self) < 2:
            step = int(self.duration[0]) if len(self) else 0
            return 1 / (step * self.time_base) if step > 0 else Fraction(25)
        span = Fraction(int(self.pts[-1] - self.pts[0])) * self.time_base
        mean = (len(self) - 1) / span
        steps = np.diff(self.pts)
        if int(steps.max()) - int(steps.min()) > 2:  # variable: the usual distance counts
            median = float(np.median(steps))
            usual = steps[np.abs(steps - median) <= max(1.0, median / 4)]
            mean = len(usual) / (Fraction(int(usual.sum())) * self.time_base)
        return _standard_rate(mean)

    @property
    def is_constant_rate(self) -> bool:
        """True if no frame is further than one tick and 1 ms from an even grid."""
        if len(self) < 3:
            return True
        grid = np.linspace(float(self.pts[0]), float(self.pts[-1]), len(self))
        tolerance = max(1.0, 0.001 / float(self.time_base))
        return bool(np.max(np.abs(self.pts - grid)) <= tolerance)

    def key_before(self, frame: int) -> int:
        """The last key frame at or before `frame`; 0 if there is none."""
        keys = np.flatnonzero(self.key[: frame + 1])
        return int(keys[-1]) if len(keys) else 0

    def time_s(self, frame: int) -> float:
        """Presentation time of `frame` in seconds, for people."""
        return float(int(self.pts[frame]) * self.time_base)

    def digest(self) -> str:
        """A short hash of every timestamp: two equal digests are the same index."""
        state = blake2b(digest_size=16)
        state.update(f"{self.time_base}:{len(self)}".encode())
        for array in (self.pts, self.duration, self.key):
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Plain facts for `drapto probe` and the manifest."""
        return {
            "frames": len(self),
            "time_base": str(self.time_base),
            "frame_rate": str(self.frame_rate),
            "constant_rate": self.is_constant_rate,
            "key_frames": int(np.count_nonzero(self.key)),
            "first_pts": int(self.pts[0]) if len(self) else None,
            "duration_s": round(self.duration_s, 6),
            "synthetic": self.synthetic,
            "notes": list(self.notes),
        }


# Rates that broadcast and film use; 1001 denominators are NTSC's (SMPTE ST 12-1).
_STANDARD_RATES = tuple(
    Fraction(n, d)
    for n, d in (
        (12, 1), (25, 2), (15, 1), (24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1),
        (48000, 1001), (48, 1), (50, 1), (60000, 1001), (60, 1), (100, 1), (120000, 1001), (120, 1),
    )
)  # fmt: skip


def _standard_rate(rate: Fraction) -> Fraction:
    """The standard rate within 0.02 % of `rate`, else `rate` with a small denominator.

    24 and 24000/1001 differ by 0.1 %, so 0.02 % never confuses them.
    """
    nearest = min(_STANDARD_RATES, key=lambda s: abs(s - rate))
    if abs(nearest - rate) <= nearest / 5000:
        return nearest
    return rate.limit_denominator(1001)
