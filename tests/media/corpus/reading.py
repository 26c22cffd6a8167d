"""What is in a file, read with PyAV: sources and outputs are held against their truth by it.

    found = read(path)
    found.times_s      # when each decoded picture is shown

Reads every packet and decodes every picture and sound, so it is for small files. Languages and
chapters of Matroska are read by `tests/media/ebml.py`, since libavformat leaves much of them out.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.sidedata.sidedata import Type as SideData

from tests.media import ebml
from tests.media.corpus.entry import Chapter, Sound, Text
from tests.media.sound import loudest_hz


@dataclass(frozen=True)
class Reading:
    """As the fields of `Truth` of the same names."""

    videos: int
    covers: int
    video_codec: str = ""
    frames: int = 0
    times_s: tuple[float, ...] = ()  # of the frames that have a time
    start_s: float = 0.0
    width: int = 0
    height: int = 0
    pixel_aspect: tuple[int, int] = (1, 1)
    rotation: int = 0
    mirrored: bool = False
    pixel_format: str = ""
    interlaced: tuple[bool, ...] = ()  # of each frame, as the decoder says
    color: tuple[int, int, int] = (2, 2, 2)  # not stated
    full_range: bool = False
    mastering: tuple[float, ...] = ()
    light: tuple[int, ...] = ()
    hdr10_plus_of: tuple[str, ...] = ()  # a digest for each frame, empty where it has none
    dolby_vision_of: tuple[str, ...] = ()
    audio: tuple[Sound, ...] = ()
    subtitles: tuple[Text, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    attachments: tuple[str, ...] = ()

    @property
    def hdr10_plus(self) -> int:
        return sum(map(bool, self.hdr10_plus_of))

    @property
    def dolby_vision(self) -> int:
        return sum(map(bool, self.dolby_vision_of))


@dataclass
class _Track:
    """What was decoded of one stream: seconds by the file's clock."""

    begins_s: list[float] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)
    packets: int = 0


def read(path: Path, main: int = 0) -> Reading:
    """Read all of it; `main` is the video stream to decode, covers not counted.

    Packets that cannot be decoded are passed over. Raises FFmpegError if it is no media file.
    """
    with av.open(f"file:{path}") as container:
        pictures = [s for s in container.streams.video if not _is_cover(s)]
        covers = len(container.streams.video) - len(pictures)
        chosen = pictures[main] if pictures else None
        wanted = {s.index for s in (chosen, *container.streams.audio) if s is not None}
        tracks = _decoded(container, wanted)
        picture = tracks[chosen.index] if chosen is not None else _Track()
        zero_s = min(picture.begins_s, default=0.0)
        languages = _languages(container, path)
        beside = {
            "audio": tuple(
                _sound(s, tracks[s.index], zero_s, languages, path) for s in container.streams.audio
            ),
            "subtitles": tuple(
                _text(s, tracks[s.index], languages) for s in container.streams.subtitles
            ),
            "chapters": _chapters(container, path, zero_s),
            "attachments": tuple(
                s.metadata.get("filename", "") for s in container.streams if s.type == "attachment"
            ),
        }
        if chosen is None or not picture.frames:
            return Reading(videos=len(pictures), covers=covers, **beside)
        first = picture.frames[0]
        aspect = chosen.sample_aspect_ratio or 1
        rotation, mirrored = _turned(first)
        return Reading(
            videos=len(pictures),
            covers=covers,
            video_codec=_codec(chosen),
            frames=len(picture.frames),
            times_s=tuple(at_s - zero_s for at_s in sorted(picture.begins_s)),
            start_s=zero_s,
            width=first.width,
            height=first.height,
            pixel_aspect=(aspect.numerator, aspect.denominator) if aspect else (1, 1),
            rotation=rotation,
            mirrored=mirrored,
            pixel_format=first.format.name,
            interlaced=tuple(frame.interlaced_frame for frame in picture.frames),
            color=(int(first.color_primaries), int(first.color_trc), int(first.colorspace)),
            full_range=int(first.color_range) == _FULL_RANGE,
            mastering=_mastering(first),
            light=_numbers(first, SideData.CONTENT_LIGHT_LEVEL)[:2],
            hdr10_plus_of=_digests(picture.frames, SideData.DYNAMIC_HDR_PLUS),
            dolby_vision_of=_digests(picture.frames, SideData.DOVI_METADATA),
            **beside,
        )


_FULL_RANGE = 2  # AVCOL_RANGE_JPEG


