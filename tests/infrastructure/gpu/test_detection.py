"""The whole detection pass with a device finds what it finds on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drapto.bootstrap.detecting import make_detection
from drapto.core.analysis import VideoAnalysis
from drapto.core.device import Device
from drapto.core.errors import MissingToolError, UsageError
from drapto.core.events import DeviceFallback, Event
from drapto.core.interfaces import DetectionService
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.pictures import Picture
from drapto.infrastructure.gpu.detection import DetectionParts, DeviceDetection
from drapto.infrastructure.gpu.features import TorchBackend
from drapto.infrastructure.gpu.planes import AHEAD, UnfitFrameError
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import StreamingDetection
from drapto.services.reporting import Everyone
from tests.infrastructure.gpu.test_luma import WithoutEngine
from tests.media import clips
from tests.media.film import (
    blank,
    fade,
    film,
    flash,
    interlaced,
    letterbox,
    shot,
    source_of,
    with_noise,
    write_film,
)
from tests.optional import needs_torch

pytestmark = needs_torch


async def analyzed(detection: DetectionService, video: SourceVideo) -> VideoAnalysis:
    return await detection.analyze(video, EncodeOptions(), lambda _done: None)


def film_of(kind: str, directory: Path) -> SourceVideo:
    if kind == "hdr":
        return source_of(clips.hdr10(directory))
    with_black = film(with_noise(shot(1, 40), 3), blank(9), shot(2, 30))
    planes = {
        "cuts": film(shot(1, 40), flash(shot(2, 33), 12), fade(shot(3, 20), start=1, end=0)),
        "bars": letterbox(with_black, top=14, bottom=14),
        "fields": interlaced(shot(3, 160, step=(4, 0))),
    }[kind]
    return source_of(write_film(directory / "a.mkv", planes))


@pytest.mark.parametrize("kind", ["cuts", "bars", "fields", "hdr"])
async def test_torch_finds_what_numpy_finds(kind: str, tmp_path: Path) -> None:
    video = film_of(kind, tmp_path)
    said: list[str] = []
    ours = StreamingDetection(WithoutEngine(said), TorchBackend("cpu", on_fallback=said.append))
    theirs = StreamingDetection(PyAvLumaReader(), NumpyBackend())
    found, expected = await analyzed(ours, video), await analyzed(theirs, video)
    assert not said
    close_to(found, expected)


def close_to(found: VideoAnalysis, expected: VideoAnalysis) -> None:
    """Equal but for what is measured, which is within 1e-3."""
    measured = ("spatial_complexity", "temporal_complexity", "mean_luma")
    assert found.grain == pytest.approx(expected.grain, rel=1e-3, abs=1e-6)
    for one, other in zip(found.scenes, expected.scenes, strict=True):
        for name in measured:
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-3, abs=1e-6)
    bare = dict.fromkeys(measured, 0.0)
    same_scenes = [s.model_copy(update=bare) for s in found.scenes]
    assert same_scenes == [s.model_copy(update=bare) for s in expected.scenes]
    aside = {"scenes": (), "grain": 0.0}
    assert found.model_copy(update=aside) == expected.model_copy(update=aside)


class Script:
    """A device as a test wants it: `on_device` makes what serves there, memory is counted down."""

    def __init__(
        self, on_device: Callable[[Device], DetectionService], name: str = "cuda:0"
    ) -> None:
        self.said: list[tuple[str, str]] = []
        self.looked_for = 0
        self.free = 1000
        self.resources = ResourceManager(cpu_slots=2, memory_bytes=2**30)
        parts = DetectionParts(
            find=lambda: self._found(name),
            on_device=on_device,
            on_cpu=StreamingDetection(PyAvLumaReader(), NumpyBackend()),
            batch=16,
            free_bytes=lambda _device: self._left(),
        )
        self.detection = DeviceDetection(
            parts, self.resources, on_fallback=lambda device, why: self.said.append((device, why))
        )

    def _found(self, name: str) -> Device:
        self.looked_for += 1
        return Device(name=name, why="a test", memory_bytes=0 if name == "cpu" else 2**33)

    def _left(self) -> int:
        self.free = max(300, self.free - 100)
        return self.free


def working(_device: Device) -> DetectionService:
    return StreamingDetection(WithoutEngine([]), TorchBackend("cpu"))


class BreaksAt(WithoutEngine):
    def __init__(self, number: int, error: Exception) -> None:
        super().__init__([])
        self._number, self._error = number, error

    def _pictures(self, video: SourceVideo) -> Iterator[Picture]:
        for number, picture in enumerate(super()._pictures(video)):
            if number == self._number:
                raise self._error
            yield picture


async def test_a_device_is_looked_for_once_and_learns_what_it_takes(tmp_path: Path) -> None:
    script, video = Script(working), film_of("cuts", tmp_path)
    assert script.looked_for == 0
    expected = await analyzed(StreamingDetection(PyAvLumaReader(), NumpyBackend()), video)
    for _ in range(2):
        close_to(await analyzed(script.detection, video), expected)
    assert (script.looked_for, script.said) == (1, [])
    pixels = (video.track.width or 0) * (video.track.height or 0)
    assert script.resources.device_memory(pixels, 16) == int(600 * 1.1)  # 900 at first, then 300
    ended = script.resources.statistics()
    assert ended.device_peak_bytes > 0
    assert (ended.device_in_use_bytes, ended.decoders_in_use, ended.decoders_peak) == (0, 0, 1)


async def test_without_a_device_the_cpu_is_asked_at_once(tmp_path: Path) -> None:
    script = Script(working, name="cpu")
    found = await analyzed(script.detection, film_of("cuts", tmp_path))
    assert found.decoded_frames == 93
    assert script.said == [] and script.resources.statistics().granted == 0


@pytest.mark.parametrize("number", [3, 40, 90])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access\nMore."),
        UnfitFrameError("odd"),
        OSError(),
    ],
)
async def test_a_device_that_fails_costs_time_and_nothing_else(
    tmp_path: Path, number: int, error: Exception
) -> None:
    script = Script(lambda _d: StreamingDetection(BreaksAt(number, error), TorchBackend("cpu")))
    video = film_of("cuts", tmp_path)
    expected = await analyzed(StreamingDetection(PyAvLumaReader(), NumpyBackend()), video)
    close_to(await analyzed(script.detection, video), expected)
    if number >= AHEAD:  # before, the reader itself goes to the CPU
        assert len(script.said) == 1 and script.said[0][0] == "cuda:0" and script.said[0][1]
        assert "\n" not in script.said[0][1]
    assert script.resources.statistics().device_in_use_bytes == 0


async def test_memory_that_cannot_be_asked_for_is_a_device_that_failed(tmp_path: Path) -> None:
    script, video = Script(working), film_of("cuts", tmp_path)

    def broken() -> int:
        raise RuntimeError("CUDA error: unspecified launch failure")

    script._left = broken  # type: ignore[method-assign]
    assert (await analyzed(script.detection, video)).decoded_frames == 93
    assert script.said == [("cuda:0", "CUDA error: unspecified launch failure")]


async def test_a_crop_that_does_not_fit_is_nobodys_failure(tmp_path: Path) -> None:
    script, video = Script(working), film_of("cuts", tmp_path)
    with pytest.raises(UsageError):
        await script.detection.analyze(
            video, EncodeOptions(crop=CropRect(width=9000, height=2, x=0, y=0)), lambda _done: None
        )
    assert script.said == []


async def test_settings_that_name_a_missing_device_are_told_when_a_film_comes(
    tmp_path: Path,
) -> None:
    detection = make_detection(
        Settings(device="cuda:99"), ResourceManager(cpu_slots=1, memory_bytes=0), Everyone(())
    )
    with pytest.raises(MissingToolError, match="cuda:99"):
        await analyzed(detection, film_of("cuts", tmp_path))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["cuts", "bars", "fields"])
async def test_the_device_of_the_settings_finds_what_the_cpu_finds(
    kind: str, tmp_path: Path
) -> None:
    class Heard:
        def __init__(self) -> None:
            self.fallbacks: list[DeviceFallback] = []

        def emit(self, event: Event) -> None:
            if isinstance(event, DeviceFallback):
                self.fallbacks.append(event)

    video = film_of(kind, tmp_path)
    resources = ResourceManager(cpu_slots=2, memory_bytes=2**30)
    heard = Heard()
    found, expected = [
        await analyzed(make_detection(Settings(device=device), resources, heard), video)
        for device in ("cuda", "cpu")
    ]
    close_to(found, expected)
    assert not [event for event in heard.fallbacks if event.work == "features"]
    assert resources.statistics().device_peak_bytes > 0
    assert resources.statistics().device_in_use_bytes == 0
