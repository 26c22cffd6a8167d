"""Names that break shells, filter graphs and terminals."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.corpus.entry import Entry, Sound, Truth, even

FRAMES, RATE = 12, 24

NAMES = {
    "spaces": ("Spaces, many and at both ends.", "  a  film   of mine  .mkv "),
    "quotes": ("Quotes of every kind.", "it's \"quoted\" `ticked` \\'twice\\'.mkv"),
    "lines": ("Line breaks, tabs and a control character.", "two\nlines\r\tand \x1b[31m red.mkv\n"),
    "percent": ("What numbers frames and formats dates.", "100%d %03d %n %(name)s %Y%%.mkv"),
    "colons": ("What looks like a protocol.", "concat:one|http:two:0:1,pipe:0.mkv"),
    "emoji": ("Emoji, Cyrillic, Japanese, a combining accent.", "🎬 фильм 映画 e\u0301\u202e.mkv"),
    "not_utf_8": ("Bytes that are no text.", os.fsdecode(b"caf\xe9 \xff\xfe.mkv")),
    "dash": ("What looks like an option.", "-i --overwrite=yes.mkv"),
    "filter": ("What a filter graph is made of.", "[in];movie=x,crop='1:2'@a\\,b.mkv"),
    "shell": ("What a shell would do.", "$(touch hacked) `touch hacked`;touch hacked|&>*{a,b}.mkv"),
    "long": ("As many bytes as a name can have.", "x" * 251 + ".mkv"),
    "bare": ("No extension.", "film"),
}  # fmt: skip
"""By the entry: what is in the name, and the name."""


def film(directory: Path, name: str) -> Path:
    """Half a second with sound."""
    plain = directory / "plain.mkv"
    inputs = (*pattern(FRAMES, size="96x64"), *tone(FRAMES / RATE))
    ffmpeg(*inputs, *x264(), "-c:a", "aac", "-b:a", "64k", plain)
    return plain.rename(directory / name)


def _named(name: str) -> Callable[[Path], Path]:
    return lambda directory: film(directory, name)


TRUTH = Truth(
    "",
    frames=FRAMES,
    times_s=even(FRAMES, RATE),
    width=96,
    height=64,
    audio=(Sound("aac", duration_s=FRAMES / RATE),),
)

ENTRIES: tuple[Entry, ...] = tuple(
    Entry(f"name_{key}", _named(name), replace(TRUTH, what=what), mp4=key in ("lines", "percent"))
    for key, (what, name) in NAMES.items()
)
