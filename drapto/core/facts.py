"""What a finished file was found to hold when it was read from end to end.

`MediaInfo` is what a file says about itself; these are the facts behind it: every packet's
time, the hash of every track's payload, what the decoder made of it. Nothing here opens a file:
`infrastructure/ffmpeg/facts.py` makes these values, `services/validation` compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from drapto.core.media import Int64Array, MediaInfo, TrackKind


@dataclass(frozen=True)
class PictureForm:
    """The shape and colour of decoded frames, as the bitstream says them.

    Colour names are those of `ColorInfo`; None where the bitstream says nothing.
    """

    width: int
    height: int
    pixel_format: str
    primaries: str | None
    transfer: str | None
    matrix: str | None
    range: str | None

    def __str__(self) -> str:
        colour = "/".join(part or "-" for part in self._colour)
        return f"{self.width}x{self.height} {self.pixel_format} {colour}"

    @property
    def _colour(self) -> tuple[str | None, ...]:
        return (self.primaries, self.transfer, self.matrix, self.range)


@dataclass(frozen=True, eq=False)
class DecodedFacts:
    """What came out of a decoder that was given every packet of a track.

    `pts` holds one entry for every frame, in the track's time base and in the order the
    decoder gave them, shape (frames,); for audio it is empty and `first_pts` says where sound
    begins. Priming and padding samples that the file marks as such are not in `samples`.
    """

    frames: int
    errors: int  # packets that the decoder refused
    damaged: int  # frames that it marked as concealed
    first_error: str = ""
    pts: Int64Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    first_pts: int | None = None
    samples: int = 0  # of one channel
    sample_rate_hz: int = 0
    end_s: float | None = None  # audio: when the last decoded sample has been heard
    forms: tuple[PictureForm, ...] = ()  # every different one, in order of appearance
    note: str = ""  # how it was decoded, if not from this file

    @property
    def sound_s(self) -> float:
        """Seconds of sound: the samples one after the other, gaps not counted."""
        return self.samples / self.sample_rate_hz if self.sample_rate_hz else 0.0


@dataclass(frozen=True, eq=False)
class TrackFacts:
    """Every packet of one track that is meant to be shown or heard.

    The arrays have shape (packets,), int64: video packets in display order, all others as they
    are stored. `pts` and `duration` are in `time_base` units, a duration of 0 is an unknown
    one. Packets that the container marks as not to be shown (outside an edit list) are left
    out of the arrays and counted in `hidden`.
    """

    index: int
    kind: TrackKind
    codec: str
    time_base: Fraction
    pts: Int64Array
    duration: Int64Array
    size_bytes: Int64Array
    payload_sha256: str  # of all payload bytes in stored order, whatever the packet borders
    payload_bytes: int
    hidden: int = 0
    untimed: int = 0  # packets without a timestamp; they got that of the packet before
    priming_s: float = 0.0  # leading sound that the container tells the decoder to drop
    decoded: DecodedFacts | None = None

    def __post_init__(self) -> None:
        for array in (self.pts, self.duration, self.size_bytes):
            if array.shape != self.pts.shape:
                raise ValueError("the packet arrays of a track differ in length")
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def tick_s(self) -> float:
        return float(self.time_base)

    @property
    def start_s(self) -> float:
        """When the first thing that is shown or heard begins; 0 for an empty track."""
        return float(self.pts[0]) * self.tick_s + self.priming_s if len(self) else 0.0

    @property
    def end_s(self) -> float:
        """When the last thing has been shown or heard; 0 for an empty track.

        For sound that was decoded it is the end of the last sample: a packet's duration leaves
        open how much of it is padding.
        """
        if self.decoded is not None and self.decoded.end_s is not None:
            return self.decoded.end_s
        return float(np.max(self.pts + self.duration)) * self.tick_s if len(self) else 0.0

    @property
    def span_s(self) -> float:
        """From the first to the last thing, gaps counted."""
        return self.end_s - self.start_s

    @property
    def sound_s(self) -> float | None:
        """Seconds of sound, gaps not counted: decoded samples, else the packets' durations.

        None if neither is known.
        """
        if self.decoded is not None and self.decoded.samples:
            return self.decoded.sound_s
        if not len(self) or bool(np.any(self.duration[:-1] == 0)):
            return None
        return float(np.sum(self.duration)) * self.tick_s - self.priming_s

    @property
    def frame_s(self) -> float:
        """How long one packet usually lasts; 0 if unknown."""
        return float(np.median(self.duration)) * self.tick_s if len(self) else 0.0


@dataclass(frozen=True, eq=False)
class FileFacts:
    """A file read from end to end. `tracks` holds only the streams that were asked for."""

    media: MediaInfo
    tracks: tuple[TrackFacts, ...]
    fault: str = ""  # why reading failed or stopped early; empty if the end was reached

    def track(self, index: int) -> TrackFacts | None:
        for track in self.tracks:
            if track.index == index:
                return track
        return None
