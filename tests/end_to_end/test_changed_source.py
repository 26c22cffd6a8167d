"""A source that changes is the reason given, and half a film is never published."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.disturbing import beside, contents, encode, encode_here, stage_begins


def test_source_that_was_modified_between_two_runs_starts_afresh_and_says_so(
    source: Path, output: Path, undisturbed: str
) -> None:
    finished = lambda event: event["event"] == "segment_finished"  # noqa: E731
    assert encode(source, output, when=finished, then=lambda p: p.kill()).acted
    os.utime(source)
    done = encode_here(source, output)
    assert done.code == 0, done.stderr
    assert [said[:38] for said in done.warnings] == ["Started afresh: The source was modified"[:38]]
    assert done.result["resumed_segments"] == 0
    assert contents(output) == undisturbed


@pytest.mark.parametrize(
    "stage",
    [
        "encoding",
        pytest.param("detection", marks=pytest.mark.slow),
        pytest.param("assembly", marks=pytest.mark.slow),
        pytest.param("validation", marks=pytest.mark.slow),
    ],
)
def test_source_that_is_deleted_while_it_is_encoded_is_the_reason_given(
    stage: str, film: Path, source: Path, output: Path, undisturbed: str
) -> None:
    done = encode(source, output, when=stage_begins(stage), then=lambda _: source.unlink())
    assert done.code == 3, done.stderr
    assert f"{source} " in done.stderr
    assert "Error: " in done.stderr
    assert "out.mkv" not in beside(output)
    shutil.copy2(film, source)
    assert encode_here(source, output).code == 0
    assert contents(output) == undisturbed
    assert beside(output) == ["out.mkv"]


@pytest.mark.parametrize(
    "stage",
    [
        "detection",
        pytest.param("probe", marks=pytest.mark.slow),
        pytest.param("encoding", marks=pytest.mark.slow),
        pytest.param("validation", marks=pytest.mark.slow),
    ],
)
def test_source_that_is_cut_off_while_it_is_encoded_is_never_published(
    stage: str, source: Path, output: Path
) -> None:
    def cut_off(_process: object) -> None:
        os.truncate(source, source.stat().st_size // 3)

    done = encode(source, output, when=stage_begins(stage), then=cut_off)
    assert done.code == 3, done.stderr
    assert "changed while it was being encoded" in done.stderr
    assert "go on" not in done.stderr
    assert beside(output) == []
