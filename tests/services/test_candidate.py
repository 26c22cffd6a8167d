"""What a candidate is given from the job beside it, it does not find out again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from drapto.bootstrap.stages import make_workshop, new_stages
from drapto.core.analysis import FieldOrder, Interlacing, Scene, VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing, Method
from drapto.core.routing import RoutedStage
from drapto.core.source import FieldSeries
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.candidate import run_candidate
from drapto.services.reporting import Everyone
from tests.media import film
from tests.shadow_examples import shadow_task


class OnlyOnce(PyAvReader):
    async def field_series(self, *_: object) -> FieldSeries:
        raise AssertionError("the film is decoded once more")


async def test_segmentation_beside_a_telecined_film_takes_its_frames_as_they_were_settled(
    tmp_path: Path,
) -> None:
    fields = film.telecined(film.shot(5, 48, step=(3, 0)))
    source = film.write_film(tmp_path / "pulldown.mkv", fields, fps=30)
    work = Deinterlacing(
        method=Method.IVTC, dropped=tuple(range(2, 60, 5)), woven=tuple(range(3, 60, 5))
    )
    analysis = VideoAnalysis(
        scenes=(Scene(start=0, end=30), Scene(start=30, end=60)),
        interlacing=Interlacing.TELECINED,
        field_order=FieldOrder.TOP_FIRST,
        decoded_frames=60,
    )
    (tmp_path / "out.mkv").write_bytes(b"published")
    task = shadow_task(
        source,
        tmp_path / "out.mkv",
        stage=RoutedStage.SEGMENTATION,
        analysis=analysis,
        deinterlacing=work,
    )
    settings, binary = Settings(), await inspect_ffmpeg(find_ffmpeg())
    resources = ResourceManager(cpu_slots=2, memory_bytes=4 << 30)
    workshop = make_workshop(settings, binary, resources, tmp_path / "state")
    found = await run_candidate(
        task,
        replace(workshop, reader=OnlyOnce()),
        new_stages(settings, binary, resources, Everyone(())),
        tmp_path,
    )
    await resources.close()
    assert found.segments is not None
    assert [(s.start, s.end) for s in found.segments][-1][1] == 48
