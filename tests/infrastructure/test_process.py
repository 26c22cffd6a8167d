"""The promises of infrastructure/process.py, with real children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
import pytest

from drapto.core.errors import MissingToolError, ProcessFailedError
from drapto.infrastructure import pipes, process
from drapto.infrastructure.process import run_process


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *args]


async def gone(pid: int) -> bool:
    """Wait until no live process has this pid: a killed grandchild is reaped by init."""
    with anyio.move_on_after(10):
        while True:
            try:
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
            await anyio.sleep(0.01)
    return False


async def test_result_holds_what_the_child_printed_and_used() -> None:
    result = await run_process(
        python(
            "import sys; b = bytearray(60_000_000); print('out'); print('err', file=sys.stderr)"
        ),
        what="Trying",
    )
    assert result.returncode == 0
    assert result.stdout == b"out\n"
    assert result.stderr_tail == "err\n"
    assert result.peak_rss_bytes > 60_000_000
    assert result.cpu_s > 0


@pytest.mark.parametrize(
    "start",
    ["await run_process(['true'], what='Trying it')", "start_detached(['true'])"],
    ids=["waited for", "detached"],
)
def test_start_without_a_free_file_names_the_limit_and_blames_no_program(start: str) -> None:
    code = f"""
        import contextlib, os, resource
        import anyio
        from drapto.core.errors import ResourceError
        from drapto.infrastructure.process import run_process, start_detached

        async def start():
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
            with contextlib.suppress(OSError):
                while True:
                    os.open("/", os.O_RDONLY)
            {start}

        try:
            anyio.run(start)
        except ResourceError as error:
            print(error)
        """
    said = subprocess.run(python(code), capture_output=True, text=True, check=True).stdout
    assert "(Too many open files)" in said
    assert "ulimit -n" in said


async def test_failure_shows_command_status_and_last_words() -> None:
    with pytest.raises(ProcessFailedError) as caught:
        await run_process(
            python("import sys; print('no such \\'thing\\'', file=sys.stderr); sys.exit(7)"),
            what="Trying it",
        )
    message = str(caught.value)
    assert message.startswith("Trying it: ")
    assert "exited with status 7" in message
    assert "no such 'thing'" in message
    assert sys.executable in message


async def test_killed_child_is_named_with_its_signal() -> None:
    with pytest.raises(ProcessFailedError, match="killed by signal 9"):
        await run_process(python("import os; os.kill(os.getpid(), 9)"), what="Trying")


async def test_only_the_tail_of_a_flood_on_stderr_is_kept() -> None:
    result = await run_process(
        python("import sys\nfor i in range(200_000): print('line', i, file=sys.stderr)"),
        what="Trying",
    )
    assert len(result.stderr_tail) <= pipes.STDERR_TAIL_BYTES
    assert result.stderr_tail.endswith("line 199999\n")


async def test_lines_end_at_newline_or_carriage_return_and_a_cut_line_is_kept() -> None:
    lines: list[str] = []
    await run_process(
        python("import sys; sys.stdout.write('a\\rb\\n\\nc')"),
        what="Trying",
        on_stdout_line=lines.append,
    )
    assert lines == ["a", "b", "c"]


async def test_missing_program_is_a_missing_tool() -> None:
    with pytest.raises(MissingToolError, match="no-such-program"):
        await run_process(["/nowhere/no-such-program"], what="Trying")


async def test_deadline_ends_a_child_that_ignores_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TERMINATE_GRACE_S", 0.1)
    pids: list[int] = []
    with pytest.raises(ProcessFailedError, match="ran past its deadline"):
        await run_process(
            python(
                """
                import os, signal, time
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                print(os.getpid(), flush=True)
                time.sleep(600)
                """
            ),
            what="Trying",
            deadline_s=2,
            on_stdout_line=lambda line: pids.append(int(line)),
        )
    assert await gone(pids[0])


async def test_stopped_child_does_not_survive_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "TERMINATE_GRACE_S", 0.1)
    pids: list[int] = []

    def stop_and_cancel(line: str) -> None:
        pids.append(int(line))
        os.kill(pids[0], signal.SIGSTOP)
        scope.cancel()

    with anyio.CancelScope() as scope:
        await run_process(
            python("import os, time; print(os.getpid(), flush=True); time.sleep(600)"),
            what="Trying",
            on_stdout_line=stop_and_cancel,
        )
    assert scope.cancelled_caught
    assert await gone(pids[0])


UNKILLABLE = """
    import ctypes, os, sys, time
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER: anyone
    print(os.getpid(), flush=True)
    time.sleep(600)
"""
HOLDER = """
    import ctypes, os, sys
    libc = ctypes.CDLL(None)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    # PTRACE_SEIZE with PTRACE_O_TRACEEXIT: its exit waits for us, whatever kills it
    print(libc.ptrace(0x4206, int(sys.argv[1]), None, 0x40), flush=True)
    sys.stdin.read()
