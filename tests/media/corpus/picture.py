"""Sizes, shapes, formats, bars."""

from __future__ import annotations

from tests.media.corpus.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
