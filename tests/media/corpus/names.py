"""Names that break shells, filter graphs and terminals."""

from __future__ import annotations

from tests.media.corpus.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
