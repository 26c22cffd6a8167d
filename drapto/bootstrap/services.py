"""What `drapto.api` calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from drapto.bootstrap.rollback import make_rollback
from drapto.bootstrap.stages import legacy_stages, make_workshop, new_stages
from drapto.core.analysis import VideoAnalysis
from drapto.core.comparison import Comparison
from drapto.core.doctor import DoctorLine
from drapto.core.errors import MissingToolError
from drapto.core.events import PlanReady
from drapto.core.interfaces import EventSink
from drapto.core.job import EncodeOptions, EncodeResult, JobRequest
from drapto.core.media import FrameIndex, MediaInfo
from drapto.core.offline import OfflineComparison
from drapto.core.routing import RoutedStage
from drapto.core.segments import Segment
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary, find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.flags.opening import Flags, open_flags
from drapto.infrastructure.gpu.device import find_device
from drapto.infrastructure.machine import available_memory_bytes, cpu_cores
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.encoding.registry import ENCODERS, possible_encoders
from drapto.services.orchestrator import VideoOrchestrator
from drapto.services.reporting import Everyone
from drapto.services.rollback import RollbackManager
from drapto.services.router import StageRouter

if TYPE_CHECKING:
    from drapto.core.estimate import Estimate
    from drapto.core.shadow_task import ShadowTask
    from drapto.services.shadow import ShadowRunner


class Services:
    """Looks for ffmpeg only when something needs it."""

    def __init__(
        self, settings: Settings, resources: ResourceManager, sinks: Sequence[EventSink]
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._sinks = tuple(sinks)
        self._orchestrator: VideoOrchestrator | None = None
        self._shadows: _Shadows | None = None

    async def encode(self, request: JobRequest, sinks: Sequence[EventSink]) -> EncodeResult:
        orchestrator = await self._ready()
        needed_encoder(request.options, self._binary)
        await needed_device(self._settings)
        return await orchestrator.encode(request, Everyone(sinks))

    async def plan(self, request: JobRequest, sinks: Sequence[EventSink]) -> PlanReady:
        orchestrator = await self._ready()
        needed_encoder(request.options, self._binary)
        await needed_device(self._settings)
        return await orchestrator.plan(request, Everyone(sinks))

    async def estimate(
        self, request: JobRequest, *, windows: int | None, sheet: Path | None
    ) -> Estimate:
        from drapto.bootstrap.estimating import make_estimator

        await self._ready()
        needed_encoder(request.options, self._binary)
        estimator = make_estimator(self._settings, self._binary, self._resources, self._router)
        return await estimator.estimate(request, windows=windows, sheet=sheet)

    async def analyze(
        self, source: Path, options: EncodeOptions
    ) -> tuple[VideoAnalysis, SourceVideo, tuple[Segment, ...]]:
        await needed_device(self._settings)
        return await (await self._ready()).analyze(source, options)

    async def probe(self, source: Path) -> tuple[MediaInfo, FrameIndex | None]:
        return await (await self._ready()).probe(source)

    async def doctor(self) -> tuple[DoctorLine, ...]:
        from drapto.infrastructure import doctor

        places = [self._settings.work_dir or Path.cwd()]
        return await doctor.collect(
            ffmpeg=self._settings.ffmpeg,
            encoders=ENCODERS.values(),
            places=places,
            device=self._settings.device,
        )

    async def compare(
        self,
        source: Path,
        options: EncodeOptions,
        *,
        stages: Sequence[RoutedStage],
        repeat: int,
        keep: bool,
        tell: Callable[[str], None],
    ) -> OfflineComparison:
        from drapto.bootstrap.comparing import compare_offline

        await self._ready()
        if RoutedStage.ENCODING in stages:
            needed_encoder(options, self._binary)
        return await compare_offline(
            self._settings, self._binary, self._resources, source, options,
            stages=stages, repeat=repeat, keep=keep, tell=tell,
        )  # fmt: skip

    @property
    def shadows_waiting(self) -> int:
        runner = self._runner
        return 0 if runner is None else runner.waiting

    async def run_shadows(self) -> tuple[Comparison, ...]:
        runner = self._runner
        return () if runner is None else await runner.run_all()

    async def detach_shadows(self) -> None:
        runner = self._runner
        if runner is not None and runner.waiting:
            from drapto.bootstrap.shadowing import detach

            await anyio.to_thread.run_sync(detach, runner.take_waiting(), self._settings)

    @property
    def _runner(self) -> ShadowRunner | None:
        return None if self._shadows is None else self._shadows.runner

    async def _ready(self) -> VideoOrchestrator:
        if self._orchestrator is None:
            settings, resources = self._settings, self._resources
            self._binary = binary = await inspect_ffmpeg(find_ffmpeg(settings.ffmpeg))
            flags = await anyio.to_thread.run_sync(open_flags, settings)
            sink = Everyone(self._sinks)
            rollback = make_rollback(settings, flags, sink)
            self._shadows = _Shadows(settings, flags, rollback, sink)
            self._router = router = StageRouter(
                flags.features,
                new=new_stages(settings, binary, resources, sink),
                legacy=lambda job: legacy_stages(settings, binary, resources, job.work_dir),
                rollback=rollback,
                shadows=self._shadows,
            )
            self._orchestrator = VideoOrchestrator(
                make_workshop(settings, binary, resources, settings.state_dir), router
            )
        return self._orchestrator


class _Shadows:
    """Takes what is to be compared; what that needs is loaded and made for the first of it."""

    def __init__(
        self, settings: Settings, flags: Flags, rollback: RollbackManager, sink: EventSink
    ) -> None:
        self._settings = settings
        self._flags = flags
        self._rollback = rollback
        self._sink = sink
        self.runner: ShadowRunner | None = None

    async def submit(self, task: ShadowTask) -> None:
        if self.runner is None:
            from drapto.bootstrap.shadowing import make_runner

            self.runner = make_runner(self._settings, self._flags, self._rollback, self._sink)
        await self.runner.submit(task)


@asynccontextmanager
async def open_services(
    settings: Settings, sinks: Sequence[EventSink] = ()
) -> AsyncIterator[Services]:
    """The services. At a good end the shadow runs that still wait are run, or detached where the
    settings say so; at a bad one they are dropped. `sinks` hear of them."""
    cores = cpu_cores()
    memory_gib = settings.memory_gib
    memory = available_memory_bytes() if memory_gib is None else round(memory_gib * 1024**3)
    resources = ResourceManager(cpu_slots=cores, memory_bytes=memory)
    services = Services(settings, resources, sinks)
    try:
        yield services
        if settings.wait_shadow:
            await services.run_shadows()
        else:
            await services.detach_shadows()
    finally:
        with anyio.CancelScope(shield=True):
            await resources.close()


def needed_encoder(options: EncodeOptions, binary: FfmpegBinary) -> None:
    """Of `auto` the last resort. Errors: MissingToolError if this ffmpeg lacks the encoder;
    UsageError for an unknown one."""
    encoder = possible_encoders(options.encoder)[-1]
    needed = [encoder.ffmpeg_encoder, *(["libopus"] if options.audio == "opus" else [])]
    for name in needed:
        if name not in binary.encoders:
            raise MissingToolError(
                f"The ffmpeg program {binary.path} (version {binary.version}) has no {name} "
                "encoder.",
                hint="Unset DRAPTO_FFMPEG to use the bundled one, or choose another --encoder.",
            )


async def needed_device(settings: Settings) -> None:
    """Errors: MissingToolError if the settings name a device that cannot be used. Asked before a
    job: once it runs, legacy would stand in for a detection that fails."""
    if settings.device not in ("auto", "cpu"):
        await anyio.to_thread.run_sync(find_device, settings.device)
