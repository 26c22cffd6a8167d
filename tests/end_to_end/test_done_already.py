"""The same command once more, after a job that ended well and whose work was kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.disturbing import Ended, encode_here, work_dir
from tests.end_to_end.program import QUICK, drapto
from tests.media import clips


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return clips.simple(tmp_path, "in.mkv")


@pytest.fixture
def output(tmp_path: Path, source: Path) -> Path:
    """Encoded once, with everything kept."""
    output = tmp_path / "out.mkv"
    assert encode_here(source, output, "--keep-work").code == 0
    return output


def encoded_segments(done: Ended) -> int:
    return sum(event["event"] == "segment_finished" for event in done.events)


@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
def test_finished_job_is_said_to_be_done_and_its_output_stays(
    source: Path, output: Path, flags: list[str]
) -> None:
    before = output.read_bytes(), output.stat().st_mtime_ns
    done = encode_here(source, output, "--keep-work", *flags)
    assert done.code == 0, done.stderr
    assert done.warnings == [
        f"Nothing to do: an earlier run finished {output}, and it is unchanged since. To encode it "
        "again, add --no-resume --overwrite."
    ]
    assert encoded_segments(done) == 0
    assert (output.read_bytes(), output.stat().st_mtime_ns) == before


@pytest.mark.slow
def test_people_read_that_nothing_was_done(source: Path, output: Path) -> None:
    done = drapto("encode", source, output, *QUICK, "--keep-work", "--overwrite")
    assert done.returncode == 0
    assert f"Nothing to do: an earlier run finished {output}" in done.stdout
    assert f"publishing: {output} was there already" in done.stdout


@pytest.mark.slow
def test_output_that_was_changed_is_replaced_from_the_finished_segments(
    source: Path, output: Path
) -> None:
    whole = output.stat().st_size
    with output.open("ab") as file:
        file.write(b"x")
    done = encode_here(source, output, "--keep-work", "--overwrite")
    assert done.code == 0, done.stderr
    assert not any(warning.startswith("Nothing to do") for warning in done.warnings)
    assert encoded_segments(done) == 0
    assert output.stat().st_size == whole


def test_output_that_is_gone_is_made_again(source: Path, output: Path) -> None:
    output.unlink()
    done = encode_here(source, output, "--keep-work")
    assert done.code == 0, done.stderr
    assert not any(warning.startswith("Nothing to do") for warning in done.warnings)
    assert output.exists()


def test_no_resume_with_overwrite_encodes_again(source: Path, output: Path) -> None:
    before = output.stat().st_mtime_ns
    done = encode_here(source, output, "--keep-work", "--no-resume", "--overwrite")
    assert done.code == 0, done.stderr
    assert done.events[0]["resumed"] is False
    assert encoded_segments(done) == done.result["segments"] > 0
    assert done.result["resumed_segments"] == 0
    assert output.stat().st_mtime_ns != before


@pytest.mark.slow
def test_no_resume_without_overwrite_is_refused_and_leaves_the_kept_work_alone(
    source: Path, output: Path
) -> None:
    journal = (work_dir(output) / "journal.jsonl").read_bytes()
    done = encode_here(source, output, "--keep-work", "--no-resume")
    assert done.code == 2
    assert "--overwrite" in done.stderr
    assert (work_dir(output) / "journal.jsonl").read_bytes() == journal
