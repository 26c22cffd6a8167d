"""Measures any output against its source: `drapto verify`. Loaded where something is verified.

Both are brought to the same frames and the same picture first. Of an output of Drapto the kept
manifest says what was cut off and how fields were put together; of any other the caller does.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from drapto.core.errors import InputError, UsageError
from drapto.core.interfaces import QualityMetric
from drapto.core.manifest import Manifest
from drapto.core.quality import Metric, can_compare
from drapto.core.verification import (
    Verification,
    VerifyOptions,
    grain_notes,
    notes_on,
    suited_metric,
    worst_moments,
)
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.film_grain import carries_grain
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.metric_check import check_metric
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.pairing import FramesDone, Means, Pair
from drapto.infrastructure.ffmpeg.quality import measure_whole
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.gpu.device import find_device
from drapto.infrastructure.gpu.luma import DeviceLumaReader
from drapto.infrastructure.gpu.metric_vmaf import can_measure
from drapto.infrastructure.machine import cpu_cores
from drapto.infrastructure.manifests import find_manifest
from drapto.infrastructure.settings import Settings
from drapto.services.verifying import shown_source, way_out


async def verify(
    settings: Settings, source: Path, output: Path, options: VerifyOptions, on_frames: FramesDone
) -> Verification:
    """Errors: InputError if the two cannot be compared frame by frame, UsageError,
    MissingToolError, ProcessFailedError, ResourceError."""
    ffmpeg = find_ffmpeg(settings.ffmpeg)
    made = _made_by_drapto(output, settings.state_dir)
    with tempfile.TemporaryDirectory(prefix="drapto-verify-") as scratch:
        shown = await output_footage(output)
        video, crop = await shown_source(
            PyAvReader(ffmpeg), PyAvLumaReader(), source, made, options,
            len(shown.index), Path(scratch),
        )  # fmt: skip
        original = Footage.of(video, crop=crop)
        metric = _metric(options, original, shown)
        await check_metric(ffmpeg, metric)
        pair = _paired(original, shown, metric, 0 if made is None else made.settings.film_grain)
        every = options.every_for(metric.metric)
        means = Means(ffmpeg, Path(scratch), threads=cpu_cores())
        told: list[str] = []
        if can_measure(pair.measuring(every)):
            means = await _with_device(means, settings, told)
        found = await measure_whole(pair, means, every=every, on_frames=on_frames)
    measuring = found.measuring
    return Verification(
        source=source,
        output=output,
        metric=measuring.metric,
        model=measuring.model,
        every=measuring.every,
        reference=measuring.reference,
        frames=pair.frames,
        quality=found.quality,
        worst=worst_moments(found.values, measuring.every, shown.index),
        crop=original.crop,
        deinterlacing=original.work.method,
        notes=(
            *notes_on(measuring.metric, original.color, shown.color),
            *grain_notes(measuring.reference, carries_grain=await carries_grain(output)),
            *told,
        ),
    )


async def _with_device(means: Means, settings: Settings, told: list[str]) -> Means:
    """`told` gets where it was measured, and why not all of it there. Errors: MissingToolError if
    the settings name a device that cannot be used."""
    device = await anyio.to_thread.run_sync(find_device, settings.device)
    if device.is_cpu:
        return means
    told.append(f"VMAF was computed in torch on {device.name}: docs/measuring.md says how exactly.")

    def left(why: str) -> None:
        told[:1] = [f"{why} So libvmaf measured it."]

    reader = DeviceLumaReader(device, on_fallback=lambda why: told.append(f"{why}."))
    return replace(means, device=device.name, reader=reader, on_fallback=left)


def _made_by_drapto(output: Path, state_dir: Path) -> Manifest | None:
    """None where nothing is known of this very file."""
    try:
        return find_manifest(output, state_dir)
    except InputError:
        return None


def _metric(options: VerifyOptions, source: Footage, output: Footage) -> QualityMetric:
    suited = Metric.VMAF if options.neg else suited_metric(source.color, output.color)
    if not can_compare(suited, *output.picture):
        suited = Metric.XPSNR
    metric = options.metric or suited
    if options.neg and metric is not Metric.VMAF:
        raise UsageError(
            f"There is no NEG model of {metric.value.upper()}, only of VMAF.",
            hint="Leave out --neg or --metric.",
        )
    return metric_for(metric, neg=options.neg)


def _paired(source: Footage, output: Footage, metric: QualityMetric, grain: int) -> Pair:
    """Errors: InputError, saying which option tells how the output was made."""
    try:
        return Pair(source, output, metric, grain)
    except InputError as error:
        hint = way_out(len(source.index), len(output.index), source.crop)
        raise InputError(error.message, hint=hint) from error
