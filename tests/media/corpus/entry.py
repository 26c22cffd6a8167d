"""One source of the corpus: how it is made, and what is true about it.

The truth is stated by hand, next to the recipe, and never read with Drapto: so that a file which
Drapto misreads is told from one that is otherwise than its maker thinks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Scan = Literal["progressive", "tff", "bff", "telecined", "mixed"]

MEDIA_VARIABLE = "DRAPTO_MEDIA"
"""Names the directory that has the real clips: those that no encoder at hand can make."""

_MEDIA = "media/"


@dataclass(frozen=True)
class Sound:
    """An audio track."""

    codec: str  # ffmpeg's name: 'aac', 'ac3', 'pcm_s16le' ...
    channels: int = 2
    layout: str | None = None  # ffmpeg's name; None: not stated
    rate: int = 48_000  # Hz
    language: str = ""  # as the file has it; empty: none
    start_s: float | None = 0.0  # first sound after the first picture; None: not stated
    duration_s: float | None = None  # first to last sound, gaps included; None: not stated
    dispositions: frozenset[str] = frozenset()  # PyAV's names: 'default', 'forced' ...
    tones_hz: tuple[int, ...] | None = None  # heard in each of 3 channels or more; 0: none


@dataclass(frozen=True)
class Text:
    """A subtitle track, of text or of pictures."""

    codec: str  # ffmpeg's name: 'subrip', 'hdmv_pgs_subtitle' ...
    cues: int | None = None  # None: not stated
    language: str = ""
    dispositions: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Chapter:
    title: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Elsewhere:
    """What is otherwise in an output of one container. What is None is as in the source."""

    exit_code: int | None = None
    says: tuple[str, ...] = ()  # beside those of the truth
    named: frozenset[str] = frozenset()  # beside those of the truth
    audio: tuple[Sound, ...] | None = None  # the tracks that are kept
    subtitles: tuple[Text, ...] | None = None
    chapters: tuple[Chapter, ...] | None = None
    attachments: tuple[str, ...] | None = None
    covers: int | None = None


@dataclass(frozen=True)
class Truth:
    """What is in the file, and what has to come of it.

    Times of frames, sounds and chapters count from the first frame that is shown; sizes are in
    pixels as coded, before any rotation.
    """

    what: str  # one sentence
    frames: int | None = None  # pictures that are shown; None: no picture can be shown
    times_s: tuple[float, ...] | None = None  # when each is shown; None: not stated
    clockless: bool = False  # not all of it has times: those stated follow from the frame rate
    start_s: float | None = None  # the first frame by the file's clock; None: not stated
    width: int | None = None
    height: int | None = None
    pixel_aspect: tuple[int, int] = (1, 1)
    rotation: int = 0  # degrees anticlockwise that a player turns the picture: 0, 90, 180, 270
    mirrored: bool = False  # and then flips it left to right
    pixel_format: str = ""  # ffmpeg's name; empty: not stated
    scan: Scan = "progressive"
    crop: tuple[int, int, int, int] | None = None  # width, height, x, y; None: nothing to crop
    cuts: tuple[int, ...] | None = None  # first frame of every later scene; None: not stated
    dynamic_range: str = "sdr"  # as Drapto names it: 'hdr10', 'hdr10+', 'hlg', 'dolby_vision'
    color: tuple[int, int, int] | None = None  # primaries, transfer, matrix by ITU-T H.273
    full_range: bool | None = None  # None: not stated
    mastering: tuple[float, ...] | None = None  # R, G, B, white as x, y; minimum, maximum cd/m²
    light: tuple[int, int] | None = None  # MaxCLL and MaxFALL, cd/m²
    hdr10_plus: int = 0  # frames that carry it
    dolby_vision: int = 0  # frames that carry it
    video_codec: str = "h264"
    videos: int = 1  # video streams, covers not counted
    main: int = 0  # which of them is the film
    audio: tuple[Sound, ...] = ()
    subtitles: tuple[Text, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    attachments: tuple[str, ...] = ()  # file names
    covers: int = 0

    # What has to come of it.
    exit_code: int = 0  # of `drapto encode`
    says: tuple[str, ...] = ()  # words of the error, or of the warnings if it succeeds
    named: frozenset[str] = frozenset()  # the checks of the manifest that are 'named': these only
    output_times_s: tuple[float, ...] | None = None  # None: those of the source
    output_pixel_aspect: tuple[int, int] | None = None  # None: that of the source
    output_size: tuple[int, int] | None = None  # None: the crop's, or the source's
    mkv: Elsewhere = field(default_factory=Elsewhere)
    mp4: Elsewhere = field(default_factory=Elsewhere)
    webm: Elsewhere = field(default_factory=Elsewhere)


@dataclass(frozen=True)
class Entry:
    """A recipe and its truth. `make` writes into a directory of its own and returns the source.

    `needs` names what may be missing on a machine: a program, or 'media/FILE' for one of the
    real clips. `mp4` and `webm`: the entry is also encoded into these containers.
    """

    name: str
    make: Callable[[Path], Path]
    truth: Truth
    needs: tuple[str, ...] = ()
    mp4: bool = False
    webm: bool = False
    slow: bool = False  # takes more than 10 s

    @property
    def missing(self) -> str:
        """Why the entry cannot be made here; empty if it can."""
        for need in self.needs:
            if need.startswith(_MEDIA) and not real_clip(need.removeprefix(_MEDIA)):
                return f"{MEDIA_VARIABLE} names no directory that has {need.removeprefix(_MEDIA)}"
            if not need.startswith(_MEDIA) and not shutil.which(need):
                return f"{need} is not installed"
        return ""


def real_clip(name: str) -> Path | None:
    """A file of the directory that $DRAPTO_MEDIA names; None if it has none of that name."""
    directory = os.environ.get(MEDIA_VARIABLE)
    path = Path(directory, name) if directory else None
    return path if path and path.is_file() else None


def even(frames: int, rate: float) -> tuple[float, ...]:
    """The times of frames that follow each other evenly."""
    return tuple(n / rate for n in range(frames))


def as_json(truth: Truth) -> dict[str, Any]:
    """The truth as plain data for truth.json; sets become sorted lists."""
    return _plain(asdict(truth))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
