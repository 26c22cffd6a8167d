"""The corpus: small sources that have broken encoders, each with a statement of what is in it.

`scripts/corpus` builds them for a person, `tests/media/test_corpus.py` proves that they are what
they say, and `tests/end_to_end/test_corpus.py` sends every one of them through the program. A new
entry is added to the module of its subject; nothing else has to know of it.
"""

from __future__ import annotations

from tests.media.corpus import (
    composed,
    containers,
    damaged,
    formats,
    hdr,
    names,
    picture,
    scan,
    sound,
    structure,
    text,
    timing,
    tracks,
)
from tests.media.corpus.entry import Entry

CORPUS: tuple[Entry, ...] = (
    *timing.ENTRIES,
    *structure.ENTRIES,
    *containers.ENTRIES,
    *picture.ENTRIES,
    *formats.ENTRIES,
    *composed.ENTRIES,
    *scan.ENTRIES,
    *hdr.ENTRIES,
    *sound.ENTRIES,
    *text.ENTRIES,
    *tracks.ENTRIES,
    *damaged.ENTRIES,
    *names.ENTRIES,
)
