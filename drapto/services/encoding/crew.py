"""How many encoders run at once: as many as were planned, until memory runs out.

    crew = Crew(4)
    async with crew.place() as size:
        …                              # an encoder dies for want of memory
    crew.too_big(size)                 # from now on two

Test: tests/services/encoding/test_crew.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Crew:
    """All of it on one event loop."""

    def __init__(self, size: int) -> None:
        self._places = anyio.CapacityLimiter(size)

    @property
    def size(self) -> int:
        return int(self._places.total_tokens)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[int]:
        """Wait for a place and hold it. Gives the size of the crew that the encoder began in."""
        async with self._places:
            yield self.size

    def too_big(self, size: int) -> bool:
        """Go on with half of so many. False if one encoder alone was too many already.

        Encoders that began in a bigger crew than there is now die for what has been mended
        already: for them nothing changes.
        """
        if size == 1:
            return False
        self._places.total_tokens = min(self.size, max(1, size // 2))
        return True
