"""The corpus is what it says it is: read with PyAV, not with Drapto."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.corpus import CORPUS
from tests.media.corpus.entry import Entry
from tests.media.corpus.judging import differences
from tests.media.corpus.reading import read

READ_TICK_S = 0.001  # Matroska and FLV round to it; other containers are finer

READABLE = [entry for entry in CORPUS if entry.truth.frames is not None]

TWICE = (  # one of every kind of maker
    "start_at_5_s",
    "no_key_frame_first",
    "ts_clock_starts_anew",
    "avi_packed_b",
    "letterbox",
    "soft_telecine",
    "hdr10_plus",
)


def made(entry: Entry, directory: Path) -> Path:
    if entry.missing:
        pytest.skip(entry.missing)
    directory.mkdir(exist_ok=True)
    return entry.make(directory)


def test_every_entry_has_a_name_of_its_own() -> None:
    names = [entry.name for entry in CORPUS]
    assert sorted(set(names)) == sorted(names)


def test_every_entry_states_what_it_is_in_one_sentence() -> None:
    for entry in CORPUS:
        assert entry.truth.what.endswith("."), entry.name


@pytest.mark.parametrize("entry", READABLE, ids=lambda entry: entry.name)
def test_an_entry_is_what_its_truth_says(entry: Entry, tmp_path: Path) -> None:
    found = read(made(entry, tmp_path / "a"), entry.truth.main)
    assert differences(found, entry.truth, tick_s=READ_TICK_S) == []


@pytest.mark.parametrize("name", TWICE)
def test_an_entry_is_made_alike_every_time(name: str, tmp_path: Path) -> None:
    (entry,) = [entry for entry in CORPUS if entry.name == name]
    first, second = (made(entry, tmp_path / part) for part in "ab")
    assert first.read_bytes() == second.read_bytes()
