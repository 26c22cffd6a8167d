"""The detection stage: one decoding pass over the source, and what it tells.

`StreamingDetection` implements `DetectionService` (contract suite:
tests/services/test_detection_contract.py). It promises:

- one pass, in a worker thread; cancelling the task ends it within a few frames;
- scenes that cover every decoded frame once; cuts that do not depend on timing or batch size;
- the decoded truth: `decoded_pts` is set whenever what the decoder yielded differs from the
  frame index.

    detection = StreamingDetection(PyAvLumaReader(), NumpyBackend())
    analysis = await detection.analyze(video, EncodeOptions(), lambda frames: None)

The pass itself is `DetectionPass`, an iterator: `CutFound` and `CropSettled` come out as soon as
they are final, `InterlacingSoFar` when it changes, `Analyzed` last. Whoever wants to start encoding
while the rest is analysed listens with `on_finding`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio
import anyio.from_thread
import anyio.to_thread
import numpy as np
import numpy.typing as npt

from drapto.core.analysis import (
    CropDecision,
    CropSettled,
    CutFound,
    Finding,
    InterlacingSoFar,
    Scene,
    VideoAnalysis,
)
from drapto.core.errors import InputError, UsageError
from drapto.core.features import U8, Bool, FeatureBackend, LumaFeatures
from drapto.core.interfaces import FindingCallback, LumaReader, ProgressCallback, unheard
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect
from drapto.core.source import SourceVideo
from drapto.services.detection.crop import CropDetector
from drapto.services.detection.cuts import CutDetector
from drapto.services.detection.grain import GrainDetector
from drapto.services.detection.interlacing import InterlacingDetector
from drapto.services.detection.scenes import runs, scene, scenes
from drapto.services.detection.shape import ShapeWatcher

Series = npt.NDArray[np.float32]

# 135 rows for 1080p: what cuts and complexity need, and small beside decoding.
LUMA_HEIGHT = 144
BATCH = 16  # frames a backend gets at once
# A frame is black if 98 % of it is under code 32 (FFmpeg's blackdetect: 98 % under 38) and next
# to nothing reaches 64, as text would.
_BLACK_BELOW, _BLACK_SHARE = 32, 0.98
_DIM_BELOW, _DIM_SHARE = 64, 0.999


@dataclass(frozen=True)
class Analyzed:
    analysis: VideoAnalysis


class StreamingDetection:
    """See the module's text."""

    def __init__(self, reader: LumaReader, backend: FeatureBackend) -> None:
        self._reader = reader
        self._backend = backend

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        """Errors: InputError if no frame decodes, UsageError if options.crop does not fit."""
        return await anyio.to_thread.run_sync(self._run, video, options, on_progress, on_finding)

    def findings(
        self, video: SourceVideo, options: EncodeOptions, on_progress: ProgressCallback
    ) -> Iterator[Finding | Analyzed]:
        """The same pass as a blocking iterator, for a worker thread."""
        return DetectionPass(self._reader, self._backend, video, options, on_progress).run()

    def _run(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback,
    ) -> VideoAnalysis:
        for finding in self.findings(video, options, on_progress):
            if isinstance(finding, Analyzed):
                return finding.analysis
            on_finding(finding)
        raise AssertionError("a detection pass ends with Analyzed")


