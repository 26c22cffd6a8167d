"""Looks at this machine for `drapto doctor`. Nothing is missing silently, nothing raises.

    lines = await collect(ffmpeg=settings.ffmpeg, encoders=ENCODERS.values(), places=[Path.cwd()])

An encoder counts as there when it has encoded a tiny picture, not when it is listed; a metric when
a tiny picture scores what it should.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from drapto.core.doctor import DoctorLine
from drapto.core.errors import DraptoError
from drapto.core.interfaces import Encoder
from drapto.core.opening import synthetic_input
from drapto.core.quality import Metric
from drapto.core.segments import VideoSettings
from drapto.infrastructure.confine import SIGNALS_SINCE, TRUNCATE_SINCE, landlock_version
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary, find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.ffmpeg.encoder_trial import FfmpegTrials
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.infrastructure.ffmpeg.metric_check import check_metric
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.gpu.doctor import device_lines
from drapto.infrastructure.machine import available_memory_bytes, cpu_cores, cpu_quota
from drapto.infrastructure.process import run_process

REQUIRED_ENCODER = "svt-av1"  # the default of --encoder
PROBE_DEADLINE_S = 60.0  # ten frames of 64x64 take well under a second on an idle core
# SVT-AV1 at 1080p takes 0.8 GiB (core/resources.py); Python with the decoder takes the rest.
LOW_MEMORY_BYTES = 2 * 1024**3
# A two-hour 1080p film at CRF 26 is of this size, and for a moment it lies there twice.
LOW_DISK_BYTES = 5 * 1024**3
_GIB = 1024**3
_OTHER_FFMPEG = "Use the bundled ffmpeg (unset DRAPTO_FFMPEG), or one built with it."


@dataclass(frozen=True)
class LegacyTool:
    """A program that only the legacy scripts use. `instead`: what they do without it."""

    name: str
    program: str
    package: str
    variable: str = ""  # names another program
    instead: str = ""


LEGACY_TOOLS = (
    LegacyTool("ffprobe", "ffprobe", "ffmpeg", variable="DRAPTO_FFPROBE"),
    LegacyTool("mediainfo", "mediainfo", "mediainfo", variable="DRAPTO_MEDIAINFO"),
    LegacyTool("GNU parallel", "parallel", "parallel", instead=", where xargs does the same"),
    LegacyTool("ab-av1", "ab-av1", "", instead=", where a search of their own does the same"),
)


async def collect(
    *, ffmpeg: Path | None, encoders: Iterable[Encoder], places: Sequence[Path], device: str
) -> tuple[DoctorLine, ...]:
    """Everything worth knowing, one line each. `places` are the directories that jobs write to;
    the temporary directory is added."""
    lines: list[DoctorLine] = []
    try:
        binary: FfmpegBinary | None = await inspect_ffmpeg(find_ffmpeg(ffmpeg))
    except DraptoError as error:
        lines.append(_line("ffmpeg", "missing", error.message, error.hint))
        binary = None
    if binary is not None:
        lines.append(_line("ffmpeg", "ok", f"{binary.version}, {binary.path}"))
        lines += [await _encoder(binary, encoder) for encoder in encoders]
        lines.append(await _opus(binary))
        lines += [await _metric(binary, metric) for metric in Metric]
    lines += [_package("av", "PyAV"), _package("opencv-python-headless", "OpenCV")]
    lines += [_cpu(), _memory(), *await device_lines(device)]
    lines += [_legacy_tool(tool) for tool in LEGACY_TOOLS]
    lines.append(_shadow_fence())
    lines += _disks([*places, Path(tempfile.gettempdir())])
    lines.append(_line("python", "ok", f"{platform.python_version()} on {platform.platform()}"))
    return tuple(lines)


def _line(name: str, status: str, detail: str, advice: str = "") -> DoctorLine:
    return DoctorLine.model_validate(
        {"name": name, "status": status, "detail": detail, "advice": advice}
    )


async def _encoder(binary: FfmpegBinary, encoder: Encoder) -> DoctorLine:
    if encoder.needs_device:
        return await _card(binary, encoder)
    # 4:2:0 8-bit is the one format every encoder takes; even x264 built without 10-bit.
    picture = [*synthetic_input("color=c=gray:s=64x64:r=10:d=1"), "-pix_fmt", "yuv420p"]
    needed = encoder.name == REQUIRED_ENCODER
    return await _tried(
        binary, f"encoder {encoder.name}", encoder.ffmpeg_encoder, [*picture, "-c:v"], needed
    )


async def _card(binary: FfmpegBinary, encoder: Encoder) -> DoctorLine:
    """As a job tries it. Few machines have one, and no encode needs it."""
    executor = LocalSegmentExecutor(binary.path, encoder.arguments)
    settings = VideoSettings(
        encoder=encoder.name, width=640, height=360, source_width=640, source_height=360
    )
    trial = await FfmpegTrials(binary, executor).of(encoder, settings)
    detail = encoder.ffmpeg_encoder
    if not trial.works:
        detail = f"does not work here, and is not needed: {trial.problem}"
    return _line(f"encoder {encoder.name}", "ok", detail)


async def _opus(binary: FfmpegBinary) -> DoctorLine:
    tone = [*synthetic_input("sine=frequency=440:sample_rate=48000:duration=0.2"), "-c:a"]
    return await _tried(binary, "encoder opus", "libopus", tone, True)


async def _tried(
    binary: FfmpegBinary, name: str, codec: str, arguments: Sequence[str], needed: bool
) -> DoctorLine:
    """Encode something tiny and throw it away."""
    absent = "missing" if needed else "warning"
    if codec not in binary.encoders:
        return _line(name, absent, f"this ffmpeg has no {codec}", _OTHER_FFMPEG)
    command = [str(binary.path), "-nostdin", "-hide_banner", "-v", "error", *arguments, codec]
    try:
        done = await run_process(
            [*command, "-f", "null", "-"],
            what=f"Trying the encoder {codec}",
            deadline_s=PROBE_DEADLINE_S,
            check=False,
        )
    except DraptoError as error:
        return _line(name, absent, error.message, error.hint or _OTHER_FFMPEG)
    if done.returncode:
        said = " ".join(done.stderr_tail.split())[-300:]
        return _line(name, absent, f"{codec} does not encode: {said}", _OTHER_FFMPEG)
    return _line(name, "ok", codec)


async def _metric(binary: FfmpegBinary, metric: Metric) -> DoctorLine:
    name = f"metric {metric.value.upper()}"
    try:
        await check_metric(binary.path, metric_for(metric))
    except DraptoError as error:
        return _line(name, "warning", error.message, f"It will not be measured. {_OTHER_FFMPEG}")
    return _line(name, "ok", "a test picture scores what it should")


def _package(distribution: str, name: str) -> DoctorLine:
    try:
        return _line(name, "ok", importlib.metadata.version(distribution))
    except importlib.metadata.PackageNotFoundError:
        return _line(name, "missing", "not installed", f"Install it: pip install {distribution}")


def _cpu() -> DoctorLine:
    quota = cpu_quota()
    limit = "" if quota is None else f", limited to {quota:g} by a container or service"
    return _line("CPU", "ok", f"{cpu_cores()} of {os.cpu_count() or 1} cores{limit}")


def _memory() -> DoctorLine:
    free, total = available_memory_bytes(), psutil.virtual_memory().total
    detail = f"{free / _GIB:.1f} GiB free of {total / _GIB:.1f} GiB"
    if free < LOW_MEMORY_BYTES:
        return _line("memory", "warning", detail, "Close something, or encode with --workers 1.")
    return _line("memory", "ok", detail)


def _legacy_tool(tool: LegacyTool) -> DoctorLine:
    """Nothing that an encode needs unless the legacy scripts serve a stage of it."""
    found = shutil.which(os.environ.get(tool.variable, "") or tool.program)
    name = f"legacy: {tool.name}"
    if found is not None:
        return _line(name, "ok", f"{found}; only for legacy stages")
    detail = f"not found; only for legacy stages{tool.instead}"
    if tool.instead:
        return _line(name, "ok", detail)
    advice = f"Only if the legacy scripts serve a stage: apt-get install {tool.package}"
    return _line(name, "warning", detail, advice)


def _shadow_fence() -> DoctorLine:
    """What the other side of a stage could do besides its work; versions as in `confine.py`."""
    version, name = landlock_version(), "shadow runs"
    if version >= TRUNCATE_SINCE:
        what = "neither files nor processes" if version >= SIGNALS_SINCE else "no files"
        return _line(name, "ok", f"reach {what} of others (Landlock {version})")
    advice = "Before you let scripts run that you do not trust, use Linux 6.2 or later."
    if version:
        detail = f"could do no more to files of others than cut them short (Landlock {version})"
        return _line(name, "warning", detail, advice)
    detail = "are kept from files of others by their good manners alone: there is no Landlock here"
    return _line(name, "warning", detail, advice)


def _disks(places: Sequence[Path]) -> list[DoctorLine]:
    lines = []
    for place in dict.fromkeys(path.absolute() for path in places):
        name = f"disk {place}"
        existing = next((p for p in (place, *place.parents) if p.is_dir()), Path("/"))
        try:
            free = psutil.disk_usage(str(existing)).free
        except OSError as error:
            lines.append(_line(name, "warning", f"cannot be read: {error.strerror}"))
            continue
        detail = f"{free / _GIB:.1f} GiB free"
        elsewhere = "name another place with --work-dir."
        if not os.access(existing, os.W_OK):
            advice = f"Let this user write there, or {elsewhere}"
            lines.append(_line(name, "warning", f"{detail}, not writable", advice))
        elif free < LOW_DISK_BYTES:
            lines.append(_line(name, "warning", detail, f"Free some space, or {elsewhere}"))
        else:
            lines.append(_line(name, "ok", detail))
    return lines
