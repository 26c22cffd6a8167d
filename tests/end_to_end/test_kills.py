"""SIGKILL, SIGTERM and SIGINT at any moment: nothing is lost but the running segments."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.end_to_end.program import QUICK, drapto, drapto_here, events_of, processes_about, start
from tests.media import clips


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds with five cuts: long enough to be killed in every stage."""
    path, _ = clips.with_cuts(tmp_path_factory.mktemp("kills"), clips.HALF, rate=12)
    return path


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out.mkv"
    done = drapto_here("encode", source, output, *QUICK)
    assert done.returncode == 0, done.stderr
    return output


def journal_of(work_dir: Path) -> list[dict[str, object]]:
    """Every whole line of the journal below a directory; none if there is none."""
    entries = []
    for path in work_dir.rglob("journal.jsonl"):
        for line in path.read_text(errors="replace").splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
    return entries


def finished_segments(work_dir: Path) -> Counter[int]:
    return Counter(
        entry["encoded"]["segment"]["index"]  # type: ignore[index]
        for entry in journal_of(work_dir)
        if entry["entry"] == "segment_done"
    )


def nothing_runs_about(path: Path) -> bool:
    """Children of a killed parent are killed by the kernel: soon, not at once."""

    async def wait() -> bool:
        with anyio.move_on_after(10):
            while processes_about(path):
                await anyio.sleep(0.02)
        return not processes_about(path)

    return anyio.run(wait)


def kill_once(
    source: Path, output: Path, work: Path, sent: int, until: Callable[[int, str], bool]
) -> int:
    """Start, send a signal once `until(number, event)` says so, and return the exit status."""
    process = start("encode", source, output, *QUICK, "--json", "--work-dir", work)
    assert process.stdout is not None
    with process.stdout:
        for number, line in enumerate(process.stdout):
            if until(number, json.loads(line)["event"]):
                break
        process.send_signal(sent)
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def reached(moment: int) -> Callable[[int, str], bool]:
    """Whether as many events have been printed."""
    return lambda number, _event: number >= moment


def same_video(one: Path, other: Path) -> bool:
    return clips.decoded_frames(one) == clips.decoded_frames(other)


def assert_survives(
    source: Path, undisturbed: Path, directory: Path, *, kills: int, seed: int
) -> None:
    """Kill a job again and again, let it finish at last, and compare."""
    rng = random.Random(seed)
    output, work = directory / "out.mkv", directory / "work"
    work.mkdir()
    for _ in range(kills):
        moment = rng.randrange(0, 40)
        kill_once(source, output, work, signal.SIGKILL, reached(moment))
        assert nothing_runs_about(work)
        if output.exists():  # the signal came after the end
            break
    before = finished_segments(work)
    done = drapto_here("encode", source, output, *QUICK, "--json", "--work-dir", work)
    if before or not output.exists():
        assert done.returncode == 0, done.stderr
        (finished,) = [e for e in events_of(done) if e["event"] == "job_finished"]
        assert finished["result"]["resumed_segments"] == len(before)
    assert max(before.values(), default=1) == 1, "a finished segment was encoded again"
    assert same_video(output, undisturbed)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("seed", range(1))
def test_killed_job_goes_on_from_its_last_finished_segment(
    source: Path, undisturbed: Path, tmp_path: Path, seed: int
) -> None:
    assert_survives(source, undisturbed, tmp_path, kills=3, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_kills_at_random_points(
    source: Path, undisturbed: Path, tmp_path: Path, seed: int
) -> None:
    assert_survives(source, undisturbed, tmp_path, kills=5, seed=seed)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_job_exits_130_and_can_go_on(
    source: Path, undisturbed: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    output, work = tmp_path / "out.mkv", tmp_path / "work"
    work.mkdir()
    code = kill_once(source, output, work, sent, lambda _, event: event == "segment_finished")
    assert code == 130
    assert nothing_runs_about(work)
    assert not output.exists()
    entries = journal_of(work)
    assert entries[-1]["entry"] == "transition"
    assert entries[-1]["to"] == "interrupted"
    done = drapto_here("encode", source, output, *QUICK, "--work-dir", work)
    assert done.returncode == 0, done.stderr
    assert same_video(output, undisturbed)


def test_second_process_on_the_same_job_is_refused(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    first = start("encode", source, output, *QUICK, "--json")
    assert first.stdout is not None
    with first.stdout:
        for line in first.stdout:
            if json.loads(line)["event"] == "plan_ready":
                break
        first.send_signal(signal.SIGSTOP)  # so that it cannot finish meanwhile
        second = drapto("encode", source, output, *QUICK)
        first.send_signal(signal.SIGCONT)
        first.stdout.read()
    assert second.returncode == 1
    assert str(first.pid) in second.stderr
    assert first.wait(timeout=120) == 0
    assert output.exists()
