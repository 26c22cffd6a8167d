"""What `drapto doctor` says of the device that the settings come to."""

from __future__ import annotations

from typing import Literal

import anyio.to_thread

from drapto.core.device import Device
from drapto.core.doctor import DoctorLine
from drapto.core.errors import DraptoError
from drapto.infrastructure.gpu.device import find_device
from drapto.infrastructure.process import run_process

_GIB = 1024**3
_ASKED_AT_MOST_S = 20.0  # nvidia-smi answers in a tenth of a second, or after a driver's time-out


async def device_lines(wanted: str) -> list[DoctorLine]:
    """Where pictures are decoded and looked at, and what that device's decoder takes."""
    try:
        device = await anyio.to_thread.run_sync(find_device, wanted)
    except DraptoError as error:
        return [
            DoctorLine(name="device", status="missing", detail=error.message, advice=error.hint)
        ]
    if device.is_cpu:
        return [DoctorLine(name="device", status="ok", detail=f"cpu: {device.why}")]
    memory = f"{device.memory_bytes / _GIB:.0f} GiB, driver {await _driver(device)}"
    detail = f"{device.name}: {device.model}, {memory}"
    return [DoctorLine(name="device", status="ok", detail=detail), *await _engines(device)]


async def _engines(device: Device) -> list[DoctorLine]:
    from drapto.infrastructure.gpu.engines import decode_engines

    lines = []
    for engine in await anyio.to_thread.run_sync(lambda: list(decode_engines(device))):
        name = f"device decodes {engine.codec}, {engine.bit_depth} bit"
        detail = "gives the pictures of the CPU" if engine.works else engine.why_not
        advice = "" if engine.works else "The CPU decodes it instead; nothing needs to be done."
        status: Literal["ok", "warning"] = "ok" if engine.works else "warning"
        lines.append(DoctorLine(name=name, status=status, detail=detail, advice=advice))
    return lines


async def _driver(device: Device) -> str:
    """Its version, as NVIDIA's own tool says."""
    query = ["--query-gpu=driver_version", "--format=csv,noheader", f"--id={device.number}"]
    try:
        told = await run_process(
            ["nvidia-smi", *query],
            what="Asking for the driver",
            deadline_s=_ASKED_AT_MOST_S,
            check=False,
        )
    except DraptoError:
        return "unknown"
    return told.stdout.decode(errors="replace").strip() or "unknown"
