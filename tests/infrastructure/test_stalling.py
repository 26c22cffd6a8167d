"""A child that stands still is ended; one that is slow is not. With real children."""

from __future__ import annotations

import signal
import sys

import anyio
import psutil
import pytest

from drapto.core.errors import ProcessFailedError
from drapto.infrastructure import process
from drapto.infrastructure.process import run_process

STOPS_ITSELF = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_stopped_child_is_ended_and_that_is_said() -> None:
    with pytest.raises(ProcessFailedError, match=r"stood still for 0\.4 s") as caught:
        await run_process(python(STOPS_ITSELF), what="Trying it", stall_s=0.4)
    assert "stood still" in caught.value.brief


async def test_child_that_waits_for_a_stopped_one_is_ended_with_it() -> None:
    """As a wrapper script around ffmpeg."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STOPS_ITSELF!r}])"
    with pytest.raises(ProcessFailedError, match="stood still"):
        await run_process(python(code), what="Trying it", stall_s=0.8)
    left = psutil.process_iter(["cmdline", "status"])
    stopped = [p for p in left if p.info["status"] == psutil.STATUS_STOPPED]
    assert not [p for p in stopped if STOPS_ITSELF in " ".join(p.info["cmdline"] or ())]


async def test_child_that_works_slowly_is_waited_for() -> None:
    """It rests for longer than it works, but never for as long as is allowed."""
    work = "import time\nfor _ in range(8):\n time.sleep(0.1); sum(range(600_000))\nprint('done')"
    result = await run_process(python(work), what="Trying it", stall_s=1.0)
    assert result.stdout == b"done\n"


async def test_child_that_is_stopped_for_a_shorter_while_is_waited_for() -> None:
    """The child stops, and somebody lets it go on."""
    code = f"{STOPS_ITSELF}; print('went on')"

    async def let_go_on() -> None:
        while True:
            for child in psutil.Process().children():
                if child.status() == psutil.STATUS_STOPPED:
                    child.send_signal(signal.SIGCONT)
                    return
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        group.start_soon(let_go_on)
        result = await run_process(python(code), what="Trying it", stall_s=30)
    assert result.stdout == b"went on\n"


async def test_caller_that_is_cancelled_as_the_child_ends_gets_no_other_error() -> None:
    """The child is reaped once; its number may belong to somebody else by then."""
    for moment in range(40):
        with anyio.move_on_after(0.001 * moment) as scope:
            done = await run_process(["true"], what="Trying it", stall_s=30)
            assert done.returncode == 0
        assert scope.cancelled_caught or done.returncode == 0


async def test_without_a_limit_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    async def watched(pid: int, stall_s: float) -> None:
        raise AssertionError(f"process {pid} is watched for {stall_s} s")

    monkeypatch.setattr(process, "stands_still", watched)
    done = await run_process(["sleep", "0.1"], what="Trying it")
    assert done.returncode == 0
    with pytest.raises(BaseExceptionGroup, match="TaskGroup"):  # so it would be seen
        await run_process(["sleep", "5"], what="Trying it", stall_s=1)
