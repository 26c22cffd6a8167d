"""How pictures refer to each other: GOPs, pyramids, key frames."""

from __future__ import annotations

from tests.media.corpus.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
