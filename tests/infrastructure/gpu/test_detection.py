"""The whole detection pass with a device finds what it finds on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.bootstrap.detecting import make_detection
from drapto.core.analysis import VideoAnalysis
from drapto.core.events import DeviceFallback, Event
from drapto.core.interfaces import DetectionService
from drapto.core.job import EncodeOptions
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import StreamingDetection
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

pytest.importorskip("torch", reason="needs drapto[gpu]")

from drapto.infrastructure.gpu.features import TorchBackend
from tests.infrastructure.gpu.test_luma import WithoutEngine


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