"""


class HeldInTheKernel:
    """A child whose end is held up there, as by a disk that does not answer."""

    def __init__(self) -> None:
        self.pid = 0
        self._holder: subprocess.Popen[bytes] | None = None

    def hold(self, line: str) -> None:
        self.pid = int(line)
        command = python(HOLDER, line)
        ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._holder = subprocess.Popen(command, **ends)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline().strip() != b"0":
            pytest.skip("no process may hold another one here")

    def let_go(self) -> None:
        if self._holder is not None:
            self._holder.communicate()
            os.waitpid(self.pid, 0)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldInTheKernel]:
    monkeypatch.setattr(process, "TERMINATE_GRACE_S", 0.1)
    monkeypatch.setattr(process, "KILL_GRACE_S", 0.5, raising=False)
    held = HeldInTheKernel()
    yield held
    held.let_go()


async def test_killed_child_that_does_not_end_is_an_error(held: HeldInTheKernel) -> None:
    with anyio.fail_after(10), pytest.raises(ProcessFailedError, match="was killed and has not en"):
        await run_process(python(UNKILLABLE), what="Trying", deadline_s=3, on_stdout_line=held.hold)
    assert psutil.Process(held.pid).is_running()
    assert held.pid in [child.pid for child in psutil.Process().children()]  # for the leak report


async def test_killed_child_that_does_not_end_does_not_hold_up_cancellation(
    held: HeldInTheKernel,
) -> None:
    def hold_and_cancel(line: str) -> None:
        held.hold(line)
        scope.cancel()

    with anyio.CancelScope() as scope:
        await run_process(python(UNKILLABLE), what="Trying", on_stdout_line=hold_and_cancel)
    assert scope.cancelled_caught
    assert psutil.Process(held.pid).is_running()


async def test_cancellation_takes_the_whole_process_group() -> None:
    pids: list[int] = []

    def note(line: str) -> None:
        pids.append(int(line))
        if len(pids) == 2:
            scope.cancel()

    with anyio.CancelScope() as scope:
        await run_process(
            python(
                """
                import os, subprocess, sys, time
                print(os.getpid(), flush=True)
                subprocess.Popen([sys.executable, "-c",
                    "import os, time; print(os.getpid(), flush=True); time.sleep(600)"])
                time.sleep(600)
                """
            ),
            what="Trying",
            on_stdout_line=note,
        )
    assert await gone(pids[0])
    assert await gone(pids[1])


async def test_child_that_leaves_a_grandchild_behind_leaves_nothing() -> None:
    result = await run_process(
        python(
            """
            import subprocess, sys
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(child.pid, flush=True)
            """
        ),
        what="Trying",
    )
    assert await gone(int(result.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux only")
def test_child_dies_with_a_parent_that_is_killed() -> None:
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        python(
            """
            import anyio, sys
            from drapto.infrastructure.process import run_process
            child = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
            anyio.run(lambda: run_process([sys.executable, "-c", child], what="Trying",
                on_stdout_line=lambda line: print(line, flush=True)))
            """
        ),
        stdout=subprocess.PIPE,
        cwd=root,
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        parent.wait()
    assert anyio.run(gone, pid)


async def test_nice_lowers_the_priority_of_the_child_and_of_its_session() -> None:
    result = await run_process(
        python(
            """
            import os, pathlib
            group = pathlib.Path("/proc/self/autogroup")
            print(os.nice(0), group.read_text().split()[-1] if group.exists() else "7")
            """
        ),
        what="Trying",
        nice=7,
    )
    assert result.stdout.split() == [b"7", b"7"]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="no such kernel")
def test_children_that_start_together_all_get_their_priority() -> None:
    """Without CAP_SYS_ADMIN the kernel changes one session every 0.1 s and refuses the others."""
    root = Path(__file__).parents[2]
    plain = subprocess.run(
        python(
            """
            import anyio, ctypes, os, sys
            from drapto.infrastructure.process import run_process
            head = (ctypes.c_uint32 * 2)(0x20080522, 0)  # capset(2), version 3: none of them
            assert ctypes.CDLL(None).capset(head, (ctypes.c_uint32 * 6)()) == 0
            child = "import time; time.sleep(1); print(open('/proc/self/autogroup').read())"
            async def start():
                result = await run_process([sys.executable, "-c", child], what="Trying", nice=7)
                print(result.stdout.split()[-1].decode())
            async def start_all():
                async with anyio.create_task_group() as group:
                    for _ in range(4):
                        group.start_soon(start)
            anyio.run(start_all)
            """
        ),
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    assert plain.stdout.split() == ["7"] * 4
