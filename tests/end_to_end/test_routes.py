"""Every stage served by either side, through the real program."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from drapto.core.comparison import Outcome
from drapto.core.media import TrackKind
from drapto.core.routing import RoutedStage, Side
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.end_to_end.program import QUICK, events_of
from tests.end_to_end.program import drapto_here as drapto
from tests.legacy import needs_tools
from tests.media import clips


@needs_tools
@pytest.mark.parametrize(
    "sides",
    [
        pytest.param(
            sides,
            id="-".join(sides),
            marks=pytest.mark.slow if sides.count(Side.LEGACY) == 2 else (),
        )
        for sides in itertools.product(Side, repeat=3)
    ],
)
def test_all_combinations_make_a_valid_output(
    film: Path, tmp_path: Path, sides: tuple[Side, ...]
) -> None:
    output = tmp_path / "out.mkv"
    routes = [f"{stage}={side}" for stage, side in zip(RoutedStage, sides, strict=True)]
    done = drapto(
        "encode", film, output, *QUICK, "--keep-work", "--json",
        *itertools.chain(*(("--route", route) for route in routes)),
        DRAPTO_STATE_DIR=str(tmp_path / "state"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = clips.decoded_frames(film), clips.decoded_frames(output)
    assert [pts for pts, _ in after] == [pts for pts, _ in before]
    media = probe_file(output)
    assert [t.codec for t in media.tracks] == ["av1", "opus"]
    assert media.of_kind(TrackKind.VIDEO)[0].bit_depth == 10
    work = Path(next(e for e in events_of(done) if e["event"] == "job_started")["work_dir"])
    entries = [json.loads(line) for line in (work / "journal.jsonl").read_text().splitlines()]
    settled = next(e for e in entries if e["entry"] == "routes_settled")["routes"]
    assert [route["primary"] for route in settled] == list(sides)
    rows = json.loads((work / "manifest.json").read_text())["rows"]
    assert [row for row in rows if row["outcome"] == "fail"] == []


@pytest.mark.slow
@needs_tools
@pytest.mark.parametrize("stage", RoutedStage)
async def test_shadow_run_compares_both_sides_after_the_job(
    film: Path, tmp_path: Path, stage: RoutedStage
) -> None:
    output, state = tmp_path / "out.mkv", tmp_path / "state"
    flags = tmp_path / "flags.toml"
    flags.write_text(
        f'schema = 1\n[stage.{stage}]\nmode = "shadow"\nshadow = {{ aa_sample = 0.0 }}\n'
    )
    done = drapto(
        "encode", film, output, *QUICK,
        DRAPTO_STATE_DIR=str(state), DRAPTO_FLAGS_FILE=str(flags),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (comparison,) = await SqliteComparisonStore(state).comparisons(stage)
    assert (comparison.primary, comparison.candidate) == (Side.LEGACY, Side.NEW)
    assert comparison.outcome in (Outcome.MATCH, Outcome.MISMATCH), comparison.reason
    assert comparison.fields
    assert f"Shadow run of {stage}" in done.stderr
    lines = [json.loads(line) for line in (state / "shadow" / "log.jsonl").read_text().splitlines()]
    said = [line["field"] for line in lines if line["event"] == "discrepancy"]
    assert said == [found.field for found in comparison.discrepancies]
    assert {line["job"] for line in lines} == {comparison.job}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flags.toml", "out.mkv", "state"]
    assert not list((state / "shadow").glob("run-*"))
