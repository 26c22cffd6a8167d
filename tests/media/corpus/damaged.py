"""Files that are broken, or no video at all."""

from __future__ import annotations

from tests.media.corpus.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
