"""How many encoders run at once: as many as were planned, until memory runs out.

    crew = Crew(4)
    async with crew.place() as size:
        …                              # an encoder dies for want of memory
    crew.too_big(size)                 # from now on two
    crew.acquit()                      # again as many as before, if that was only suspected

Test: tests/services/encoding/test_crew.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel


class Crew:
    """All of it on one event loop.

    Whoever waits looks again when it runs, and is counted in the same step as it learns the size:
    a place handed over at once, as a CapacityLimiter does it, would still be one of the crew that
    turns out too big just after the encoder that held it died.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._proven = size  # what memory is known to be enough for, or not known not to be
        self._inside = 0
        self._left = anyio.Event()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[int]:
        """Wait for a place and hold it. Gives the size of the crew that the encoder began in."""
        await anyio.lowlevel.checkpoint()  # those that waited before go first
        while self._inside >= self.size:
            await self._left.wait()
        self._inside += 1
        try:
            yield self.size
        finally:
            self._inside -= 1
            self._wake()

    def too_big(self, size: int, *, proven: bool = True) -> bool:
        """Go on with half of so many. False if one encoder alone was too many already.

        Not `proven`: an encoder only died as those do that get no memory.

        Encoders that began in a bigger crew than there is now die for what has been mended
        already: for them nothing changes.
        """
        if size == 1:
            return False
        self.size = min(self.size, max(1, size // 2))
        if proven:
            self._proven = min(self._proven, self.size)
        return True

    def acquit(self) -> None:
        """It was not memory: take back what was only suspected, and let in those who wait."""
        self.size = self._proven
        self._wake()

    def _wake(self) -> None:
        self._left.set()
        self._left = anyio.Event()
