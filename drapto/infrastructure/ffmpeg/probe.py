"""What a file says about itself: `probe_file` turns a path into a MediaInfo.

Read with PyAV, plus the first frames of every video stream for the HDR facts that only frames
carry, plus one short run of the ffmpeg program for what PyAV does not tell (chroma location,
the Dolby Vision record). That run comes first, within bounds of time and memory: a file whose
headers bring libav down brings down a child and not this process. Blocking: call it in a worker
thread, or use PyAvReader.probe.

    media = probe_file(Path("film.mkv"))
    track = main_video(media)            # InputError if there is no video

Tests: tests/infrastructure/ffmpeg/test_probe.py.
"""

from __future__ import annotations

import re
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drapto.core.color_codes import MATRICES, PRIMARIES, RANGES, TRANSFERS
from drapto.core.errors import InputError
from drapto.core.media import Attachment, ColorInfo, MediaInfo, Track, TrackKind
from drapto.core.opening import MAX_PIXELS
from drapto.core.words import count
from drapto.infrastructure.ffmpeg.asking import ask_program
from drapto.infrastructure.ffmpeg.chapters import read_chapters
from drapto.infrastructure.ffmpeg.first_frames import FirstFrames, look_at_first_frames
from drapto.infrastructure.ffmpeg.matroska import read_matroska
from drapto.infrastructure.ffmpeg.opening import ELEMENTARY_FORMATS, open_input
from drapto.infrastructure.ffmpeg.side_data import StreamFacts

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import AttachmentStream, Stream
    from av.video.format import VideoFormat
    from av.video.stream import VideoStream

_TOO_BIG = f"larger than any AV1 can be ({MAX_PIXELS:,} pixels)"
_MICROSECONDS = 1_000_000  # AV_TIME_BASE
_DURATION_TAG = re.compile(r"([0-9]{1,6}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")  # of a tag, which may hold anything


def probe_file(path: Path, ffmpeg: Path | None = None) -> MediaInfo:
    """Every stream, attachment, chapter and tag. `ffmpeg` None: as find_ffmpeg decides.

    Left out: the text stream in which an MP4 keeps its chapters, since `chapters` has them.
    Errors: InputError (missing, empty, not a video, damaged, unreadable, a pipe, …).
    """
    facts = ask_program(path, ffmpeg)
    with open_input(path) as container:
        media = _read(container, path)
    return media.model_copy(
        update={"tracks": tuple(_completed(path, t, facts.get(t.index)) for t in media.tracks)}
    )


def main_video(media: MediaInfo, wanted: int | None = None) -> Track:
    """The video track to encode: number `wanted` among the video tracks (from 0, cover art not
    counted), or else the biggest of those marked default, or of all. Errors: InputError."""
    videos = media.of_kind(TrackKind.VIDEO)
    if not videos:
        what = "only cover art" if media.cover_art else "no video"
        heard = count(len(media.of_kind(TrackKind.AUDIO)), "audio track")
        raise InputError(
            f"{media.path} holds {what} ({media.format_name}, {heard}).",
            hint="Drapto encodes video; audio alone needs another tool.",
        )
    if wanted is not None:
        if not 0 <= wanted < len(videos):
            raise InputError(
                f"{media.path} has {count(len(videos), 'video track')}; there is no number "
                f"{wanted}.",
                hint="They are counted from 0; `drapto probe` lists them.",
            )
        return _usable(media, videos[wanted])
    moving = [t for t in videos if not {"still_image", "timed_thumbnails"} & t.dispositions]
    candidates = moving or list(videos)
    candidates = [t for t in candidates if "default" in t.dispositions] or candidates
    return _usable(media, max(candidates, key=lambda t: (_area(t), -t.index)))


def _area(track: Track) -> int:
    return (track.width or 0) * (track.height or 0)


