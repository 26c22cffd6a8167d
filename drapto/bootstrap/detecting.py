"""The new detection, on the device that the settings come to on this machine."""

from __future__ import annotations

from collections.abc import Callable

from drapto.core.device import Device
from drapto.core.events import DeviceFallback
from drapto.core.interfaces import DetectionService, EventSink
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.gpu.device import find_device
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import BATCH, StreamingDetection


def make_detection(
    settings: Settings, resources: ResourceManager, sink: EventSink
) -> DetectionService:
    """`sink` hears where a device is left for the CPU. Errors: MissingToolError if the settings
    name a device that is not there."""
    device = find_device(settings.device)
    if device.is_cpu:
        return StreamingDetection(PyAvLumaReader(), NumpyBackend())
    return _on_device(device, resources, sink)


def _on_device(device: Device, resources: ResourceManager, sink: EventSink) -> DetectionService:
    from drapto.infrastructure.gpu.detection import SharedDevice
    from drapto.infrastructure.gpu.features import TorchBackend
    from drapto.infrastructure.gpu.luma import DeviceLumaReader

    def told(work: str) -> Callable[[str], None]:
        return lambda reason: sink.emit(
            DeviceFallback(device=device.name, work=work, reason=reason)
        )

    def analysis() -> DetectionService:
        """A backend that has left the device stays away from it: so each film has its own."""
        return StreamingDetection(
            DeviceLumaReader(device, on_fallback=told("decoding")),
            TorchBackend(device.name, host=NumpyBackend(), on_fallback=told("features")),
        )

    return SharedDevice(analysis, device, resources, batch=BATCH)
