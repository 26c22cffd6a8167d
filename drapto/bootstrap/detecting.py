"""The new detection, on the device that the settings come to on this machine."""

from __future__ import annotations

from collections.abc import Callable

from drapto.core.device import Device
from drapto.core.events import DeviceFallback
from drapto.core.interfaces import DetectionService, EventSink
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.gpu.detection import DetectionParts, DeviceDetection
from drapto.infrastructure.gpu.device import find_device
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import BATCH, StreamingDetection


def make_detection(
    settings: Settings, resources: ResourceManager, sink: EventSink
) -> DetectionService:
    """The device is looked for when the first film is analysed. `sink` hears where it is left."""

    def told(device: str, work: str, reason: str) -> None:
        sink.emit(DeviceFallback(device=device, work=work, reason=reason))

    def on_device(device: Device) -> DetectionService:
        import torch

        from drapto.infrastructure.gpu.features import TorchBackend
        from drapto.infrastructure.gpu.luma import DeviceLumaReader

        def of(work: str) -> Callable[[str], None]:
            return lambda reason: told(device.name, work, reason)

        torch.cuda.empty_cache()  # of the film before: it would be counted as somebody else's
        # A backend that has left the device stays away from it: so each film has its own.
        return StreamingDetection(
            DeviceLumaReader(device, on_fallback=of("decoding")),
            TorchBackend(device.name, host=NumpyBackend(), on_fallback=of("features")),
        )

    parts = DetectionParts(
        find=lambda: find_device(settings.device),
        on_device=on_device,
        on_cpu=StreamingDetection(PyAvLumaReader(), NumpyBackend()),
        batch=BATCH,
    )
    return DeviceDetection(
        parts, resources, on_fallback=lambda device, why: told(device, "detection", why)
    )
