"""Whatever a candidate does, its caller gets an end, and nothing of it stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from drapto.core.errors import ResourceError
from drapto.core.json_text import dumps
from drapto.core.shadow_task import CandidateEnd, ShadowTask
from drapto.infrastructure import candidates
from drapto.infrastructure.candidates import MARK, ProcessCandidates
from tests.shadow_examples import shadow_task


@pytest.fixture
def task(tmp_path: Path) -> ShadowTask:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    source.write_bytes(b"source")
    output.write_bytes(b"output")
    return shadow_task(source, output)


def worker(tmp_path: Path, code: str) -> ProcessCandidates:
    program = tmp_path / "worker.py"
    program.write_text(
        "import os, sys, time, signal\n"
        f"from pathlib import Path\nplace = Path(sys.argv[2])\n{code}\n"
    )
    return ProcessCandidates({}, tmp_path / "shadow", worker=(sys.executable, str(program)))


async def run(
    candidate: ProcessCandidates, task: ShadowTask, deadline_s: float = 30.0
) -> CandidateEnd:
    async with candidate.place(task) as place:
        end = await candidate.run("run", task, place, deadline_s=deadline_s)
    assert not place.exists()
    return end


def relatives(task: ShadowTask) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(task.id):
                yield process
        except psutil.Error:
            continue


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


async def test_result_comes_back_as_it_was_written(tmp_path: Path, task: ShadowTask) -> None:
    code = "(place / 'result.json').write_text('{\"verb\": \"' + sys.argv[1] + '\"}')"
    end = await run(worker(tmp_path, code), task)
    assert (end.payload, end.fault, end.timed_out) == (b'{"verb": "run"}', "", False)


async def test_worker_finds_its_task_and_its_settings(tmp_path: Path, task: ShadowTask) -> None:
    code = "(place / 'result.json').write_bytes((place / 'task.json').read_bytes())"
    end = await run(worker(tmp_path, code), task)
    assert end.payload is not None
    assert ShadowTask.model_validate_json(end.payload) == task


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("raise SystemExit(3)", "it exited with status 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "it was killed by SIGSEGV"),
        ("pass", "it ended without a result"),
        ("(place / 'result.json').symlink_to('/etc/passwd')", "its result cannot be read"),
        ("os.mkfifo(place / 'result.json')", "its result is not a file"),
        ("(place / 'result.json').mkdir()", "its result is not a file"),
        (
            "(place / 'stderr.log').write_text('so\\nit broke\\n'); raise SystemExit(1)",
            "it exited with status 1, saying: it broke",
        ),
    ],
)
async def test_failure_becomes_one_plain_clause(
    tmp_path: Path, task: ShadowTask, code: str, fault: str
) -> None:
    end = await run(worker(tmp_path, code), task)
    assert end.payload is None
    assert end.fault.startswith(fault)


async def test_result_that_is_no_result_is_not_read(
    tmp_path: Path, task: ShadowTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "RESULT_LIMIT_BYTES", 1000)
    end = await run(worker(tmp_path, "(place / 'result.json').write_bytes(bytes(1001))"), task)
    assert end.payload is None
    assert "too long" in end.fault


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(600)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
        # a child that has left the group, and ignores what can be ignored
        "if os.fork() == 0:\n    os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "time.sleep(600)",
        # processes that make processes
        "for _ in range(6):\n    os.fork()\ntime.sleep(600)",
        "while True:\n    os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)",
    ],
    ids=["hang", "deaf", "escaped", "fork bomb", "flood"],
)
async def test_deadline_ends_it_with_all_its_descendants(
    tmp_path: Path, task: ShadowTask, code: str
) -> None:
    started_s = time.monotonic()
    end = await run(worker(tmp_path, code), task, deadline_s=1.5)
    assert end.timed_out
    assert end.payload is None
    assert not list(relatives(task))
    assert time.monotonic() - started_s < 60


async def test_what_it_leaves_running_goes_with_it(tmp_path: Path, task: ShadowTask) -> None:
    code = (
        "if os.fork() == 0:\n    os.setsid(); os.close(1); os.close(2); time.sleep(600)\n"
        "(place / 'result.json').write_text('{}')"
    )
    end = await run(worker(tmp_path, code), task)
    assert end.payload == b"{}"
    assert not list(relatives(task))


async def test_changed_or_missing_files_are_named(tmp_path: Path, task: ShadowTask) -> None:
    candidate = worker(tmp_path, "")
    assert await candidate.changed(task) == ""
    os.utime(task.source, ns=(1, 1))
    assert await candidate.changed(task) == f"{task.source} has changed since."
    task.output.unlink()
    assert str(task.output) in await candidate.changed(task)


async def test_full_disk_is_told_before_anything_runs(tmp_path: Path, task: ShadowTask) -> None:
    from drapto.core.routing import RoutedStage

    greedy = task.model_copy(update={"stage": RoutedStage.ENCODING, "output_size_bytes": 1 << 60})
    with pytest.raises(ResourceError, match="free"):
        async with worker(tmp_path, "").place(greedy):
            pass


async def test_nothing_escapes_by_leaving_group_session_and_environment(
    tmp_path: Path, task: ShadowTask
) -> None:
    note = tmp_path / "escaped"
    code = (
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        Path({str(note)!r}).write_text(str(os.getpid()))\n"
        "        os.execve('/bin/sleep', ['sleep', '602'], {})\n"
        "    os._exit(0)\n"
        f"while not Path({str(note)!r}).exists() or not Path({str(note)!r}).read_text():\n"
        "    time.sleep(0.01)\n"
        "time.sleep(0.1)\n"
        "(place / 'result.json').write_text('{}')"
    )
    end = await run(worker(tmp_path, code), task)
    assert end.payload == b"{}"
    assert not psutil.pid_exists(int(note.read_text()))


_PROGRAM = """
import sys, anyio
from pathlib import Path
from drapto.core.json_text import loads
from drapto.core.shadow_task import ShadowTask
from drapto.infrastructure.candidates import ProcessCandidates

