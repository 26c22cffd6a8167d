"""What Matroska files say that libavformat does not read (measured with 62).

It knows no language tag of RFC 5646, no chapter within a chapter, and of the others only those
that begin later than all before them.

    said = read_matroska(path)        # None: not to be made out; what libavformat reads stands

Elements are those of RFC 9559. Only the two that are asked for are read.

Tests: tests/infrastructure/ffmpeg/test_matroska.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from drapto.core.words import count
from drapto.infrastructure.ffmpeg.ebml import (
    HEADER,
    MOST_ELEMENTS,
    SEGMENT,
    MalformedError,
    children,
    elements,
    first,
    number,
    payload_at,
    text,
)

if TYPE_CHECKING:
    from av.container import InputContainer

TRACKS, LANGUAGE, LANGUAGE_BCP47 = 0x1654AE6B, 0x22B59C, 0x22B59D
_SEEK_HEAD, _CLUSTER = 0x114D9B74, 0x1F43B675
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_TRACK_ENTRY, _TRACK_TYPE, _CODEC_ID = 0xAE, 0x83, 0x86
_CHAPTERS, _EDITION, _EDITION_DEFAULT, _ATOM = 0x1043A770, 0x45B9, 0x45DB, 0xB6
_START, _END, _DISPLAY, _TITLE = 0x91, 0x92, 0x80, 0x85

_KNOWN_TYPES = frozenset({1, 2, 17, 33})
"""Video, audio, subtitle, metadata: libavformat makes a stream of these, and of no others."""

_LANGUAGE_TAG = re.compile(r"[A-Za-z0-9-]{1,99}")
_DEEPEST = 16  # chapters within chapters
_NANOSECONDS = 1e9


@dataclass(frozen=True)
class SaidChapter:
    """`depth`: how many chapters it lies within. `end_s` None: not said."""

    start_s: float
    end_s: float | None
    title: str | None
    depth: int


@dataclass(frozen=True)
class Said:
    """`language_tags`: one for each track that libavformat makes a stream of, in its order.

    `chapters`: those of the edition that players show, by when they begin, outer before inner.
    `unkept`: in words, what there is of chapters besides.
    """

    language_tags: tuple[str | None, ...]
    chapters: tuple[SaidChapter, ...]
    unkept: tuple[str, ...]

    def tags_by_stream(self, container: InputContainer) -> dict[int, str]:
        """By stream index; attachments and covers are no tracks of Matroska."""
        from av.stream import AttachmentStream, Disposition

        streams = [
            stream.index
            for stream in container.streams
            if not isinstance(stream, AttachmentStream)
            and not stream.disposition & Disposition.attached_pic
        ]
        if len(streams) != len(self.language_tags):
            return {}
        return {i: tag for i, tag in zip(streams, self.language_tags, strict=True) if tag}


def read_matroska(path: Path) -> Said | None:
    """Read the head of a Matroska or WebM file. None if it makes no sense."""
    try:
        with path.open("rb") as file:
            found = _found(file, os.fstat(file.fileno()).st_size)
        chapters = found.get(_CHAPTERS, b"")
        editions = [payload for ident, payload in elements(chapters) if ident == _EDITION]
        defaults = [e for e in editions if number(first(e, _EDITION_DEFAULT))]
        shown = next(iter(defaults or editions), b"")
        others = sum(len(_listed(edition)) for edition in editions if edition is not shown)
        listed = _listed(shown)
        return Said(
            language_tags=tuple(_language_tags(found.get(TRACKS, b""))),
            chapters=tuple(sorted(_ended(listed), key=lambda c: (c.start_s, c.depth))),
            unkept=tuple(_unkept(others, sum(titles for _, titles in listed))),
        )
    except (OSError, MalformedError):
        return None


def place_of_tracks(file: BinaryIO, size: int) -> tuple[int, int]:
    """Where the payload of Tracks begins in a file of `size` bytes, and its length.

    Errors: MalformedError.
    """
    for ident, place, length in children(file, _segment(file, size), size):
        if ident == TRACKS:
            return place, length
    raise MalformedError


def _found(file: BinaryIO, size: int) -> dict[int, bytes]:
    """Tracks and Chapters: on the way to the first cluster, or where the seek head says."""
    found: dict[int, bytes] = {}
    elsewhere: dict[int, int] = {}
    segment = _segment(file, size)
    for ident, place, length in children(file, segment, size):
        if ident == _CLUSTER:
            break
        if ident in (TRACKS, _CHAPTERS):
            found.setdefault(ident, payload_at(file, place, length))
        elif ident == _SEEK_HEAD:
            elsewhere |= _seek_head(payload_at(file, place, length))
    for ident in {TRACKS, _CHAPTERS} & elsewhere.keys() - found.keys():
        other, place, length = next(children(file, segment + elsewhere[ident], size), (0, 0, 0))
        if other == ident:
            found[ident] = payload_at(file, place, length)
    return found


def _segment(file: BinaryIO, size: int) -> int:
    """Where the payload of the Segment begins."""
    for ident, place, _ in children(file, 0, size):
        if ident == SEGMENT:
            return place
        if ident != HEADER:
            break
    raise MalformedError


def _seek_head(data: bytes) -> dict[int, int]:
    """Where elements begin, counted from the payload of the Segment."""
    entries = (payload for ident, payload in elements(data) if ident == _SEEK)
    return {number(first(e, _SEEK_ID)): number(first(e, _SEEK_POSITION)) for e in entries}


def _language_tags(tracks: bytes) -> Iterator[str | None]:
    for ident, entry in elements(tracks):
        if ident != _TRACK_ENTRY or not first(entry, _CODEC_ID):
            continue
        if number(first(entry, _TRACK_TYPE)) in _KNOWN_TYPES:
            tag = text(first(entry, LANGUAGE_BCP47))
            yield tag if _LANGUAGE_TAG.fullmatch(tag) else None


def _unkept(chapters: int, titles: int) -> Iterator[str]:
    if chapters:
        yield f"{count(chapters, 'chapter')} of other editions"
    if titles:
        yield f"{count(titles, 'further title')} of chapters"


def _listed(edition: bytes) -> list[tuple[SaidChapter, int]]:
    """Every chapter, the outer before the inner, and how many further titles it has."""
    listed: list[tuple[SaidChapter, int]] = []
    for chapter in _atoms(edition, depth=0):
        listed.append(chapter)
        if len(listed) > MOST_ELEMENTS:
            raise MalformedError
    return listed


def _atoms(data: bytes, depth: int) -> Iterator[tuple[SaidChapter, int]]:
    if depth > _DEEPEST:
        raise MalformedError
    for ident, atom in elements(data):
        if ident != _ATOM:
            continue
        titles = [first(display, _TITLE) for kind, display in elements(atom) if kind == _DISPLAY]
        end = first(atom, _END)
        chapter = SaidChapter(
            start_s=number(first(atom, _START)) / _NANOSECONDS,
            end_s=number(end) / _NANOSECONDS if end else None,
            title=text(titles[0]) if titles else None,
            depth=depth,
        )
        yield chapter, max(0, len(titles) - 1)
        yield from _atoms(atom, depth + 1)


def _ended(listed: Sequence[tuple[SaidChapter, int]]) -> list[SaidChapter]:
    """One that does not say when it ends does so where the next of its depth begins."""
    next_start_s: list[float | None] = [None] * (_DEEPEST + 1)
    ended = []
    for chapter, _ in reversed(listed):
        end_s = next_start_s[chapter.depth] if chapter.end_s is None else chapter.end_s
        ended.append(replace(chapter, end_s=end_s))
        for depth in range(chapter.depth, _DEEPEST + 1):
            next_start_s[depth] = chapter.start_s
    return ended[::-1]
