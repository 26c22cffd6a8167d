"""The chapters of an opened file, by when they begin."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from drapto.core.media import Chapter
from drapto.infrastructure.ffmpeg.matroska import Said, SaidChapter

if TYPE_CHECKING:
    from av.container import InputContainer

_MICROSECONDS = 1_000_000  # AV_TIME_BASE


def read_chapters(container: InputContainer, said: Said | None) -> tuple[Chapter, ...]:
    """Those of libavformat, or what a Matroska file was found to say itself."""
    if said is not None and said.chapters:
        file_end_s = (container.duration or 0) / _MICROSECONDS
        return tuple(_said(chapter, file_end_s) for chapter in said.chapters)
    found = []
    for chapter in container.chapters():
        base = chapter["time_base"] or Fraction(1)
        found.append(
            Chapter(
                start_s=float(chapter["start"] * base),
                end_s=float(chapter["end"] * base),
                tags=dict(chapter["metadata"]),
            )
        )
    return tuple(sorted(found, key=lambda chapter: chapter.start_s))


def _said(chapter: SaidChapter, file_end_s: float) -> Chapter:
    """One that does not say when it ends does so with the file."""
    end_s = max(chapter.start_s, file_end_s) if chapter.end_s is None else chapter.end_s
    tags = {} if chapter.title is None else {"title": chapter.title}
    return Chapter(start_s=chapter.start_s, end_s=end_s, tags=tags, depth=chapter.depth)
