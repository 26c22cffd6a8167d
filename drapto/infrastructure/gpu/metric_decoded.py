"""Luma that a device has decoded itself, into a metric that computes there, past the host.

    if are_plain(encoded, original):
        scores = await decoded_scores(vmaf, reader, encoded, original, on_frames)

`reader` is a `LumaReader` whose frames lie on the device, as those of `DeviceLumaReader` do; where
it gives those of the CPU instead, they are carried over. For pairs of which nothing but a
rectangle has to be taken: fields are put together and colours converted in ffmpeg alone
(`metric_feed.py`). More than 8 bits become 8 with the very rounding of ffmpeg's.

Tests: tests/infrastructure/gpu/test_metric_decoded.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import anyio.from_thread
import anyio.to_thread

from drapto.core.errors import ResourceError
from drapto.core.interfaces import LumaReader
from drapto.infrastructure.ffmpeg.footage import Footage, Signal
from drapto.infrastructure.gpu.metric_feed import BATCH_PIXELS
from drapto.infrastructure.gpu.metric_vmaf import TorchVmaf, errors_of

# What libswscale adds before it cuts 10 bits to 8: rows and columns in turn (the ordered dither of
# libswscale/output.c; held together with the ffmpeg in use by a test).
DITHER_10 = ((1, 2), (3, 0))
_LEAST_HEIGHT = 2  # of the small picture that a reader makes besides, which nobody looks at here


def are_plain(encoded: Footage, original: Footage) -> bool:
    """Whether both sides only have to be cut out."""
    signal = Signal.common(original.color, encoded.color)
    return all(
        side.video is not None
        and side.work.is_off
        and side.bit_depth in (8, 10)
        and not signal.conversion(side.color)
        for side in (encoded, original)
    )


async def decoded_scores(
    vmaf: TorchVmaf,
    reader: LumaReader,
    encoded: Footage,
    original: Footage,
    on_frames: Callable[[int], None],
) -> list[float]:
    """Of all frames. Errors: ResourceError of the device, or where it decodes other frames than the
    index of a side lists; InputError."""

    def work() -> list[float]:
        # Pictures are cut out, made 8-bit and joined on the device before VMAF gets them.
        with errors_of(vmaf.device):
            return measured()

    def measured() -> list[float]:
        pairs = zip(_pictures(reader, encoded), _pictures(reader, original), strict=True)
        width, height = encoded.picture
        size = max(1, BATCH_PIXELS // (width * height))
        done, batch = 0, []
        for pair in pairs:
            batch.append(pair)
            if len(batch) < size and done + len(batch) < len(encoded.index):
                continue
            vmaf.add(*(_stacked(vmaf, side) for side in zip(*batch, strict=True)))
            done, batch = done + len(batch), []
            anyio.from_thread.run_sync(on_frames, done)
            anyio.from_thread.check_cancelled()
        return vmaf.scores()

    return await anyio.to_thread.run_sync(work)


def eight_bit(samples: Any, bit_depth: int) -> Any:
    """A tensor (height, width) of its own, uint8, from one of 8 or 10 bits, as ffmpeg makes it."""
    if bit_depth == 8:
        return samples.clone()
    torch = importlib.import_module("torch")
    height, width = samples.shape
    dither = torch.tensor(DITHER_10, dtype=torch.int32, device=samples.device)
    tiled = dither.repeat(-(-height // 2), -(-width // 2))[:height, :width]
    return ((samples.to(torch.int32) + tiled) >> 2).clamp(max=255).to(torch.uint8)


def _pictures(reader: LumaReader, side: Footage) -> Iterator[Any]:
    """Tensors (height, width), uint8, of the part that counts."""
    torch = importlib.import_module("torch")
    assert side.video is not None
    crop, listed = side.crop, side.index.pts
    number = -1
    for number, frame in enumerate(reader.frames(side.video, max_height=_LEAST_HEIGHT)):
        if number >= len(listed) or frame.pts != listed[number] or frame.damaged:
            raise ResourceError(f"Frame {number} of {side.path} was not decoded as it is listed.")
        full: Any = frame.full
        samples = full.tensor() if hasattr(full, "tensor") else torch.as_tensor(full.copy())
        if crop is not None:
            rows = slice(crop.y, crop.y + crop.height)
            samples = samples[rows, crop.x : crop.x + crop.width]
        yield eight_bit(samples, frame.bit_depth)
    if number + 1 != len(listed):
        raise ResourceError(f"Of {side.path} only {number + 1} frames were decoded.")


def _stacked(vmaf: TorchVmaf, pictures: tuple[Any, ...]) -> Any:
    """(n, height, width) on the device of `vmaf`."""
    torch = importlib.import_module("torch")
    return torch.stack([picture.to(vmaf.device) for picture in pictures])
