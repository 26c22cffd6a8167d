"""What `drapto.api` calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from drapto.bootstrap.stages import make_workshop, new_stages
from drapto.core.analysis import VideoAnalysis
from drapto.core.doctor import DoctorLine
from drapto.core.errors import MissingToolError
from drapto.core.events import Event, PlanReady
from drapto.core.interfaces import EventSink, SourceVideo
from drapto.core.job import EncodeOptions, EncodeResult, JobRequest
from drapto.core.media import FrameIndex, MediaInfo
from drapto.core.segments import Segment
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary, find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.machine import available_memory_bytes, cpu_cores
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.encoding.registry import ENCODERS, encoder_named
from drapto.services.orchestrator import VideoOrchestrator
from drapto.services.stages import FixedStages


class Services:
    """Looks for ffmpeg only when something needs it."""

    def __init__(self, settings: Settings, resources: ResourceManager) -> None:
        self._settings = settings
        self._resources = resources
        self._orchestrator: VideoOrchestrator | None = None

    async def encode(self, request: JobRequest, sinks: Sequence[EventSink]) -> EncodeResult:
        orchestrator = await self._ready()
        needed_encoder(request.options, self._binary)
        return await orchestrator.encode(request, _Everyone(sinks))

    async def plan(self, request: JobRequest, sinks: Sequence[EventSink]) -> PlanReady:
        orchestrator = await self._ready()
        needed_encoder(request.options, self._binary)
        return await orchestrator.plan(request, _Everyone(sinks))

    async def analyze(
        self, source: Path, options: EncodeOptions
    ) -> tuple[VideoAnalysis, SourceVideo, tuple[Segment, ...]]:
        return await (await self._ready()).analyze(source, options)

    async def probe(self, source: Path) -> tuple[MediaInfo, FrameIndex | None]:
        return await (await self._ready()).probe(source)

    async def doctor(self) -> tuple[DoctorLine, ...]:
        from drapto.infrastructure import doctor

        places = [self._settings.work_dir or Path.cwd()]
        return await doctor.collect(
            ffmpeg=self._settings.ffmpeg, encoders=ENCODERS.values(), places=places
        )

    async def _ready(self) -> VideoOrchestrator:
        if self._orchestrator is None:
            self._binary = await inspect_ffmpeg(find_ffmpeg(self._settings.ffmpeg))
            settings, binary, resources = self._settings, self._binary, self._resources
            self._orchestrator = VideoOrchestrator(
                make_workshop(settings, binary, resources, settings.state_dir),
                FixedStages(new_stages(binary, resources)),
            )
        return self._orchestrator


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """The services, and at the end the count of what they left behind."""
    cores = cpu_cores()
    memory_gib = settings.memory_gib
    memory = available_memory_bytes() if memory_gib is None else round(memory_gib * 1024**3)
    resources = ResourceManager(cpu_slots=cores, memory_bytes=memory)
    try:
        yield Services(settings, resources)
    finally:
        with anyio.CancelScope(shield=True):
            await resources.close()


def needed_encoder(options: EncodeOptions, binary: FfmpegBinary) -> None:
    """Errors: MissingToolError if this ffmpeg lacks the encoder; UsageError for an unknown one."""
    encoder = encoder_named(options.encoder)
    needed = [encoder.ffmpeg_encoder, *(["libopus"] if options.audio == "opus" else [])]
    for name in needed:
        if name not in binary.encoders:
            raise MissingToolError(
                f"The ffmpeg program {binary.path} (version {binary.version}) has no {name} "
                "encoder.",
                hint="Unset DRAPTO_FFMPEG to use the bundled one, or choose another --encoder.",
            )


class _Everyone:
    """One sink that hands every event to all."""

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = tuple(sinks)

    def emit(self, event: Event) -> None:
        for sink in self._sinks:
            sink.emit(event)