@dataclass
class DetectionPass:
    """One run over one video. Use `run` once."""

    reader: LumaReader
    backend: FeatureBackend
    video: SourceVideo
    options: EncodeOptions
    on_progress: ProgressCallback
    # Per batch (4, n): spatial, temporal, mean, black. With the timestamp this is all that is kept
    # of every frame, 15 MB for three hours of film; detectors keep numbers and a few pictures.
    _series: list[Series] = field(default_factory=list)
    _pts: list[int] = field(default_factory=list)
    _damaged: int = 0
    _cuts: list[int] = field(default_factory=list)
    _last_luma: U8 | None = None

    def run(self) -> Iterator[Finding | Analyzed]:
        fixed = fixed_crop(self.options.crop, self.video)
        if fixed is not None:
            yield CropSettled(fixed)
        cropper = CropDetector(self.backend) if fixed is None else None
        cutter = CutDetector(self.video.index.frame_rate)
        combs, grain = InterlacingDetector(self.backend), GrainDetector(self.backend)
        shapes = ShapeWatcher()
        batch: list[U8] = []
        for frame in self.reader.frames(self.video, max_height=LUMA_HEIGHT):
            self._pts.append(frame.pts)
            self._damaged += frame.damaged
            shapes.observe(frame)
            said = combs.so_far
            combs.observe(frame)
            if combs.so_far is not None and combs.so_far is not said:
                yield InterlacingSoFar(combs.so_far)
            grain.observe(frame)
            if cropper is not None and not frame.damaged:
                was_settled = cropper.settled
                cropper.observe(frame.number, frame.full, frame.luma, frame.bit_depth)
                if cropper.settled and not was_settled:
                    yield CropSettled(cropper.decide())
            batch.append(frame.luma)
            if len(batch) == BATCH:
                yield from self._digest(batch, cutter)
                batch = []
        if batch:
            yield from self._digest(batch, cutter)
        if not self._pts:
            raise InputError(
                f"{self.video.origin.path}: not one video frame could be decoded.",
                hint="The file may be damaged or encrypted.",
            )
        yield from self._found(cutter.finish())
        crop = fixed or (cropper.decide() if cropper else CropDecision())
        if cropper is not None and not cropper.settled:
            yield CropSettled(crop)
        yield Analyzed(self._analysis(crop, cutter, combs, grain, shapes))

    def _digest(self, batch: list[U8], cutter: CutDetector) -> Iterator[CutFound]:
        """Features and cuts of a batch; the place where cancellation is noticed."""
        _check_cancelled()
        stacked = np.stack(batch)
        features = self.backend.luma(stacked, self._last_luma)
        self._last_luma = stacked[-1]
        black = is_black(features)
        self._series.append(
            np.stack((features.spatial, features.temporal, features.mean, black)).astype(np.float32)
        )
        for i in range(len(features)):
            mean, deviation = float(features.mean[i]), float(features.deviation[i])
            thumb = features.thumbs[i]
            yield from self._found(
                cutter.push(thumb, mean=mean, deviation=deviation, black=bool(black[i]))
            )
        self.on_progress(len(self._pts))

    def _found(self, cuts: list[int]) -> Iterator[CutFound]:
        for cut in cuts:
            start = self._cuts[-1] if self._cuts else 0
            self._cuts.append(cut)
            yield CutFound(cut, self._scene(start, cut))

    def _scene(self, start: int, end: int) -> Scene:
        """Frames [start, end), of which every batch has been digested."""
        first = start // BATCH
        batches = self._series[first : (end - 1) // BATCH + 1]
        whole = np.concatenate(batches, axis=1)
        spatial, temporal, mean, _ = whole[:, start - first * BATCH : end - first * BATCH]
        return scene(start, spatial=spatial, temporal=temporal, mean=mean)

    def _analysis(
        self,
        crop: CropDecision,
        cutter: CutDetector,
        combs: InterlacingDetector,
        grain: GrainDetector,
        shapes: ShapeWatcher,
    ) -> VideoAnalysis:
        spatial, temporal, mean, black = np.concatenate(self._series, axis=1)
        pts, notes = _repaired(self._pts)
        expected = self.video.index.pts
        agrees = len(pts) == len(expected) and bool(np.array_equal(pts, expected))
        return VideoAnalysis(
            scenes=scenes(self._cuts, spatial=spatial, temporal=temporal, mean=mean),
            crop=crop,
            color=self.video.track.color,
            interlacing=combs.decide(),
            field_order=combs.field_order(),
            grain=grain.level,
            black_frames=runs(black > 0),
            flash_frames=tuple(cutter.flashes),
            decoded_frames=len(pts),
            decoded_pts=None if agrees else tuple(pts),
            decode_errors=self._damaged,
            shape_changes=tuple(shapes.changes),
            notes=notes,
        )


def fixed_crop(asked: str | CropRect, video: SourceVideo) -> CropDecision | None:
    """The decision where the user has made it; None for 'auto'. Raises UsageError."""
    if asked == "auto":
        return None
    if not isinstance(asked, CropRect):
        return CropDecision(confidence=1.0, reason="Cropping is off.")
    if any(value % 2 for value in (asked.width, asked.height, asked.x, asked.y)):
        raise UsageError(
            f"--crop {asked}: every number has to be even.",
            hint="Chroma is stored for pairs of rows and columns.",
        )
    width, height = video.track.width or 0, video.track.height or 0
    inside = (
        min(asked.width, asked.height) >= 2
        and min(asked.x, asked.y) >= 0
        and asked.x + asked.width <= width
        and asked.y + asked.height <= height
    )
    if not inside:
        raise UsageError(
            f"--crop {asked} does not lie inside the {width}x{height} picture.",
            hint="The order is width:height:x:y, in pixels of the unrotated frame.",
        )
    whole = (asked.width, asked.height) == (width, height)
    return CropDecision(rect=None if whole else asked, confidence=1.0, reason="As asked.")


def is_black(features: LumaFeatures) -> Bool:
    dark = features.dark_share(_BLACK_BELOW) >= _BLACK_SHARE
    black: Bool = dark & (features.dark_share(_DIM_BELOW) >= _DIM_SHARE)
    return black


def _repaired(pts: list[int]) -> tuple[list[int], tuple[str, ...]]:
    """Strictly increasing timestamps: one that is not becomes the one before plus a tick."""
    repaired, changed = [pts[0]], 0
    for value in pts[1:]:
        changed += value <= repaired[-1]
        repaired.append(max(value, repaired[-1] + 1))
    if not changed:
        return repaired, ()
    return repaired, (f"{changed} decoded timestamps did not increase and were moved.",)


def _check_cancelled() -> None:
    """Raise if the task that waits for this thread was cancelled; nothing outside anyio."""
    try:
        anyio.from_thread.check_cancelled()
    except RuntimeError:  # not in a worker thread of anyio
        return
