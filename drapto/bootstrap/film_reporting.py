"""What came of one film: `drapto report`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio.to_thread

from drapto.core.errors import DraptoError, InputError
from drapto.core.film_report import FilmReport, StillPair, middle_frame
from drapto.core.manifest import Manifest
from drapto.core.words import sentence, shortened
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.ffmpeg.stills import StillPairs
from drapto.infrastructure.manifests import find_manifest, is_manifest
from drapto.infrastructure.settings import Settings
from drapto.services.verifying import with_left_out

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
    """With pictures where both files are what they were; else the report says what is missing.

    `tell` hears what is under way. Raises nothing of what stands in the way of pictures.
    """
    report = FilmReport(manifest=manifest, at=datetime.now(UTC))
    taken = _Taken() if report.places else _Taken(why="The manifest holds no segments.")
    try:
        if report.places:
            await _take(settings, report, taken, tell)
    except (DraptoError, OSError) as error:
        taken.failed(error)
    return report.model_copy(update={"stills": taken.stills, "no_stills": taken.why})


@dataclass
class _Taken:
    """The pictures so far, and the first reason why one of them is missing."""

    stills: dict[int, StillPair] = field(default_factory=dict)
    why: str = ""

    def failed(self, error: DraptoError | OSError) -> None:
        said = error.message if isinstance(error, DraptoError) else str(error)
        self.why = self.why or sentence(shortened(said, _WHY_AT_MOST))


async def _take(
    settings: Settings, report: FilmReport, taken: _Taken, tell: Callable[[str], None]
) -> None:
    """One frame that cannot be decoded costs its own picture only; whatever else fails, all that
    would come after it."""
    ffmpeg = find_ffmpeg(settings.ffmpeg)
    with tempfile.TemporaryDirectory(prefix="drapto-report-", dir=settings.work_dir) as scratch:
        completed = partial(with_left_out, PyAvReader(ffmpeg))
        pairs = StillPairs(report.manifest, ffmpeg, Path(scratch), completed)
        tell("reading source and output")
        await pairs.open()
        for number, segment in enumerate(report.places, start=1):
            tell(f"taking pictures: {number} of {len(report.places)}")
            try:
                taken.stills[segment.index] = await pairs.of(middle_frame(segment))
            except InputError as error:
                taken.failed(error)
