"""Takes Matroska files apart and puts them together, for what no muxer at hand writes.

EBML is RFC 8794, Matroska RFC 9559.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

EBML, SEGMENT, CLUSTER, TIMESTAMP = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0xE7
INFO, TRACKS, CHAPTERS, ATTACHMENTS, TAGS = (
    0x1549A966, 0x1654AE6B, 0x1043A770, 0x1941A469, 0x1254C367,
)  # fmt: skip
TRACK_ENTRY, LANGUAGE, LANGUAGE_BCP47 = 0xAE, 0x22B59C, 0x22B59D

_EDITION, _EDITION_ID, _ATOM, _ATOM_ID, _START, _END = 0x45B9, 0x45BC, 0xB6, 0x73C4, 0x91, 0x92
_DISPLAY, _TITLE, _TITLE_LANGUAGE = 0x80, 0x85, 0x437C
_COPIED = frozenset({INFO, TRACKS, ATTACHMENTS, TAGS, CLUSTER})  # an index would point astray


@dataclass(frozen=True)
class Atom:
    """A chapter, and the chapters in it."""

    title: str
    start_s: float
    end_s: float | None
    inside: tuple[Atom, ...] = ()


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifier and payload of one level; every size must be known."""
    at = 0
    while at < len(data):
        length = 9 - data[at].bit_length()
        ident = int.from_bytes(data[at : at + length], "big")
        at += length
        length = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
        at += length
        yield ident, data[at : at + size]
        at += size


def inside(data: bytes, wanted: int) -> Iterator[tuple[int, bytes]]:
    """The elements in every element of one kind."""
    for ident, payload in elements(data):
        if ident == wanted:
            yield from elements(payload)


def element(ident: int, payload: bytes) -> bytes:
    name = ident.to_bytes((ident.bit_length() + 7) // 8, "big")
    return name + (len(payload) | 1 << 56).to_bytes(8, "big") + payload


def file_of(source: bytes, body: bytes) -> bytes:
    """A file with the head of `source` and the Segment `body`."""
    head = next(payload for ident, payload in elements(source) if ident == EBML)
    return element(EBML, head) + element(SEGMENT, body)


def with_chapters(source: Path, out: Path, *editions: tuple[Atom, ...]) -> Path:
    """A copy of the Matroska file `source` with these chapters, nested as they are."""
    data = source.read_bytes()
    body = b""
    for ident, payload in inside(data, SEGMENT):
        if ident in _COPIED:
            body += element(ident, payload)
        if ident == TRACKS:
            body += element(CHAPTERS, b"".join(map(_edition, editions)))
    out.write_bytes(file_of(data, body))
    return out


def with_chapters_last(source: Path, out: Path, *editions: tuple[Atom, ...]) -> Path:
    """As `with_chapters`, but behind the film, where an element at the front says they are."""
    data = source.read_bytes()
    parts = [element(i, p) for i, p in inside(data, SEGMENT) if i in _COPIED]
    chapters = element(CHAPTERS, b"".join(map(_edition, editions)))
    place = len(_seek_head(0)) + sum(map(len, parts))
    out.write_bytes(file_of(data, _seek_head(place) + b"".join(parts) + chapters))
    return out


def _seek_head(place: int) -> bytes:
    """Says where the chapters are, counted from the payload of the Segment."""
    found = element(0x53AB, CHAPTERS.to_bytes(4, "big")) + element(0x53AC, place.to_bytes(8, "big"))
    return element(0x114D9B74, element(0x4DBB, found))


def with_languages(source: Path, out: Path, languages: dict[int, str]) -> Path:
    """A copy in which tracks, by their place from 0, also have an RFC 5646 language tag."""
    data = source.read_bytes()
    body = b""
    for ident, payload in inside(data, SEGMENT):
        if ident == TRACKS:
            entries = [p for i, p in elements(payload) if i == TRACK_ENTRY]
            tags = [languages.get(place) for place in range(len(entries))]
            body += element(ident, b"".join(map(_entry, entries, tags)))
        elif ident in _COPIED:
            body += element(ident, payload)
    out.write_bytes(file_of(data, body))
    return out


def _entry(payload: bytes, tag: str | None) -> bytes:
    added = element(LANGUAGE_BCP47, tag.encode()) if tag else b""
    return element(TRACK_ENTRY, payload + added)


def _edition(atoms: tuple[Atom, ...]) -> bytes:
    numbers = iter(range(1, 10_000))
    uid = element(_EDITION_ID, bytes([1]))
    return element(_EDITION, uid + b"".join(_atom(a, lambda: next(numbers)) for a in atoms))


def _atom(atom: Atom, number: Callable[[], int]) -> bytes:
    def time(seconds: float) -> bytes:
        return round(seconds * 1_000_000_000).to_bytes(8, "big")

    display = element(_TITLE, atom.title.encode()) + element(_TITLE_LANGUAGE, b"und")
    parts = element(_ATOM_ID, number().to_bytes(2, "big"))
    parts += element(_START, time(atom.start_s))
    parts += b"" if atom.end_s is None else element(_END, time(atom.end_s))
    parts += element(_DISPLAY, display) + b"".join(_atom(each, number) for each in atom.inside)
    return element(_ATOM, parts)


def languages_of(path: Path) -> list[str]:
    """Of each track: its tag if it has one, else its code."""
    entries = [p for i, p in _top(path, TRACKS) if i == TRACK_ENTRY]
    found = [dict(elements(entry)) for entry in entries]
    return [(f.get(LANGUAGE_BCP47) or f.get(LANGUAGE) or b"eng").decode() for f in found]


def chapters_of(path: Path) -> list[tuple[str, float, float]]:
    """Title, start and end of every chapter of the first edition, nested or not, by start."""
    editions = [payload for ident, payload in _top(path, CHAPTERS) if ident == _EDITION]
    return sorted(_chapters(editions[0]), key=lambda found: found[1]) if editions else []


def _chapters(data: bytes) -> Iterator[tuple[str, float, float]]:
    for ident, atom in elements(data):
        if ident == _ATOM:
            parts = dict(elements(atom))
            title = dict(elements(parts.get(_DISPLAY, b""))).get(_TITLE, b"").decode()
            start, end = (int.from_bytes(parts[key], "big") / 1e9 for key in (_START, _END))
            yield title, start, end
            yield from _chapters(atom)


def _top(path: Path, wanted: int) -> Iterator[tuple[int, bytes]]:
    """What is in one element of a file whose lengths are all known."""
    for ident, payload in inside(path.read_bytes(), SEGMENT):
        if ident == wanted:
            yield from elements(payload)
