"""Detection that waits for its share of the device, and learns how large that has to be."""

from __future__ import annotations

from collections.abc import Callable

from drapto.core.analysis import VideoAnalysis
from drapto.core.device import Device
from drapto.core.interfaces import (
    DetectionService,
    FindingCallback,
    ProgressCallback,
    unheard,
)
from drapto.core.job import EncodeOptions
from drapto.core.source import SourceVideo
from drapto.infrastructure.resources import ResourceManager


class SharedDevice:
    """A `DetectionService` around those that `analysis` makes, one for each film.

    Before a film begins, memory for it and a session of the decoder are taken of `resources`, both
    at once. What its frames really took, as the device says, is what the next of that size will
    ask for.
    """

    def __init__(
        self,
        analysis: Callable[[], DetectionService],
        device: Device,
        resources: ResourceManager,
        *,
        batch: int,
    ) -> None:
        self._analysis = analysis
        self._device = device
        self._resources = resources
        self._batch = batch
        resources.add_device(device.memory_bytes)

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        pixels = (video.track.width or 0) * (video.track.height or 0)
        needed = self._resources.device_memory(pixels, self._batch)
        async with self._resources.acquire(device_bytes=needed, decoders=1):
            use = _MemoryUse(self._device)

            def progressed(frames: int) -> None:
                use.look()
                on_progress(frames)

            found = await self._analysis().analyze(video, options, progressed, on_finding)
            self._resources.observe_device(pixels, self._batch, use.peak_bytes)
            return found


class _MemoryUse:
    """How much less memory the device has free than at the beginning: the decoder's included, and
    whatever others take meanwhile, so rather too much than too little."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.peak_bytes = 0
        self._free_at_first = self._free_bytes()

    def look(self) -> None:
        self.peak_bytes = max(self.peak_bytes, self._free_at_first - self._free_bytes())

    def _free_bytes(self) -> int:
        import torch

        return int(torch.cuda.mem_get_info(self._device.number)[0])