def _usable(media: MediaInfo, track: Track) -> Track:
    if not _area(track) or track.pixel_format is None:
        raise InputError(
            f"{media.path}: the size and pixel format of video stream {track.index} "
            f"({track.codec}) cannot be found out. The stream is damaged, encrypted, or in a "
            "codec that this build of FFmpeg does not know, or its picture is "
            f"{_TOO_BIG}.",
            hint="Check that a player shows it.",
        )
    if _area(track) > MAX_PIXELS:
        raise InputError(
            f"{media.path}: the picture of video stream {track.index} is {track.width}x"
            f"{track.height}, {_TOO_BIG}.",
            hint="Scale it down with another tool first.",
        )
    return track


def _read(container: InputContainer, path: Path) -> MediaInfo:
    from av.stream import AttachmentStream

    tracks: list[Track] = []
    attachments: list[Attachment] = []
    said = read_matroska(path) if "matroska" in container.format.name else None
    language_tags = {} if said is None else said.tags_by_stream(container)
    chapters = read_chapters(container, said)
    for stream in container.streams:
        if isinstance(stream, AttachmentStream):
            attachments.append(_attachment(stream))
        elif not (chapters and _carries_chapters(stream)):
            tracks.append(_track(stream, container, language_tags.get(stream.index)))
    start, duration = container.start_time, container.duration
    return MediaInfo(
        path=path,
        format_name=container.format.name,
        size_bytes=path.stat().st_size,
        start_s=None if start is None else start / _MICROSECONDS,
        duration_s=None if not duration else duration / _MICROSECONDS,
        tracks=tuple(tracks),
        chapters=chapters,
        attachments=tuple(attachments),
        tags=dict(container.metadata),
        unkept=() if said is None else said.unkept,
    )


def _carries_chapters(stream: Stream) -> bool:
    """The demuxer itself discards the track that an MP4 or MOV names as its chapter list."""
    from av.stream import Discard

    return stream.type in ("data", "subtitle") and stream.discard == Discard.all


def _attachment(stream: AttachmentStream) -> Attachment:
    data = stream.data
    return Attachment(
        filename=stream.metadata.get("filename", ""),
        mimetype=stream.metadata.get("mimetype", ""),
        size_bytes=len(data),
        sha256=sha256(data).hexdigest(),
    )


def _track(stream: Stream, container: InputContainer, language_tag: str | None) -> Track:
    kinds = {kind.value: kind for kind in TrackKind}
    kind = kinds.get(stream.type, TrackKind.DATA)
    tags = dict(stream.metadata)
    language = tags.get("language")
    facts: dict[str, Any] = {}
    # A stream of an unknown codec has no codec context, whatever PyAV's annotations say.
    if kind is TrackKind.VIDEO and stream.codec_context is not None:
        facts = _video_facts(stream, container)  # type: ignore[arg-type]
    elif kind is TrackKind.AUDIO and stream.codec_context is not None:
        facts = _audio_facts(stream)  # type: ignore[arg-type]
    return Track(
        index=stream.index,
        kind=kind,
        codec=_codec_name(stream),
        time_base=stream.time_base or Fraction(1, _MICROSECONDS),
        start_pts=stream.start_time,
        duration_s=_duration_s(stream, container),
        bit_rate=_bit_rate(stream),
        language=None if language in (None, "", "und") else language,
        language_tag=language_tag,
        title=tags.get("title") or None,
        dispositions=frozenset(flag.name for flag in stream.disposition if flag.name),
        tags=tags,
        **facts,
    )


def _codec_name(stream: Stream) -> str:
    if stream.codec_context is not None:
        return str(stream.codec_context.codec.canonical_name)
    return getattr(stream, "name", None) or "unknown"


