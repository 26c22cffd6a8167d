"""One encode in the background of a program that uses Drapto: `Drapto.start` makes it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from drapto.core.errors import UsageError
from drapto.core.events import Event, SegmentProgress, StageProgress
from drapto.core.interfaces import EventSink
from drapto.core.job import EncodeResult, JobRequest

if TYPE_CHECKING:
    from drapto.bootstrap.services import Services


class Run:
    """One encode under way: its events as they happen, and its result. `Drapto.start` makes it."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._past: list[Event] = []  # without progress, of which there is no end in a long film
        self._listeners: list[deque[Event]] = []
        self._changed = anyio.Event()
        self._over = False
        self._result: EncodeResult | None = None
        self._error: Exception | None = None
        self._is_seen = False  # whether somebody was told the error

    async def events(self) -> AsyncIterator[Event]:
        """Every event since the start, in order; ends with the job.

        Any number of consumers see them all; one that begins late gets what was before it
        without `stage_progress` and `segment_progress`.
        """
        waiting = deque(self._past)
        self._listeners.append(waiting)
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                if self._over:
                    return
                await self._changed.wait()
        finally:
            self._listeners = [other for other in self._listeners if other is not waiting]

    async def result(self) -> EncodeResult:
        """Wait for the end. Raises what `Drapto.encode` would raise.

        Errors besides: UsageError if the `async with` block was left before the job had ended.
        """
        while not self._over:
            await self._changed.wait()
        if self._error is not None:
            self._is_seen = True
            raise self._error
        if self._result is None:
            raise UsageError(
                f"The encode of {self._source} was stopped before its end, so it has no result.",
                hint="Ask for the result inside the 'async with' block of 'start'.",
            )
        return self._result

    def emit(self, event: Event) -> None:
        """Take an event from any thread (EventSink)."""
        self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: Event) -> None:
        if not isinstance(event, StageProgress | SegmentProgress):
            self._past.append(event)
        for waiting in self._listeners:
            waiting.append(event)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def _drive(
        self, services: Services, request: JobRequest, sinks: Sequence[EventSink]
    ) -> None:
        try:
            self._result = await services.encode(request, (*sinks, self))
        except Exception as error:
            self._error = error
        finally:
            # After the events that other threads have already handed to the loop.
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._over = True
        self._wake()

    def _raise_unseen(self) -> None:
        if self._error is not None and not self._is_seen:
            raise self._error
