"""Runs the real detection over a composed film written to a real file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drapto.core.analysis import VideoAnalysis
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import Analyzed, Finding, StreamingDetection
from tests.media.film import Planes, source_of, write_film


def findings(
    tmp_path: Path, planes: Planes, asked: EncodeOptions | None = None, **write: Any
) -> list[Finding]:
    return findings_in(write_film(tmp_path / "film.mkv", planes, **write), asked)


def findings_in(path: Path, asked: EncodeOptions | None = None) -> list[Finding]:
    detection = StreamingDetection(PyAvLumaReader(), NumpyBackend())
    video = source_of(path)
    return list(detection.findings(video, asked or EncodeOptions(), lambda done: None))


def analysed(tmp_path: Path, planes: Planes, **write: Any) -> VideoAnalysis:
    return _analysis(findings(tmp_path, planes, **write))


def found_in(path: Path) -> VideoAnalysis:
    return _analysis(findings_in(path))


def _analysis(found: list[Finding]) -> VideoAnalysis:
    last = found[-1]
    assert isinstance(last, Analyzed)
    return last.analysis


def crop_of(tmp_path: Path, planes: Planes, **write: Any) -> tuple[int, int, int, int] | None:
    """(x, y, width, height), or None."""
    rect: CropRect | None = analysed(tmp_path, planes, **write).crop.rect
    return None if rect is None else (rect.x, rect.y, rect.width, rect.height)