async def main(base, task, worker):
    candidates = ProcessCandidates({}, Path(base), worker=(sys.executable, worker))
    task = ShadowTask.model_validate(loads(Path(task).read_bytes()))
    async with candidates.place(task) as place:
        await candidates.run("run", task, place, deadline_s=600)

anyio.run(main, *sys.argv[1:])
"""


def test_nothing_of_it_outlives_a_killed_program(tmp_path: Path, task: ShadowTask) -> None:
    """Not even what a script of the candidate has started, which asked for no such thing."""
    note = tmp_path / "pid"
    worker(tmp_path, f"os.system('sleep 603 & echo $! > {note}; wait')")
    (tmp_path / "task.json").write_text(dumps(task))
    argv = [sys.executable, "-c", _PROGRAM, str(tmp_path / "shadow"), str(tmp_path / "task.json")]
    program = subprocess.Popen([*argv, str(tmp_path / "worker.py")])
    wait_until(lambda: note.exists() and note.read_text().strip() != "")
    program.kill()
    program.wait()
    wait_until(lambda: not psutil.pid_exists(int(note.read_text())))
    wait_until(lambda: not list(relatives(task)))
    assert not psutil.pid_exists(int(note.read_text()))


async def test_next_run_removes_what_a_killed_program_left(
    tmp_path: Path, task: ShadowTask
) -> None:
    base = tmp_path / "shadow"
    left = base / f"run-{os.getpid()}-abcdefgh"  # containers give out the same number again
    left.mkdir(parents=True)
    candidate = worker(tmp_path, "")
    async with candidate.place(task) as place, candidate.place(task) as second:
        assert not left.exists()
        assert place.is_dir()
        assert second.is_dir()


async def test_measuring_is_not_led_astray_by_what_the_candidate_left(
    tmp_path: Path, task: ShadowTask
) -> None:
    """The second process writes to files of the same names as the first."""
    code = (
        "if sys.argv[1] == 'run':\n"
        "    for name in ('stderr.log', 'task.json'):\n"
        "        (place / name).unlink(missing_ok=True)\n"
        f"        (place / name).symlink_to({str(task.source)!r})\n"
        "(place / 'stderr.log').open('ab').write(b'')\n"
        "if sys.argv[1] == 'measure':\n"
        "    (place / 'stderr.log').open('wb').close()\n"
        "(place / 'result.json').write_text('{}')"
    )
    candidate = worker(tmp_path, code)
    async with candidate.place(task) as place:
        for verb in ("run", "measure"):
            end = await candidate.run(verb, task, place, deadline_s=30)
            assert end.payload == b"{}"
    assert task.source.read_bytes() == b"source"
