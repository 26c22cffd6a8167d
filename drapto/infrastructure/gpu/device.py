"""Which device the settings come to on this machine. Tried by use, never taken from a name.

`find_device` promises: 'cpu' never looks for anything; 'auto' is a CUDA device that has added up
some numbers, and the CPU, with the reason, where there is none; 'cuda' and 'cuda:N' are that
device or an error. torch is loaded only where there is a driver, since that takes a second.

    find_device("auto")   # Device(name='cpu', why='there is no NVIDIA driver here')
"""

from __future__ import annotations

from pathlib import Path

from drapto.core.device import Device
from drapto.core.errors import MissingToolError

# What the driver makes: on Linux itself, and in Windows' subsystem for Linux.
DRIVER_NODES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))

_EXTRA = "pip install 'drapto[gpu]'"


class _NoDeviceError(Exception):
    """What stands in the way, and what can be done about it."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


def find_device(wanted: str) -> Device:
    """`wanted` as in the settings. Errors: MissingToolError if it names what is not there."""
    if wanted == "cpu":
        return Device(why="the settings say so")
    try:
        return _cuda(int(wanted.partition(":")[2] or 0))
    except _NoDeviceError as error:
        if wanted == "auto":
            return Device(why=str(error))
        raise MissingToolError(
            f"The device '{wanted}' cannot be used: {error}.",
            hint=f"{error.hint} Or set device = 'auto', which takes the CPU then.".strip(),
        ) from error


def _cuda(number: int) -> Device:
    if not any(node.exists() for node in DRIVER_NODES):
        raise _NoDeviceError("there is no NVIDIA driver here", "Install the driver of the device.")
    try:
        import torch
    except ModuleNotFoundError as error:
        why = "torch, which computes on it, is not installed"
        raise _NoDeviceError(why, f"Install it: {_EXTRA}.") from error
    except (ImportError, OSError) as error:  # one of its libraries cannot be loaded
        why = f"torch cannot be loaded ({str(error).splitlines()[0]})"
        raise _NoDeviceError(why, f"Install it anew: {_EXTRA}.") from error
    if torch.version.cuda is None:
        raise _NoDeviceError(
            f"torch {torch.__version__} is built without CUDA",
            "Install a build with it (https://pytorch.org/get-started).",
        )
    try:
        count = torch.cuda.device_count()
        if number >= count:
            hint = f"Name one below {count}." if count else "Look at what nvidia-smi says."
            raise _NoDeviceError(f"torch finds {count} CUDA devices", hint)
        return _tried(number)
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _NoDeviceError(f"it failed when it was tried ({said})") from error


def _tried(number: int) -> Device:
    import torch

    name = f"cuda:{number}"
    total = int(torch.arange(1000, device=name).sum())
    if total != 499_500:
        raise _NoDeviceError(f"it added 0 to 999 up to {total}")
    properties = torch.cuda.get_device_properties(number)
    return Device(
        name=name,
        why="it computes",
        model=properties.name,
        memory_bytes=properties.total_memory,
    )
