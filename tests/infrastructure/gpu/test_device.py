"""Which device the settings come to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drapto.core.device import Device
from drapto.core.errors import MissingToolError
from drapto.infrastructure.gpu.device import find_device
from drapto.infrastructure.gpu.engines import TRIED, decode_engines


def test_the_cpu_is_taken_without_looking_for_anything() -> None:
    device = find_device("cpu")
    assert (device.name, device.is_cpu, device.why) == ("cpu", True, "the settings say so")


def test_auto_is_a_device_that_computes_or_the_cpu_with_the_reason() -> None:
    device = find_device("auto")
    assert device.why
    assert device.is_cpu or device.memory_bytes > 0


def test_a_device_that_is_not_there_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(MissingToolError) as raised:
        find_device("cuda:99")
    assert str(raised.value).startswith("The device 'cuda:99' cannot be used: ")
    assert "device = 'auto'" in raised.value.hint
    assert raised.value.exit_code == 4


def test_without_a_driver_torch_is_not_loaded() -> None:
    """It takes a second and 200 MB; most machines have no use for it."""
    program = (
        "import sys; from drapto.infrastructure.gpu import device; device.DRIVER_NODES = ();"
        "print(device.find_device('auto').why, 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.strip() == "there is no NVIDIA driver here False"


@pytest.mark.gpu
def test_a_device_names_its_model_and_memory() -> None:
    device = find_device("cuda")
    assert device.name == "cuda:0" and device.number == 0
    assert "NVIDIA" in device.model and device.memory_bytes > 2**30


def test_an_engine_that_is_not_there_is_told_with_the_reason() -> None:
    pytest.importorskip("torch", reason="needs drapto[gpu]")
    engines = list(decode_engines(Device(name="cuda:99", why="a test")))
    assert [engine.codec for engine in engines] == [codec for codec, _, _ in TRIED]
    assert all(not engine.works and engine.why_not for engine in engines)


@pytest.mark.gpu
def test_the_decoder_of_a_device_takes_something() -> None:
    engines = list(decode_engines(find_device("cuda")))
    assert any(engine.works for engine in engines), engines
