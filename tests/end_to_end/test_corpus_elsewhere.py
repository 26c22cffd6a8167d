"""A part of the corpus through the real program, to MP4 and WebM: what they cannot hold is named.

Apart from `test_corpus.py`, so that both run at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.corpus import assert_like_its_source_or_refused, cases
from tests.media.corpus import CORPUS
from tests.media.corpus.entry import Entry

ELSEWHERE = [
    *cases((entry for entry in CORPUS if entry.mp4), ".mp4"),
    *cases((entry for entry in CORPUS if entry.webm), ".webm"),
]


@pytest.mark.parametrize(("entry", "suffix"), ELSEWHERE)
def test_mp4_and_webm_hold_it_or_name_what_they_cannot(
    entry: Entry, suffix: str, tmp_path: Path
) -> None:
    assert_like_its_source_or_refused(entry, suffix, tmp_path)
