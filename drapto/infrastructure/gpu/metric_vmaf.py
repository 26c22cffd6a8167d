"""VMAF in torch: of luma that is decoded already, on whatever device it lies.

    vmaf = TorchVmaf(measuring, "cuda:0")       # every third frame, say
    vmaf.add(encoded, original)                        # both (n, height, width) uint8; in batches
    vmaf.add(encoded, original)                        # the next frames of both
    scores = vmaf.scores()                             # of frame 0 and every n-th after it

It is the package vmaf-torch. How near it comes to libvmaf, and what it takes, is in
docs/measuring.md; `can_measure` says where it is near enough. Tensors that lie on the device are
taken from there, and nothing comes back before `scores`. How frames are batched changes no score by
more than rounding does. Where a device runs out of memory, a batch is halved as often as it takes.

    vmaf = await anyio.to_thread.run_sync(trusted_vmaf, measuring, "cuda:0")

Tests: tests/infrastructure/gpu/test_metric_vmaf.py, against libvmaf.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from statistics import fmean
from typing import Any

import numpy as np

from drapto.core.errors import MissingToolError, ResourceError
from drapto.core.quality import VMAF_LEAST_SIDE, Measuring, Reference

# By libvmaf's names, and whether it is a NEG one. The 4K models vmaf-torch does not have.
MODELS = {"vmaf_v0.6.1": False, "vmaf_v0.6.1neg": True}
# Of these the NEG one was up to 0.4 off (docs/measuring.md).
AGREEING = "vmaf_v0.6.1"
OFF = 0.1  # what is allowed of a mean before it is another metric: a choice


def can_measure(measuring: Measuring) -> bool:
    """Whether `TorchVmaf` gives the scores of libvmaf for that. Without the grain only an encoder
    in ffmpeg's process has the pictures (core/film_grain.py)."""
    return measuring.model == AGREEING and measuring.reference is Reference.SOURCE


def trusted_vmaf(measuring: Measuring, device: str) -> TorchVmaf:
    """One whose device was seen to compute what the CPU does. Errors: as `TorchVmaf`."""
    _check(device)
    return TorchVmaf(measuring, device)


