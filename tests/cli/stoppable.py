"""A program around `cli.runtime`, for tests that send it signals or close its stdout.

python -m tests.cli.stoppable wait | stubborn | lines | fail | done
"""

from __future__ import annotations

import atexit
import sys

import anyio

from cli.runtime import StdoutLines, Stop, run_command


async def wait(stop: Stop) -> int:
    """Until it is stopped."""
    print("ready", flush=True)
    await anyio.sleep_forever()
    return 0


async def stubborn(stop: Stop) -> int:
    """Takes its time to stop: until a line comes on stdin."""
    print("ready", flush=True)
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            print("stopping", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.readline)
    return 0


async def lines(stop: Stop) -> int:
    """Writes for ever."""
    write = StdoutLines(stop)
    while True:
        write("x" * 1000)
        await anyio.sleep(0)


async def fail(stop: Stop) -> int:
    """What is being ended by a signal fails for that reason only."""
    print("ready", flush=True)
    try:
        await anyio.sleep_forever()
    finally:
        raise RuntimeError("a child was killed")


async def done(stop: Stop) -> int:
    """Ends at once with 7; the process lingers, on its way out, until a line comes on stdin."""
    atexit.register(sys.stdin.readline)
    atexit.register(print, "leaving", flush=True)
    return 7


if __name__ == "__main__":
    bodies = {"wait": wait, "stubborn": stubborn, "lines": lines, "fail": fail, "done": done}
    sys.exit(run_command(bodies[sys.argv[1]]))
