"""The priority of a session: Linux shares cores between sessions before it looks at the nice value
of a process (sched(7), 'The autogroup feature'), and every child is a session of its own.

Tests: tests/infrastructure/test_process.py.
"""

from __future__ import annotations

from pathlib import Path

import anyio

# Without CAP_SYS_ADMIN the kernel changes one session every 0.1 s and refuses it to the others
# (proc_sched_autogroup_set_nice). So fifty children can start at once; that many is a choice.
_TRIES = 100
_RETRY_S = 0.05


def lower_session(process: int | str, nice: int) -> bool:
    """Give the session of a process ('self' too) this nice value. False: try it again later."""
    session = Path("/proc", str(process), "autogroup")
    try:
        if session.read_text().split()[-1] != str(nice):
            session.write_text(str(nice))
    except BlockingIOError:
        return False
    except OSError:  # it has ended, or the kernel knows no such thing
        return True
    return True


async def keep_lowering(pid: int, nice: int) -> None:
    """Until it holds. For a child that could not do it itself before it began."""
    for _ in range(_TRIES):
        if lower_session(pid, nice):
            return
        await anyio.sleep(_RETRY_S)