def _duration_s(stream: Stream, container: InputContainer) -> float | None:
    """As the container says it for this stream.

    Matroska has it in a tag only. mkvmerge writes a length there; ffmpeg writes the end of the
    last packet, from which the start is to be taken off.
    """
    base = stream.time_base or Fraction(0)
    if stream.duration is not None:
        return float(stream.duration * base)
    tag = _DURATION_TAG.match(stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    hours, minutes, seconds = tag.groups()
    duration_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    writer = next((v for k, v in container.metadata.items() if k.lower() == "encoder"), "")
    if writer.startswith("Lavf") and stream.start_time is not None:
        duration_s -= float(stream.start_time * base)
    return duration_s if duration_s > 0 else None


def _bit_rate(stream: Stream) -> int | None:
    rate = getattr(stream.codec_context, "bit_rate", None)
    if rate:
        return int(rate)
    tagged = stream.metadata.get("BPS") or stream.metadata.get("BPS-eng") or ""
    return int(tagged) if _WHOLE_NUMBER.fullmatch(tagged) else None


def _audio_facts(stream: AudioStream) -> dict[str, Any]:
    layout = stream.codec_context.layout
    return {
        "sample_rate_hz": stream.codec_context.sample_rate or None,
        "channels": layout.nb_channels or None,
        "channel_layout": layout.name or None,
        "profile": stream.profile,
    }


# AVFieldOrder (libavcodec/defs.h): 0 is unknown, 1 progressive, 2 to 5 the four field orders.
_FIELD_CODED = frozenset({2, 3, 4, 5})


def _video_facts(stream: VideoStream, container: InputContainer) -> dict[str, Any]:
    context = stream.codec_context
    pixels = context.format
    aspect = stream.sample_aspect_ratio
    if container.format.name in ELEMENTARY_FORMATS and context.framerate:
        rate: Fraction | None = context.framerate  # the demuxer's own is only a default of 25
    else:
        rate = stream.guessed_rate or stream.average_rate
    if "attached_pic" in {flag.name for flag in stream.disposition}:
        rate = None
    return {
        "width": context.width or None,
        "height": context.height or None,
        "pixel_format": pixels.name if pixels is not None else None,
        "bit_depth": pixels.components[0].bits if pixels is not None else None,
        "sample_aspect_ratio": aspect if aspect else None,
        "frame_rate": rate if rate else None,
        "interlaced": int(context.field_order) in _FIELD_CODED,
        "profile": stream.profile,
        "color": ColorInfo(
            primaries=PRIMARIES.get(int(context.color_primaries)),
            transfer=TRANSFERS.get(int(context.color_trc)),
            matrix="gbr" if _is_rgb(pixels) else MATRICES.get(int(context.colorspace)),
            range=RANGES.get(int(context.color_range)),
        ),
    }


def _is_rgb(pixels: VideoFormat | None) -> bool:
    """Many RGB codecs leave the tag out; a palette holds RGB."""
    return pixels is not None and (pixels.is_rgb or pixels.has_palette)


def _completed(path: Path, track: Track, asked: StreamFacts | None) -> Track:
    """Add to a video track what its frames and the ffmpeg program say."""
    if track.kind is not TrackKind.VIDEO or track.is_cover_art or track.width is None:
        return track
    frames = look_at_first_frames(path, track.index, track.codec)
    asked = asked or StreamFacts()
    return track.model_copy(
        update={
            "rotation_deg": frames.rotation_deg,
            "mirrored": frames.mirrored,
            "captions": frames.captions,
            "color": _color(track.color, frames, asked),
        }
    )


def _color(tagged: ColorInfo, frames: FirstFrames, asked: StreamFacts) -> ColorInfo:
    """Frames before the container, which may be older than they are; the Dolby Vision record
    before what is concluded from a frame."""
    return ColorInfo(
        primaries=frames.primaries or tagged.primaries,
        transfer=frames.transfer or tagged.transfer,
        matrix="gbr" if tagged.matrix == "gbr" else frames.matrix or tagged.matrix,
        range=frames.range or tagged.range,
        chroma_location=asked.chroma_location,
        mastering_display=frames.mastering_display,
        content_light=frames.content_light,
        dolby_vision=asked.dolby_vision or frames.dolby_vision,
        hdr10_plus=frames.hdr10_plus,
    )
