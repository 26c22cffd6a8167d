"""Detection on a device, with the CPU behind it.

`DeviceDetection` promises the analysis of the CPU, whatever the device does: where anything fails
there, the film is analysed again on the CPU, and `on_fallback` hears why. It looks for the device
when the first film comes, waits for its share of it, and learns how large that has to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread

from drapto.core.analysis import VideoAnalysis
from drapto.core.device import Device
from drapto.core.errors import UsageError
from drapto.core.interfaces import (
    DetectionService,
    FindingCallback,
    ProgressCallback,
    unheard,
)
from drapto.core.job import EncodeOptions
from drapto.core.source import SourceVideo
from drapto.infrastructure.resources import ResourceManager


def cuda_free_bytes(device: Device) -> int:
    """Memory that nobody has taken, as the driver says. Errors: RuntimeError."""
    import torch

    return int(torch.cuda.mem_get_info(device.number)[0])


@dataclass(frozen=True)
class DetectionParts:
    """What is put together for a film. `find`: which device, blocking, raises MissingToolError.
    `batch`: frames that `on_device` looks at together."""

    find: Callable[[], Device]
    on_device: Callable[[Device], DetectionService]
    on_cpu: DetectionService
    batch: int
    free_bytes: Callable[[Device], int] = cuda_free_bytes


class DeviceDetection:
    """A `DetectionService`. `on_fallback` gets the device's name and why it was left."""

    def __init__(
        self,
        parts: DetectionParts,
        resources: ResourceManager,
        on_fallback: Callable[[str, str], None],
    ) -> None:
        self._parts = parts
        self._resources = resources
        self._on_fallback = on_fallback
        self._device: Device | None = None  # not looked for yet

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        """Errors: those of detection on the CPU; MissingToolError if the settings name a device
        that is not there."""
        if self._device is None:
            self._device = await anyio.to_thread.run_sync(self._parts.find)
            self._resources.add_device(self._device.memory_bytes)
        device, on_cpu = self._device, self._parts.on_cpu
        if device.is_cpu:
            return await on_cpu.analyze(video, options, on_progress, on_finding)
        try:
            return await self._on_device(device, video, options, on_progress, on_finding)
        except UsageError:
            raise
        except Exception as error:
            # Of whatever kind: an error that is the film's own comes again on the CPU.
            self._on_fallback(device.name, (str(error) or type(error).__name__).splitlines()[0])
        # Who listens has begun to plan by what the device found; the whole analysis settles what
        # was begun wrongly.
        return await on_cpu.analyze(video, options, on_progress, unheard)

    async def _on_device(
        self,
        device: Device,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback,
    ) -> VideoAnalysis:
        pixels = (video.track.width or 0) * (video.track.height or 0)
        batch = self._parts.batch
        needed = self._resources.device_memory(pixels, batch)
        async with self._resources.acquire(device_bytes=needed, decoders=1):
            detection = self._parts.on_device(device)
            use = _MemoryUse(lambda: self._parts.free_bytes(device))

            def progressed(frames: int) -> None:
                use.look()
                on_progress(frames)

            found = await detection.analyze(video, options, progressed, on_finding)
            self._resources.observe_device(pixels, batch, use.peak_bytes)
            return found


class _MemoryUse:
    """How much less memory the device has free than at the beginning: the decoder's included, and
    whatever others take meanwhile, so rather too much than too little."""

    def __init__(self, free_bytes: Callable[[], int]) -> None:
        self._free_bytes = free_bytes
        self._free_at_first = free_bytes()
        self.peak_bytes = 0

    def look(self) -> None:
        self.peak_bytes = max(self.peak_bytes, self._free_at_first - self._free_bytes())
