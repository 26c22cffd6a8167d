"""The mux plan: which track of the source becomes what in the output. Plain, frozen data."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Literal

from drapto.core.audio_clock import Leap
from drapto.core.job import TrackOutcome
from drapto.core.media import Attachment, Chapter, DolbyVision, Track, Value


class Container(StrEnum):
    """The output container, by the output's extension."""

    MATROSKA = "matroska"  # .mkv
    WEBM = "webm"  # .webm
    MP4 = "mp4"  # .mp4, .m4v, .mov is refused


class AudioEncoding(Value):
    """How one audio track becomes Opus.

    Channels are moved, never mixed: `pan` is a definition for ffmpeg's pan filter (None where
    the source's layout is accepted as it is), `source_layout` the layout it reads from (None:
    unknown, channels are addressed by number).
    """

    bit_rate: int  # bits per second
    channels: int
    channel_layout: str  # a layout libopus accepts, by ffmpeg's name
    mapping_family: int  # libopus mapping_family: 0, 1, 2 or 255
    source_layout: str | None = None
    pan: str | None = None


class TrackPlan(Value):
    """One track of the output. `outcome` is the line a person reads."""

    source: Track
    action: Literal["encode", "copy", "convert"]
    codec: str  # codec of the output track: 'av1', 'opus', 'subrip', 'mov_text', or the source's
    audio: AudioEncoding | None = None  # only for kind audio and action 'encode'
    tags: dict[str, str] = {}  # as written to the output; language and title included
    dispositions: frozenset[str] = frozenset()
    leaps: tuple[Leap, ...] = ()  # only for kind audio: timestamps of the source to be mended
    outcome: TrackOutcome


class MuxPlan(Value):
    """What the output will hold, in order. `dropped` names what it cannot hold, with reasons.

    `folded` names tracks that live on in another form, such as a timecode track that becomes
    a tag. Every track of the source is in exactly one of video, tracks, folded and dropped.
    """

    container: Container
    video: TrackPlan
    tracks: tuple[TrackPlan, ...] = ()  # audio, subtitles, cover art; output order
    folded: tuple[TrackOutcome, ...] = ()
    dropped: tuple[TrackOutcome, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    tags: dict[str, str] = {}
    notes: tuple[str, ...] = ()  # what the container changes, in plain sentences

    @property
    def outcomes(self) -> tuple[TrackOutcome, ...]:
        """Every track of the source with what becomes of it, for the plan and the summary."""
        kept = tuple(track.outcome for track in self.tracks)
        return (self.video.outcome, *kept, *self.folded, *self.dropped)

    @property
    def audio_encodings(self) -> tuple[TrackPlan, ...]:
        """The tracks that an audio encoder has to make before the file can be assembled."""
        return tuple(t for t in self.tracks if t.audio is not None)


class VideoTrackFile(Value):
    """The joined video track: one file that begins at 0. `start_s` is where it began in the
    source, in seconds of the source's own clock, exact."""

    path: Path
    start_s: Fraction
    frames: int
    timescale: int  # ticks per second in which every timestamp of the file is exact
    inline_parameter_sets: bool = False  # H.264/HEVC sets stand before every key frame
    last_pts: int = 0  # of the frame shown last, in ticks from the first frame
    last_duration: int = 0  # of that frame, in ticks; 0: not known
    dolby_vision: DolbyVision | None = None  # the record in it


class AudioTrackFile(Value):
    """An encoded audio track: one file that begins at 0. `start_s` as in VideoTrackFile."""

    path: Path
    source_index: int
    start_s: Fraction
    duration_s: float


class Assembled(Value):
    """A finished container. Every time in it is the source's time plus `shift_s`."""

    path: Path
    shift_s: Fraction