def _side_data(frame: Any, kind: SideData) -> bytes:
    return next((bytes(each) for each in frame.side_data if each.type is kind), b"")


def _numbers(frame: Any, kind: SideData) -> tuple[int, ...]:
    data = _side_data(frame, kind)
    return struct.unpack(f"<{len(data) // 4}i", data)


def _mastering(frame: Any) -> tuple[float, ...]:
    """libavutil's AVMasteringDisplayMetadata: ten fractions, then two flags."""
    numbers = _numbers(frame, SideData.MASTERING_DISPLAY_METADATA)[:20]
    return tuple(a / b for a, b in zip(numbers[::2], numbers[1::2], strict=True))


def _digests(frames: list[Any], kind: SideData) -> tuple[str, ...]:
    found = (_side_data(frame, kind) for frame in frames)
    return tuple(blake2b(data).hexdigest() if data else "" for data in found)


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.codec.canonical_name) if context is not None else ""


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _decoded(container: Any, wanted: set[int]) -> dict[int, _Track]:
    tracks: dict[int, _Track] = defaultdict(_Track)
    for packet in container.demux():
        track = tracks[packet.stream.index]
        track.packets += bool(packet.size)
        if packet.stream.index not in wanted:
            continue
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        for frame in frames:
            if frame.pts is not None:
                track.begins_s.append(frame.time)
                length_s = frame.samples / frame.rate if packet.stream.type == "audio" else 0
                track.ends_s.append(frame.time + length_s)
            if packet.stream.type == "video":
                track.frames.append(frame)
    return tracks


def _turned(frame: Any) -> tuple[int, bool]:
    """(degrees anticlockwise, then flipped left to right?) from the display matrix.

    Its rows are (a, b), (c, d) in 16.16: a player shows (x, y) at (ax + cy, bx + dy)
    (ISO/IEC 14496-12, section 8.3.2).
    """
    matrix = _numbers(frame, SideData.DISPLAYMATRIX)
    if not matrix:
        return 0, False
    a, b, _, c, d = matrix[:5]
    mirrored = a * d - b * c < 0
    if mirrored:
        a = -a
    return round(-math.degrees(math.atan2(b, a))) % 360, mirrored


def _languages(container: Any, path: Path) -> dict[int, str]:
    """By stream index."""
    streams = [s for s in container.streams if s.type != "attachment" and not _is_cover(s)]
    if "matroska" in container.format.name:
        return dict(zip((s.index for s in streams), ebml.languages_of(path), strict=True))
    return {s.index: s.metadata.get("language", "") for s in streams}


def _sound(
    stream: Any, track: _Track, zero_s: float, languages: dict[int, str], path: Path
) -> Sound:
    starts = bool(track.begins_s)
    return Sound(
        codec=_codec(stream),
        channels=stream.channels,
        layout=stream.layout.name,
        rate=stream.rate,
        language=languages[stream.index],
        start_s=min(track.begins_s) - zero_s if starts else None,
        duration_s=max(track.ends_s) - min(track.begins_s) if starts else None,
        dispositions=_dispositions(stream),
        tones_hz=_tones_hz(stream, path),
    )


def _tones_hz(stream: Any, path: Path) -> tuple[int, ...]:
    """The strongest frequency of each channel of the first track that has more than two."""
    if stream.channels < 3 or stream.index > 1:
        return ()
    return tuple(hz or 0 for hz in loudest_hz(path, stream.channels)[0])


def _text(stream: Any, track: _Track, languages: dict[int, str]) -> Text:
    return Text(
        codec=_codec(stream),
        cues=track.packets,
        language=languages[stream.index],
        dispositions=_dispositions(stream),
    )


def _dispositions(stream: Any) -> frozenset[str]:
    return frozenset(flag.name for flag in stream.disposition)


def _chapters(container: Any, path: Path, zero_s: float) -> tuple[Chapter, ...]:
    if "matroska" in container.format.name:
        found = ebml.chapters_of(path)
        return tuple(Chapter(title, start - zero_s, end - zero_s) for title, start, end in found)
    return tuple(_chapter(each, zero_s) for each in container.chapters())


def _chapter(chapter: Any, zero_s: float) -> Chapter:
    begins_s, ends_s = (float(chapter[at] * chapter["time_base"]) for at in ("start", "end"))
    return Chapter(chapter["metadata"].get("title", ""), begins_s - zero_s, ends_s - zero_s)
