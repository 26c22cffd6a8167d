"""Writes tags and chapters as an FFMETADATA text, which ffmpeg reads as an input. Pure.

One [STREAM] section for each output track, in output order; times are nanoseconds. A file,
because a tag may be longer than a command line argument can be (128 KiB on Linux).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction

from drapto.core.media import Chapter, Track
from drapto.core.tracks import Container, MuxPlan, TrackPlan
from drapto.infrastructure.ffmpeg.language_tags import language_to_write

NANOSECOND = 1_000_000_000
NAME_LIMIT_BYTES = 255  # of a file; a command line takes no argument above 128 KiB on Linux
COVER_TYPES = {
    "mjpeg": ("image/jpeg", "jpg"),
    "png": ("image/png", "png"),
    "gif": ("image/gif", "gif"),
    "bmp": ("image/bmp", "bmp"),
    "tiff": ("image/tiff", "tiff"),
    "webp": ("image/webp", "webp"),
}
"""MIME type and file name extension of a cover, by codec."""


def metadata_text(plan: MuxPlan, shift_s: Fraction) -> str:
    """Everything that `plan` says about tags and chapters, every time shifted by `shift_s`."""
    lines = [";FFMETADATA1", *_pairs(plan.tags)]
    attached = [t for t in plan.tracks if _is_attached(plan, t.source)]
    for track in (plan.video, *(t for t in plan.tracks if t not in attached)):
        lines += ["[STREAM]", *_pairs(_tags(track, plan.container))]
    for number, attachment in enumerate(plan.attachments, start=1):
        described = {
            "filename": attachment.filename or f"attachment-{number}",
            "mimetype": attachment.mimetype or "application/octet-stream",
        }
        lines += ["[STREAM]", *_pairs(described)]
    names = cover_names([track.source for track in attached])
    for track, name in zip(attached, names, strict=True):
        described = {"filename": name, "mimetype": COVER_TYPES[track.source.codec][0]}
        lines += ["[STREAM]", *_pairs(track.tags | described)]
    for start, end, chapter in _chapters(plan, shift_s):
        times = ("TIMEBASE=1/1000000000", f"START={start}", f"END={end}")
        lines += ["[CHAPTER]", *times, *_pairs(chapter.tags)]
    return "\n".join(lines) + "\n"


def _tags(track: TrackPlan, container: Container) -> dict[str, str]:
    source = track.source
    if source.language_tag is None or container is Container.MP4:
        return track.tags
    return track.tags | {"language": language_to_write(source.language, source.language_tag)}


def cover_names(covers: Iterable[Track]) -> list[str]:
    """A file name for each cover: its own, as far as a file can have it, else 'cover.jpg',
    'cover-2.png' …"""
    names: list[str] = []
    for number, track in enumerate(covers, start=1):
        stem = "cover" if number == 1 else f"cover-{number}"
        own = track.tags.get("filename", "").encode()[:NAME_LIMIT_BYTES].decode(errors="ignore")
        names.append(own or f"{stem}.{COVER_TYPES[track.codec][1]}")
    return names


def _is_attached(plan: MuxPlan, track: Track) -> bool:
    return plan.container is Container.MATROSKA and track.is_cover_art


def _chapters(plan: MuxPlan, shift_s: Fraction) -> list[tuple[int, int, Chapter]]:
    """(start, end, chapter) in nanoseconds; none before 0, and in MP4 the first one at 0.

    An MP4 chapter track has no room before its first chapter: what is left out there would
    move all the others.
    """
    shift = round(shift_s * NANOSECOND)
    chapters: list[tuple[int, int, Chapter]] = []
    for chapter in plan.chapters:
        start = max(0, round(chapter.start_s * NANOSECOND) + shift)
        end = max(start, round(chapter.end_s * NANOSECOND) + shift)
        chapters.append((start, end, chapter))
    if plan.container is Container.MP4 and chapters:
        _, end, chapter = chapters[0]
        chapters[0] = (0, end, chapter)
    return chapters


def _pairs(tags: Mapping[str, str]) -> list[str]:
    """ffmpeg takes any line that ends in a backslash for an unfinished one, an escaped backslash
    too (measured with 9.0). A NUL, which ends the value for it, keeps the two apart."""
    lines = [f"{_escape(key)}={_escape(value)}" for key, value in tags.items() if key]
    return [line + "\0" if line.endswith("\\") else line for line in lines]


def _escape(text: str) -> str:
    """A backslash before everything that ends or opens something in FFMETADATA."""
    return re.sub(r"([=;#\[\\\n\r])", r"\\\1", text.replace("\0", ""))
