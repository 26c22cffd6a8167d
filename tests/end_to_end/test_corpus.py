"""Every entry of the corpus through the real program, to Matroska."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto import Drapto, Settings
from tests.end_to_end.corpus import assert_like_its_source_or_refused, cases
from tests.media.corpus import CORPUS, composed, scan
from tests.media.corpus.entry import Entry


@pytest.mark.parametrize(("entry", "suffix"), cases(CORPUS, ".mkv"))
def test_every_source_becomes_its_like_or_a_clear_error(
    entry: Entry, suffix: str, tmp_path: Path
) -> None:
    assert_like_its_source_or_refused(entry, suffix, tmp_path)


LOOKED_AT = (*composed.ENTRIES, *scan.ENTRIES)


@pytest.mark.parametrize("entry", LOOKED_AT, ids=lambda entry: entry.name)
async def test_analysis_finds_fields_and_cuts(entry: Entry, tmp_path: Path) -> None:
    if entry.missing:
        pytest.skip(entry.missing)
    truth = entry.truth
    async with Drapto(Settings(state_dir=tmp_path / "state")) as d:
        found = (await d.analyze(entry.make(tmp_path))).analysis
    assert found.interlacing == truth.scan
    if truth.cuts is not None:
        assert tuple(scene.start for scene in found.scenes[1:]) == truth.cuts
