"""What detection would find, from windows of the film alone: the detectors are the same.

    analysis = look(reader, backend, video, windows, options)     # blocking, for a worker thread

A crop or interlacing seen in two minutes of a film is a good guess, not a finding: what only
shows elsewhere is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.errors import InputError
from drapto.core.estimate import Window, WindowReader
from drapto.core.features import FeatureBackend
from drapto.core.job import EncodeOptions
from drapto.core.source import LumaFrame, SourceVideo
from drapto.services.detection.crop import CropDetector
from drapto.services.detection.grain import GrainDetector
from drapto.services.detection.interlacing import PERIOD, InterlacingDetector
from drapto.services.detection.service import Analyzed, DetectionPass, fixed_crop


def look(
    reader: WindowReader,
    backend: FeatureBackend,
    video: SourceVideo,
    windows: Sequence[Window],
    options: EncodeOptions,
) -> VideoAnalysis:
    """Of the coded frames in the windows. `scenes` lie in the windows, and a window that begins
    one is no cut; a window of which nothing can be decoded has none.

    Errors: InputError if that is so of all of them; UsageError if options.crop does not fit.
    """
    fixed = fixed_crop(options.crop, video)
    seen = _Seen(CropDetector(backend), InterlacingDetector(backend), GrainDetector(backend))
    scenes: list[Scene] = []
    decoded, failure = 0, None
    for number, window in enumerate(windows):
        part = _Part(reader, window, number, seen)
        try:
            found = _analyzed(part, backend, video, options)
        except InputError as error:
            failure = error
            continue
        decoded += found.decoded_frames
        scenes += [_moved(scene, window) for scene in found.scenes]
    if failure is not None and not scenes:
        raise failure
    return VideoAnalysis(
        scenes=tuple(scenes),
        crop=fixed or seen.crop.decide(),
        color=video.track.color,
        interlacing=seen.fields.decide(),
        field_order=seen.fields.field_order(),
        grain=seen.grain.level,
        decoded_frames=decoded,
    )


@dataclass(frozen=True)
class _Seen:
    """What is gathered over all windows."""

    crop: CropDetector
    fields: InterlacingDetector
    grain: GrainDetector

    def observe(self, frame: LumaFrame, within: LumaFrame) -> None:
        self.fields.observe(within)
        self.grain.observe(within)
        if not frame.damaged:
            self.crop.observe(frame.number, frame.full, frame.luma, frame.bit_depth)


@dataclass(frozen=True)
class _Part:
    """A LumaReader of one window that lets others see its frames, too."""

    reader: WindowReader
    window: Window
    number: int
    seen: _Seen

    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        stretch = self.reader.stretch(
            video, self.window.start, self.window.end, max_height=max_height
        )
        for position, frame in enumerate(stretch):
            # Fields are looked at in the first frames of every period: of every window here.
            self.seen.observe(frame, replace(frame, number=self.number * PERIOD + position))
            yield replace(frame, number=position)


def _analyzed(
    part: _Part, backend: FeatureBackend, video: SourceVideo, options: EncodeOptions
) -> VideoAnalysis:
    uncropped = options.model_copy(update={"crop": "off"})
    for finding in DetectionPass(part, backend, video, uncropped, _unwatched).run():
        if isinstance(finding, Analyzed):
            return finding.analysis
    raise AssertionError("a detection pass ends with Analyzed")


def _moved(scene: Scene, window: Window) -> Scene:
    start, end = window.start + scene.start, window.start + scene.end
    return scene.model_copy(update={"start": start, "end": end})


def _unwatched(_frames: int) -> None:
    pass
