"""What is in a file: containers, tracks, colour, and the frame index (`frame_index.py`).

Everything here is a frozen value. Nothing here opens a file: `infrastructure/ffmpeg/probe.py`
and `frames.py` make these values, the services read them.
"""

from __future__ import annotations

import re
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from drapto.core.frame_index import BoolArray as BoolArray
from drapto.core.frame_index import FrameIndex as FrameIndex
from drapto.core.frame_index import Int64Array as Int64Array


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
    language_tag: str | None = None  # of RFC 5646, if the container has one beside `language`
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
    captions: bool = False  # closed captions (CEA-608, CEA-708) within the pictures
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
    depth: int = 0  # how many chapters it lies within

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
    chapters: tuple[Chapter, ...] = ()  # by when they begin
    attachments: tuple[Attachment, ...] = ()
    tags: dict[str, str] = {}
    unkept: tuple[str, ...] = ()  # what else the file holds, in words: there is no place for it

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


class ClockChange(Value):
    """Where the clock of a source jumped, as where recordings were joined, and how it was mended.

    `frame` is the first one behind it in the frame index. `jump_s` is by how much later than the
    end of what stands before it that frame is on the source's own clock; below 0 if the clock
    fell back. Everything behind it, in all tracks, was moved by `moved_s`.
    """

    frame: int
    jump_s: float
    moved_s: float

    def __str__(self) -> str:
        """'the clock falls back by 5.000 s at frame 125'"""
        way = "falls back" if self.jump_s < 0 else "leaps ahead"
        return f"the clock {way} by {abs(self.jump_s):.3f} s at frame {self.frame}"
