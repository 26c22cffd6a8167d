"""The three stages that flags route: who serves detection, segmentation and encoding."""

from __future__ import annotations

from dataclasses import dataclass

from drapto.core.interfaces import DetectionService, EncodingService, SegmentationService


@dataclass(frozen=True)
class Stages:
    detection: DetectionService
    segmentation: SegmentationService
    encoding: EncodingService
