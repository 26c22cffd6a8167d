"""The Python API: what the command line, and any other program, calls.

    async with Drapto() as d:
        result = await d.encode("in.mkv", "out.mkv", crf=30)

    async with Drapto() as d, d.start("in.mkv", "out.mkv") as run:
        async for event in run.events():
            ...
        result = await run.result()

Cancelling the scope around a call cancels the job: children are gone and the journal is flushed
before the call returns, and the same call later goes on from there. Errors: the tree of
`drapto.core.errors`. Keyword overrides are the fields of `EncodeOptions` and `RunOptions`; a name
or a value that is not one of theirs is a UsageError.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio
from pydantic import ValidationError

from drapto.core.analysis import VideoAnalysis
from drapto.core.comparison import Comparison
from drapto.core.deinterlacing import DeinterlaceChoice
from drapto.core.errors import UsageError, one_error
from drapto.core.events import PlanReady
from drapto.core.interfaces import EventSink
from drapto.core.job import EncodeOptions, EncodeResult, JobRequest, RunOptions
from drapto.core.media import CropRect, FrameIndex, MediaInfo
from drapto.core.offline import OfflineComparison
from drapto.core.routing import RoutedStage
from drapto.core.segments import Segment
from drapto.core.shadow_report import ShadowReport
from drapto.core.source import SourceVideo
from drapto.infrastructure.settings import Settings
from drapto.infrastructure.settings_file import did_you_mean
from drapto.run import Run

if TYPE_CHECKING:
    from drapto.bootstrap.services import Services
    from drapto.core.doctor import DoctorLine
    from drapto.core.estimate import Estimate
    from drapto.core.quality import Metric
    from drapto.core.verification import Verification

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
        from drapto.bootstrap.services import open_services

        if self._services is not None:
            raise UsageError("This Drapto is open already.", hint="Share it, or make a second one.")
        self._services = await self._stack.enter_async_context(
            open_services(self._settings, self._sinks)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._services = None
        await self._stack.__aexit__(kind, error, traceback)

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

    @property
    def shadows_waiting(self) -> int:
        """Shadow runs of finished jobs that have not been run yet."""
        return self._open.shadows_waiting

    async def run_shadows(self) -> tuple[Comparison, ...]:
        """Run what waits, one after the other, and say what became of each.

        The end of the `async with` block does it too. Cancelling drops what is left; the
        outputs are in their places and stay as they are.
        """
        return await self._open.run_shadows()

    async def detach_shadows(self) -> None:
        """Leave what waits to a process of its own, which outlives this one."""
        await self._open.detach_shadows()

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
        """Encode one file in the background of the `async with` block, which cancels it if left.

        An error that nobody asked for with `Run.result` is raised at the end of the block.
        """
        request = self._request(source, output, options, run, overrides)
        started = Run(request.source)
        with one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(started._drive, self._open, request, self._sinks)
                yield started
                group.cancel_scope.cancel()
        started._raise_unseen()

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

    async def estimate(
        self,
        source: AnyPath,
        *,
        options: EncodeOptions | None = None,
        run: RunOptions | None = None,
        windows: int | None = None,
        sheet: AnyPath | None = None,
        **overrides: Any,
    ) -> Estimate:
        """What `encode` into a Matroska file would come to, from a few windows of the film.

        `windows`: how many; by default 8 to 24, by the film's length. `sheet`: a PNG to write, of
        stills with the crop drawn in. Errors: as `encode`'s, and UsageError for another `sheet`.
        """
        if windows is not None and windows < 1:
            raise UsageError(f"Nothing can be said of a film from {windows} windows of it.")
        if sheet is not None and Path(sheet).suffix.lower() != ".png":
            raise UsageError(f"The contact sheet {sheet} is no .png file.")
        path = _absolute(source)
        request = self._request(path, path.with_suffix(".mkv"), options, run, overrides)
        out = None if sheet is None else _absolute(sheet)
        return await self._open.estimate(request, windows=windows, sheet=out)

    async def analyze(self, source: AnyPath, options: EncodeOptions | None = None) -> Analysis:
        """Probe, detect and plan segments, without writing anything. Errors: InputError."""
        options = options or self._settings.encode_options()
        return Analysis(*await self._open.analyze(_absolute(source), options))

    async def probe(self, source: AnyPath) -> tuple[MediaInfo, FrameIndex | None]:
        """Streams and, if there is video, its frame index. Errors: InputError."""
        return await self._open.probe(_absolute(source))

    async def compare(
        self,
        source: AnyPath,
        options: EncodeOptions | None = None,
        *,
        stages: Sequence[RoutedStage] = tuple(RoutedStage),
        repeat: int = 1,
        keep: bool = False,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> OfflineComparison:
        """Run both sides of stages on one file, in an order drawn by chance, and compare them.

        Nothing is published. `keep` puts the comparisons into the store of shadow runs, where
        they count like those of shadow runs; `tell` hears what is under way. Errors: InputError,
        UsageError, MissingToolError, ResourceError; DraptoError if a stage has no result that
        the next one could work on. A side that fails is an outcome, not an error.
        """
        if repeat < 1:
            raise UsageError(f"Something compared {repeat} times is not compared.")
        return await self._open.compare(
            _absolute(source),
            options or self._settings.encode_options(),
            stages=stages,
            repeat=repeat,
            keep=keep,
            tell=tell,
        )

    async def shadow_report(
        self,
        stages: Sequence[RoutedStage] = tuple(RoutedStage),
        *,
        since: datetime | None = None,
    ) -> ShadowReport:
        """What the shadow runs so far come to. Needs no `async with`.

        Errors: UsageError (flags file), StateError."""
        from drapto.bootstrap.reporting import report_shadows

        return await report_shadows(self._settings, stages, since)

    async def comparison(self, id: str) -> Comparison:
        """A stored comparison; the beginning of its id is enough. Needs no `async with`.

        Errors: UsageError if there is none, or more than one; StateError."""
        from drapto.bootstrap.reporting import find_comparison

        return await find_comparison(self._settings, id)

    async def verify(
        self,
        source: AnyPath,
        output: AnyPath,
        *,
        metric: Metric | None = None,
        every_frame: bool = False,
        neg: bool = False,
        crop: Literal["auto", "off"] | CropRect = "auto",
        deinterlace: DeinterlaceChoice = "auto",
        video_stream: int | None = None,
        on_frames: Callable[[int], None] = lambda _frames: None,
    ) -> Verification:
        """How good `output` is against `source`, whoever made it. Needs no `async with`.

        `auto` is what Drapto did to this very output; nothing of the kind where it did not make
        it. `metric` None: VMAF, for HDR XPSNR. `on_frames` hears how many have been compared.
        Errors: InputError if they do not have the same frames and picture, UsageError,
        MissingToolError, ProcessFailedError, ResourceError.
        """
        from drapto.bootstrap.verifying import verify
        from drapto.core.verification import VerifyOptions

        try:
            options = VerifyOptions(
                metric=metric,
                every_frame=every_frame,
                neg=neg,
                crop=crop,
                deinterlace=deinterlace,
                video_stream=video_stream,
            )
        except ValidationError as error:
            wrong = error.errors()[0]
            raise UsageError(f"'{wrong['loc'][0]}' of verify: {wrong['msg']}.") from error
        paths = _absolute(source), _absolute(output)
        return await verify(self._settings, *paths, options, on_frames)

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
        known = {*EncodeOptions.model_fields, *RunOptions.model_fields}
        for name in overrides:
            if name not in known:
                raise UsageError(
                    f"There is no option '{name}'.", hint=did_you_mean(name, sorted(known))
                )
        for_options = {k: v for k, v in overrides.items() if k in EncodeOptions.model_fields}
        for_run = {k: v for k, v in overrides.items() if k in RunOptions.model_fields}
        return JobRequest(
            source=Path(source),
            output=Path(output),
            options=self._settings.encode_options(**{**dict(options or {}), **for_options}),
            run=self._settings.run_options(**{**dict(run or {}), **for_run}),
        )


def _absolute(path: AnyPath) -> Path:
    return Path(path).absolute()


def encode(
    source: AnyPath, output: AnyPath, *, settings: Settings | None = None, **overrides: Any
) -> EncodeResult:
    """Encode one file and wait for it, for scripts. Not inside a running event loop: UsageError.

    Example: `drapto.encode("in.mkv", "out.mkv", crf=30, preset=8)`.
    """

    async def run() -> EncodeResult:
        async with Drapto(settings) as service:
            return await service.encode(source, output, **overrides)

    if _loop_is_running():
        raise UsageError(
            "drapto.encode starts an event loop of its own, and one is running here already.",
            hint="Use 'async with Drapto() as d: await d.encode(...)' instead.",
        )
    return anyio.run(run)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