class TorchVmaf:
    """`device` as torch names it. Errors: MissingToolError without the packages; ResourceError of
    every method if the device fails, or has no memory for one frame: measure with libvmaf then."""

    def __init__(self, measuring: Measuring, device: str) -> None:
        if measuring.model not in MODELS:
            raise ValueError(f"vmaf-torch has no model {measuring.model!r}")
        neg = MODELS[measuring.model]
        self._torch, package = _packages()
        self.device = device
        self._every = measuring.every
        with self._computing():
            self._vmaf = package.VMAF(NEG=neg, clip_score=True).to(device)
        self._frames = 0
        self._last: Any = None  # the last original frame: motion is measured against it
        # Six numbers a frame, left on the device: nobody waits for it between two batches.
        self._motion: list[Any] = []
        self._seen: list[tuple[Any, Any]] = []  # ADM and VIF of the measured frames

    def add(self, encoded: Any, original: Any) -> None:
        """The next frames: tensors or arrays of 8-bit luma, (n, height, width), n from 0 on."""
        if encoded.shape != original.shape:
            shapes = tuple(encoded.shape), tuple(original.shape)
            raise ValueError(f"{shapes[0]} and {shapes[1]} cannot be compared")
        if min(original.shape[1:]) < VMAF_LEAST_SIDE:
            raise ValueError(f"{tuple(original.shape[1:])} is too small a picture for VMAF")
        if not len(original):
            return
        try:
            with self._computing():
                self._add(encoded, original)
        except _NotEnoughError:
            if len(original) == 1:
                raise
            self._torch.cuda.empty_cache()
            half = len(original) // 2
            self.add(encoded[:half], original[:half])
            self.add(encoded[half:], original[half:])

    def scores(self) -> list[float]:
        """0 to 100, one for each measured frame, in order."""
        if not self._frames:
            return []
        torch = self._torch
        with self._computing():
            before = torch.cat(self._motion)
            # As libvmaf's motion2: the smaller of the steps to both neighbours; the last frame has
            # one neighbour, and the first counts as standing still.
            motion = torch.minimum(before, torch.cat((before[1:], before[-1:])))
            motion[0] = 0
            adm, vif = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
            found = self._vmaf.predict(adm, motion[:: self._every], vif)
            return [float(score) for score in found[:, 0].tolist()]

    def _add(self, encoded: Any, original: Any) -> None:
        """All of it or nothing: a batch that does not fit is tried again in parts."""
        torch = self._torch
        reference = self._on_device(original)
        joined = reference if self._last is None else torch.cat((self._last, reference))
        motion = self._vmaf.compute_motion(joined)[len(joined) - len(reference) :]
        measured = slice(-self._frames % self._every, None, self._every)
        kept, seen = reference[measured], []
        if len(kept):
            shown = self._on_device(encoded[measured])
            adm = self._vmaf.compute_adm_score(kept, shown)
            seen.append((adm, self._vmaf.compute_vif_features(kept, shown)))
        self._last = reference[-1:].clone()  # the batch itself must not be kept
        self._motion.append(motion)
        self._seen += seen
        self._frames += len(original)

    def _on_device(self, luma: Any) -> Any:
        """(n, 1, height, width) of floats. Bytes are carried over, and become floats there."""
        tensor = self._torch.as_tensor(luma).to(self.device)
        return tensor[:, None].to(self._torch.float32)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """No gradients; and no TF32, which cuDNN takes for convolutions unless told otherwise: 10
        bits of mantissa leave the squares of VIF off by up to 8, where its threshold is 2."""
        torch = self._torch
        exactly = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with errors_of(self.device), torch.inference_mode(), exactly:
            yield


@contextmanager
def errors_of(device: str) -> Iterator[None]:
    """What torch says of a device, wherever it was asked for something, as a ResourceError."""
    torch, _package = _packages()
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise _NotEnoughError(
            f"VMAF cannot be measured on {device}: its memory is full ({error})."
        ) from error
    # Of a device that it was not built for it says it by an assertion.
    except (RuntimeError, AssertionError) as error:
        raise ResourceError(f"VMAF cannot be measured on {device}: {error}.") from error


class _NotEnoughError(ResourceError):
    """Of memory: fewer frames at a time may help."""


@cache
def _check(device: str) -> None:
    """Three drawn pictures and what is left of them at half the contrast. Errors: ResourceError."""
    if device == "cpu":  # what tests hold together with libvmaf
        return
    row, column, frame = np.ogrid[:96, :128, :3]
    drawn = ((row * 3 + column * 7 + frame * 5) ^ (row * column >> 5)).astype(np.uint8)
    original = np.ascontiguousarray(np.moveaxis(drawn, 2, 0))
    found = []
    for place in ("cpu", device):
        vmaf = TorchVmaf(Measuring(model=AGREEING), place)
        vmaf.add(original // 2 + 64, original)
        found.append(fmean(vmaf.scores()))
    if not abs(found[1] - found[0]) <= OFF:
        raise ResourceError(
            f"VMAF cannot be measured on {device}: drawn pictures came to {found[1]:.2f} there, "
            f"and to {found[0]:.2f} on the CPU."
        )


def _packages() -> tuple[Any, Any]:
    """torch and vmaf_torch. Errors: MissingToolError."""
    try:
        return importlib.import_module("torch"), importlib.import_module("vmaf_torch")
    except ImportError as error:
        raise MissingToolError(
            f"VMAF cannot be measured on a device: the package {error.name} is not installed.",
            hint="Install it with: pip install 'drapto[gpu]', or measure on the CPU.",
        ) from error
