"""The Python API: what the command line, and any other program, calls.

    async with Drapto() as d:
        result = await d.encode("in.mkv", "out.mkv", crf=30)

    async with Drapto() as d, d.start("in.mkv", "out.mkv") as run:
        async for event in run.events():
            ...
        result = await run.result()

Cancelling the scope around a call cancels the job: children are gone and the journal is flushed
before the call returns, and the same call later goes on from there. Errors: the tree of
`drapto.core.errors`. Keyword overrides are the fields of `EncodeOptions` and `RunOptions`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

from drapto.core.analysis import VideoAnalysis
from drapto.core.errors import UsageError, one_error
from drapto.core.events import Event, PlanReady
from drapto.core.interfaces import EventSink, SourceVideo
from drapto.core.job import EncodeOptions, EncodeResult, JobRequest, RunOptions
from drapto.core.media import FrameIndex, MediaInfo
from drapto.core.segments import Segment
from drapto.infrastructure.settings import Settings

if TYPE_CHECKING:
    from drapto.bootstrap import Services
    from drapto.core.doctor import DoctorLine

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class Analysis:
    """What detection and segmentation make of a file."""

    analysis: VideoAnalysis
    video: SourceVideo
    segments: tuple[Segment, ...]


class Drapto:
    """The service. Holds the machine's slots, so share one instance between jobs."""

    def __init__(self, settings: Settings | None = None, sinks: Sequence[EventSink] = ()) -> None:
        self._settings = settings or Settings()
        self._sinks = tuple(sinks)
        self._stack = AsyncExitStack()
        self._services: Services | None = None

    async def __aenter__(self) -> Self:
        from drapto.bootstrap import open_services

        self._services = await self._stack.enter_async_context(open_services(self._settings))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._services = None
        await self._stack.aclose()

    async def encode(
        self,
        source: AnyPath,
        output: AnyPath,
        *,
        options: EncodeOptions | None = None,
        run: RunOptions | None = None,
        **overrides: Any,
    ) -> EncodeResult:
        """Encode one file and wait for it. See the module for errors and overrides."""
        request = self._request(source, output, options, run, overrides)
        return await self._open.encode(request, self._sinks)

    @asynccontextmanager
    async def start(
        self,
        source: AnyPath,
        output: AnyPath,
        *,
        options: EncodeOptions | None = None,
        run: RunOptions | None = None,
        **overrides: Any,
    ) -> AsyncIterator[Run]:
        """Encode one file in the background of the `async with` block, which cancels it if left."""
        request = self._request(source, output, options, run, overrides)
        started = Run()
        with one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(started._drive, self._open, request, self._sinks)
                yield started
                group.cancel_scope.cancel()

    async def plan(
        self,
        source: AnyPath,
        output: AnyPath,
        *,
        options: EncodeOptions | None = None,
        run: RunOptions | None = None,
        **overrides: Any,
    ) -> PlanReady:
        """What `encode` would do: the plan, and a `command_planned` event for every command."""
        request = self._request(source, output, options, run, overrides)
        return await self._open.plan(request, self._sinks)

    async def analyze(self, source: AnyPath, options: EncodeOptions | None = None) -> Analysis:
        """Probe, detect and plan segments, without writing anything. Errors: InputError."""
        options = options or self._settings.encode_options()
        return Analysis(*await self._open.analyze(_absolute(source), options))

    async def probe(self, source: AnyPath) -> tuple[MediaInfo, FrameIndex | None]:
        """Streams and, if there is video, its frame index. Errors: InputError."""
        return await self._open.probe(_absolute(source))

    async def doctor(self) -> tuple[DoctorLine, ...]:
        """What this machine can do; never raises for what is missing."""
        return await self._open.doctor()

    @property
    def _open(self) -> Services:
        if self._services is None:
            raise UsageError("Drapto is used outside its 'async with' block.")
        return self._services

    def _request(
        self,
        source: AnyPath,
        output: AnyPath,
        options: EncodeOptions | None,
        run: RunOptions | None,
        overrides: dict[str, Any],
    ) -> JobRequest:
        for_options = {k: v for k, v in overrides.items() if k in EncodeOptions.model_fields}
        for_run = {k: v for k, v in overrides.items() if k in RunOptions.model_fields}
        unknown = overrides.keys() - for_options.keys() - for_run.keys()
        if unknown:
            raise TypeError(f"unknown option {sorted(unknown)[0]!r}")
        options = options or self._settings.encode_options()
        run = run or self._settings.run_options()
        return JobRequest(
            source=Path(source),
            output=Path(output),
            options=EncodeOptions.model_validate({**dict(options), **for_options}),
            run=RunOptions.model_validate({**dict(run), **for_run}),
        )


def _absolute(path: AnyPath) -> Path:
    return Path(path).absolute()


class Run:
    """One encode under way: its events as they happen, and its result."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event] = deque()
        self._changed = anyio.Event()
        self._over = False
        self._result: EncodeResult | None = None
        self._error: Exception | None = None

    async def events(self) -> AsyncIterator[Event]:
        """Every event since the start, in order; ends with the job."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._over:
                return
            await self._changed.wait()

    async def result(self) -> EncodeResult:
        """Wait for the end. Raises what `Drapto.encode` would raise."""
        while not self._over:
            await self._changed.wait()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def emit(self, event: Event) -> None:
        """Take an event from any thread (EventSink)."""
        self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: Event) -> None:
        self._events.append(event)
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


def encode(
    source: AnyPath, output: AnyPath, *, settings: Settings | None = None, **overrides: Any
) -> EncodeResult:
    """Encode one file and wait for it, for scripts. Not inside a running event loop.

    Example: `drapto.encode("in.mkv", "out.mkv", crf=30, preset=8)`.
    """

    async def run() -> EncodeResult:
        async with Drapto(settings) as service:
            return await service.encode(source, output, **overrides)

    return anyio.run(run)
