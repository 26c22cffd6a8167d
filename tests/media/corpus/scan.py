"""Interlaced and telecined pictures, and progressive ones that look like them."""

from __future__ import annotations

from tests.media.corpus.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
