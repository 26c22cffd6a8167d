"""What is remembered of a finished film, so that later films begin nearer to where they end."""

from __future__ import annotations

from drapto.core.media import Value


class RememberedAttempt(Value):
    """One encode of a segment: what went in, and what came out."""

    crf: float
    size_bytes: int
    quality: float  # mean of its measured frames


class RememberedSegment(Value):
    frames: int
    features: tuple[float, ...]  # as the controller knew them
    attempts: tuple[RememberedAttempt, ...]


class RememberedFilm(Value):
    """No name and no picture: nothing tells which film it was."""

    encoder: str = "svt-av1"  # as in --encoder
    preset: int
    model: str  # libvmaf's name of it
    pixels: int  # of a frame
    segments: tuple[RememberedSegment, ...]
