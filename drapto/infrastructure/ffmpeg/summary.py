"""Reads a file from end to end and says what it is compared by: an `OutputSummary`.

    summary = await summarize_file(output, crop=settings.crop)

The same for a source, which is the referee of a comparison; `decode` off reads packets only,
at the speed of the disk, and takes the word of a file that was read before.

Tests: tests/infrastructure/ffmpeg/test_summary.py.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from drapto.core.errors import InputError
from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.media import CropRect, MediaInfo, Track, TrackKind
from drapto.core.output_summary import OutputSummary, Quality, TrackSummary
from drapto.infrastructure.ffmpeg.facts import DECODABLE, collect_facts
from drapto.infrastructure.ffmpeg.probe import main_video

_TIMED = (TrackKind.AUDIO, TrackKind.SUBTITLE)


async def summarize_file(
    path: Path,
    *,
    crop: CropRect | None = None,
    quality: Quality | None = None,
    decode: bool = True,
    threads: int = 1,
    media: MediaInfo | None = None,
) -> OutputSummary:
    """`crop` is what the encoder of `path` was told. Errors: InputError if there is no video.

    With `decode`, every frame of picture and sound goes through a decoder and what it refuses
    is counted; `frames` is then what came out. `threads` is for the video decoder.
    """
    facts = await collect_facts(
        path, decode=DECODABLE if decode else (), media=media, threads=threads
    )
    if not facts.media.tracks:
        raise InputError(f"{path} cannot be read: {facts.fault or 'there is nothing in it'}.")
    return _summary(facts, crop, quality)


def _summary(facts: FileFacts, crop: CropRect | None, quality: Quality | None) -> OutputSummary:
    media = facts.media
    video = main_video(media)
    read = facts.track(video.index)
    if read is None:
        raise InputError(f"{media.path}: its video cannot be read: {facts.fault}.")
    frames = len(read) if read.decoded is None else read.decoded.frames
    return OutputSummary(
        frames=frames,
        damaged=sum(
            track.decoded.errors + track.decoded.damaged
            for track in facts.tracks
            if track.decoded is not None
        ),
        duration_s=round(read.span_s, 6),
        frame_rate=_rate(read, video),
        size_bytes=media.size_bytes,
        width=video.width or 0,
        height=video.height or 0,
        color=video.color,
        tracks=tuple(_track(t, facts.track(t.index), read.start_s) for t in media.tracks),
        chapters=len(media.chapters),
        attachments=len(media.attachments),
        fault=facts.fault,
        crop=crop,
        quality=quality,
    )


def _rate(read: TrackFacts, video: Track) -> Fraction:
    """By the container, or of the usual distance of frames."""
    if video.frame_rate is not None:
        return video.frame_rate.limit_denominator(1001)
    return Fraction(1 / read.frame_s).limit_denominator(1001) if read.frame_s else Fraction(25)


def _track(track: Track, read: TrackFacts | None, zero_s: float) -> TrackSummary:
    timed = read is not None and len(read) > 0 and track.kind in _TIMED
    return TrackSummary(
        kind=track.kind,
        codec=track.codec,
        language=track.language,
        title=track.title,
        dispositions=track.dispositions,
        channels=track.channels,
        start_s=round(read.start_s - zero_s, 6) if read is not None and timed else None,
        end_s=round(read.end_s - zero_s, 6) if read is not None and timed else None,
    )
