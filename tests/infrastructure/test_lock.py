"""The job's lock between real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drapto.core.errors import JobLockedError, PublishError
from drapto.infrastructure.lock import JobLock
from drapto.infrastructure.work_dir import WorkDir

HOLDER = """
import sys
from pathlib import Path
from drapto.infrastructure.lock import JobLock
with JobLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"held\n"
        yield child
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait()


def test_a_second_process_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as child:
        lock = JobLock(path)
        with pytest.raises(JobLockedError, match=f"Process {child.pid} already works on this job"):
            lock.acquire()
        assert not lock.is_held
    with JobLock(path) as lock:
        assert lock.is_held


def test_a_killed_holder_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        with JobLock(path) as lock:
            assert lock.is_held
    assert path.read_text().split()[0] == str(os.getpid())


def test_a_second_job_of_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with (
        JobLock(tmp_path / "lock"),
        pytest.raises(JobLockedError, match=f"Process {os.getpid()}"),
    ):
        JobLock(tmp_path / "lock").acquire()


def test_a_child_of_the_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with JobLock(path):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    with JobLock(path) as again:
        assert again.is_held
    child.communicate()


def test_a_lock_file_removed_and_made_again_is_locked_anew(tmp_path: Path) -> None:
    """The holder removes file and directory just as another process has opened the file."""
    folder = tmp_path / "work"
    folder.mkdir()
    first = JobLock(folder / "lock")
    first.acquire()
    (folder / "lock").unlink()
    folder.rmdir()
    attempts = []

    def prepare() -> None:
        attempts.append(1)
        folder.mkdir(exist_ok=True)

    second = JobLock(folder / "lock", prepare)
    second.acquire()
    with pytest.raises(JobLockedError):
        JobLock(folder / "lock").acquire()
    first.release()
    with pytest.raises(JobLockedError):
        JobLock(folder / "lock").acquire()
    second.release()
    assert attempts == [1]


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    path = tmp_path / "lock"
    really = fcntl.flock
    seen: list[int] = []

    def remove_then_lock(descriptor: int, operation: int) -> None:
        if not seen:
            path.unlink()
            if os.environ.get("REPLACE"):
                path.touch()
        seen.append(descriptor)
        really(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    with JobLock(path):
        assert len(seen) == 2
    monkeypatch.setenv("REPLACE", "1")
    seen.clear()
    with JobLock(path):
        assert len(seen) == 2


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        JobLock(tmp_path / "lock").acquire()
    assert (tmp_path / "other").read_text() == "mine"


# Takes, checks that it is alone, and removes the work directory, over and over.
CONTENDER = """
import os, sys
from pathlib import Path
from drapto.core.errors import JobLockedError
from drapto.infrastructure.work_dir import WorkDir
output, alone, turns = Path(sys.argv[1]), sys.argv[2], 0
while turns < 60:
    try:
        with WorkDir.for_output(output).locked() as work:
            os.close(os.open(alone, os.O_CREAT | os.O_EXCL))
            (work.segments / "00000.mkv").write_bytes(b"x")
            os.unlink(alone)
            assert work.remove() == (), work.path
            turns += 1
    except JobLockedError:
        pass
"""


def test_processes_that_take_and_remove_a_work_directory_never_meet_in_it(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "out.mkv"), str(tmp_path / "alone")]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, *arguments], stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], said
    assert list(tmp_path.iterdir()) == []


def test_a_job_is_refused_while_another_process_holds_its_work_directory(tmp_path: Path) -> None:
    work = WorkDir.for_output(tmp_path / "out.mkv")
    work.create()
    with (
        holder(work.path / "lock") as child,
        pytest.raises(JobLockedError, match=str(child.pid)),
        work.locked(),
    ):
        pass
    with work.locked():
        assert work.temp.is_dir()


def test_errors_of_the_lock_file_reach_the_user_in_words(tmp_path: Path) -> None:
    work = WorkDir.for_output(tmp_path / "out.mkv")
    work.create()
    (work.path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PublishError, match="cannot be made"), work.locked():
        pass
    assert not (tmp_path / "elsewhere").exists()
