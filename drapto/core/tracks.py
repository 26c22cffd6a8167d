"""The mux plan: which track of the source becomes what in the output. Plain, frozen data."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from drapto.core.job import TrackOutcome
from drapto.core.media import Attachment, Chapter, Track, Value


class Container(StrEnum):
    """The output container, by the output's extension."""

    MATROSKA = "matroska"  # .mkv
    WEBM = "webm"  # .webm
    MP4 = "mp4"  # .mp4, .m4v, .mov is refused


class AudioEncoding(Value):
    """How one audio track becomes Opus."""

    bit_rate: int  # bits per second
    channels: int
    channel_layout: str  # a layout libopus accepts, by ffmpeg's name
    mapping_family: int  # libopus mapping_family: 0, 1 or 255


class TrackPlan(Value):
    """One track of the output. `outcome` is the line a person reads."""

    source: Track
    action: Literal["encode", "copy", "convert"]
    codec: str  # codec of the output track: 'av1', 'opus', 'subrip', 'mov_text', or the source's
    audio: AudioEncoding | None = None  # only for kind audio and action 'encode'
    outcome: TrackOutcome


class MuxPlan(Value):
    """What the output will hold, in order. `dropped` names what it cannot hold, with reasons."""

    container: Container
    video: TrackPlan
    tracks: tuple[TrackPlan, ...] = ()  # audio, subtitles, data, cover art; output order
    dropped: tuple[TrackOutcome, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    tags: dict[str, str] = {}

    @property
    def outcomes(self) -> tuple[TrackOutcome, ...]:
        """Every track of the source with what becomes of it, for the plan and the summary."""
        return (self.video.outcome, *(t.outcome for t in self.tracks), *self.dropped)
