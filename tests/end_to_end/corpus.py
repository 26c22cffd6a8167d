"""One entry of the corpus through the real program, and its output held against its truth."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.program import drapto, processes_about
from tests.media.corpus.entry import Entry
from tests.media.corpus.judging import (
    differences,
    expected_exit,
    expected_named,
    expected_words,
    output_truth,
)
from tests.media.corpus.reading import read

OPTIONS = ("--preset", "12", "--crf", "50", "--json")
MANY_BYTES = 1 << 28  # a source this large is only looked at from outside

WRITTEN_TICK_S = {".mkv": 0.00101, ".webm": 0.00101, ".mp4": 0.00101}
"""Two times rounded to Matroska's millisecond, the source's and the output's."""


def cases(entries: Iterable[Entry], suffix: str) -> list[Any]:
    """Parameters of a test: an entry, and the extension of its output."""
    return [
        pytest.param(
            entry,
            suffix,
            id=f"{entry.name}{suffix}",
            marks=(pytest.mark.slow,) if entry.slow else (),
        )
        for entry in entries
    ]


def assert_like_its_source_or_refused(entry: Entry, suffix: str, tmp_path: Path) -> None:
    """Exit code, words, manifest, tracks, every frame's time; nothing changed, nothing left."""
    if entry.missing:
        pytest.skip(entry.missing)
    truth = entry.truth
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source, output = entry.make(tmp_path / "in"), tmp_path / "out" / f"out{suffix}"
    untouched = everything_in(tmp_path / "in")

    state = str(tmp_path / "state")
    done = drapto("encode", source, output, *OPTIONS, DRAPTO_STATE_DIR=state)
    said = done.stdout + done.stderr

    assert done.returncode == expected_exit(truth, suffix), said
    assert "Traceback" not in said
    for words in expected_words(truth, suffix):
        assert words in said
    assert everything_in(tmp_path / "in") == untouched
    assert processes_about(output) == []
    if done.returncode:
        assert list((tmp_path / "out").iterdir()) == []
        return
    assert list((tmp_path / "out").iterdir()) == [output]
    assert manifest_faults(done.stdout) == []
    assert named_rows(done.stdout) == expected_named(truth, suffix)
    assert crop_of(done.stdout) == truth.crop
    assert result_of(done.stdout)["dynamic_range"] == truth.dynamic_range
    found = read(output)
    assert differences(found, output_truth(truth, suffix), tick_s=WRITTEN_TICK_S[suffix]) == []
    if truth.hdr10_plus or truth.dolby_vision:
        before = read(source, truth.main)
        assert found.hdr10_plus_of == before.hdr10_plus_of
        if "dolby_vision_layer" not in truth.named:
            assert found.dolby_vision_of == before.dolby_vision_of


def everything_in(directory: Path) -> dict[str, str]:
    """A digest of each file; of what is no plain file, or enormous, its kind and size."""
    found = {}
    for path in sorted(directory.rglob("*")):
        facts = path.lstat()
        plain = stat.S_ISREG(facts.st_mode) and facts.st_size < MANY_BYTES
        known = f"{facts.st_mode} {facts.st_size} {facts.st_mtime_ns}"
        found[str(path)] = blake2b(path.read_bytes()).hexdigest() if plain else known
    return found


def result_of(stdout: str) -> dict[str, Any]:
    events = [json.loads(line) for line in stdout.splitlines()]
    (result,) = [event["result"] for event in events if event["event"] == "job_finished"]
    return dict(result)


def crop_of(stdout: str) -> tuple[int, int, int, int] | None:
    crop = result_of(stdout)["crop"]
    return crop and (crop["width"], crop["height"], crop["x"], crop["y"])


def manifest_rows(stdout: str) -> list[dict[str, str]]:
    return list(json.loads(Path(result_of(stdout)["manifest"]).read_text())["rows"])


def manifest_faults(stdout: str) -> list[dict[str, str]]:
    return [row for row in manifest_rows(stdout) if row["outcome"] == "fail"]


def named_rows(stdout: str) -> frozenset[str]:
    return frozenset(row["check"] for row in manifest_rows(stdout) if row["outcome"] == "named")
