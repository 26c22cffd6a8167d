"""What came of one film: `drapto report`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread

from drapto.core.errors import DraptoError
from drapto.core.film_report import FilmReport, StillPair, middle_frame
from drapto.core.manifest import Manifest
from drapto.core.words import sentence, shortened
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.stills import StillPairs
from drapto.infrastructure.manifests import find_manifest, is_manifest
from drapto.infrastructure.settings import Settings

_WHY_AT_MOST = 600  # characters; errors of ffmpeg quote its whole command line


async def manifest_of(settings: Settings, given: Path) -> Manifest:
    """Of an output, or a manifest.json itself. Errors: InputError."""
    return await anyio.to_thread.run_sync(find_manifest, given, settings.state_dir)


def page_beside(given: Path, manifest: Manifest) -> Path:
    """Where the page goes that nobody gave a name: beside the output, ending in .html."""
    return (manifest.output if is_manifest(given) else given).with_suffix(".html")


async def report_film(
    settings: Settings, manifest: Manifest, tell: Callable[[str], None] = lambda _line: None
) -> FilmReport:
    """With pictures where both files are what they were; else the report says why it has none.

    `tell` hears what is under way. Raises nothing of what stands in the way of pictures.
    """
    report = FilmReport(manifest=manifest, at=datetime.now(UTC))
    stills: dict[int, StillPair] = {}
    why = "" if report.places else "The manifest holds no segments."
    try:
        if report.places:
            await _take(settings, report, stills, tell)
    except DraptoError as error:
        why = sentence(shortened(error.message, _WHY_AT_MOST))
    except OSError as error:
        why = sentence(shortened(str(error), _WHY_AT_MOST))
    return report.model_copy(update={"stills": stills, "no_stills": why})


async def _take(
    settings: Settings,
    report: FilmReport,
    stills: dict[int, StillPair],
    tell: Callable[[str], None],
) -> None:
    """Fill `stills`, so that a failure half-way leaves those that were taken."""
    ffmpeg = find_ffmpeg(settings.ffmpeg)
    with tempfile.TemporaryDirectory(prefix="drapto-report-", dir=settings.work_dir) as scratch:
        pairs = StillPairs(report.manifest, ffmpeg, Path(scratch))
        tell("reading source and output")
        await pairs.open()
        for number, segment in enumerate(report.places, start=1):
            tell(f"taking pictures: {number} of {len(report.places)}")
            stills[segment.index] = await pairs.of(middle_frame(segment))
