"""A report is made whatever stands in the way of its pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.bootstrap.film_reporting import report_film
from drapto.core.manifest import Manifest
from drapto.infrastructure.report.film_page import render_film_page
from drapto.infrastructure.settings import Settings
from tests.film_manifests import film_manifest, measured_segments, track
from tests.media import film
from tests.web_pages import Page

FRAMES = 10


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path)


def manifest_of(source: Path, output: Path) -> Manifest:
    """Two segments of five frames, which count as measured."""
    settings = film_manifest().settings.model_copy(
        update={"width": film.WIDTH, "height": film.HEIGHT}
    )
    segments = tuple(
        segment.model_copy(update={"start_frame": 5 * n, "end_frame": 5 * n + 5, "frames": 5})
        for n, segment in enumerate(measured_segments(2))
    )
    return film_manifest(
        source=source, output=output, settings=settings, segments=segments,
        source_bytes=source.stat().st_size, output_bytes=output.stat().st_size,
        tracks=(track(0, "video", "encoded", "x"),),
    )  # fmt: skip


async def test_frame_that_cannot_be_decoded_costs_its_own_picture_only(
    settings: Settings, tmp_path: Path
) -> None:
    source = film.write_film(tmp_path / "in.mkv", film.shot(1, FRAMES))
    output = film.write_film(tmp_path / "out.mkv", film.shot(1, FRAMES))
    film.damage(source, packet=7)  # the middle of the second segment
    report = await report_film(settings, manifest_of(source, output))
    assert list(report.stills) == [0]
    assert report.no_stills.startswith(f"Frame 7 of {source} cannot be decoded. ffmpeg said: ")
    text = " ".join(Page(render_film_page(report)).text.split())
    assert "Not every picture could be taken. Frame 7 of" in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


async def test_ffmpeg_that_is_missing_is_the_reason(tmp_path: Path) -> None:
    source = film.write_film(tmp_path / "in.mkv", film.shot(1, FRAMES))
    lacking = Settings(work_dir=tmp_path, ffmpeg=tmp_path / "no ffmpeg")
    report = await report_film(lacking, manifest_of(source, source))
    assert report.stills == {}
    assert "no ffmpeg" in report.no_stills


async def test_place_for_scratch_files_that_is_missing_is_the_reason(tmp_path: Path) -> None:
    source = film.write_film(tmp_path / "in.mkv", film.shot(1, FRAMES))
    lacking = Settings(work_dir=tmp_path / "gone")
    report = await report_film(lacking, manifest_of(source, source))
    assert report.stills == {}
    assert "No such file or directory" in report.no_stills
