"""The legacy stages: the same Protocols and the same results as the new ones, made by scripts.

    scripts = Scripts(runner, ffmpeg=ffmpeg, work_dir=directory)
    stages = Stages(
        LegacyDetection(scripts),
        LegacySegmentation(scripts),
        LegacyEncoding(ScriptSegmentExecutor(scripts, inspector), slots),
    )

What the scripts are told is in `variables.py`, what they answer in `contract.py`. Each stage joins
the contract suite of its Protocol: tests/services/test_detection_contract.py,
test_segmentation_contract.py, test_encoding_contract.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from drapto.core.analysis import CropDecision, FieldOrder, Interlacing, Scene, VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing
from drapto.core.interfaces import (
    Encoder,
    FindingCallback,
    ProgressCallback,
    ScriptRun,
    ScriptRunner,
    SegmentInspector,
    unheard,
)
from drapto.core.job import EncodeOptions
from drapto.core.media import ColorInfo, DolbyVision, DynamicRange, Value
from drapto.core.segments import EncodedSegment, Segment, SegmentTask
from drapto.core.source import SourceVideo
from drapto.core.words import count
from drapto.services.detection.service import fixed_crop
from drapto.services.encoding.service import ParallelEncoding
from drapto.services.legacy.contract import (
    DetectionReport,
    EncodingReport,
    SegmentationReport,
    SegmentReport,
    broken,
    parse_crop_text,
    read_report,
)
from drapto.services.legacy.variables import (
    detection_variables,
    encoding_variables,
    segmentation_variables,
)

Report = TypeVar("Report", bound=Value)

# Of an analysis; scripts of this contract look for none of it.
NEVER_REPORTED = (
    *("black_frames", "flash_frames", "complexity", "shape_changes"),
    *("decoded_frames", "decode_errors"),
)
_HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})


@dataclass(frozen=True)
class Scripts:
    """The scripts of one job. `work_dir` is theirs, and made when it is first needed."""

    runner: ScriptRunner
    ffmpeg: Path
    work_dir: Path

    async def call(
        self, stage: str, variables: Mapping[str, str], report: type[Report], *, what: str
    ) -> tuple[Report, ScriptRun]:
        """Errors: as `ScriptRunner.run` and `read_report`."""
        # Without its parents: a work directory that somebody removed must not come back half.
        self.work_dir.mkdir(exist_ok=True)
        common = {
            "DRAPTO_WORK_DIR": str(self.work_dir.absolute()),
            "DRAPTO_FFMPEG": str(self.ffmpeg.absolute()),
        }
        run = await self.runner.run(
            stage, {**common, **variables}, what=what, work_dir=self.work_dir
        )
        return read_report(run, report, what=what), run


class LegacyDetection:
    """Knows nothing before the end, and reports no cuts unless the script does."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def analyze(
        self,
        video: SourceVideo,
        options: EncodeOptions,
        on_progress: ProgressCallback,
        on_finding: FindingCallback = unheard,
    ) -> VideoAnalysis:
        """Errors: UsageError if options.crop does not fit; as `Scripts.call`."""
        asked = fixed_crop(options.crop, video)
        what = f"Legacy detection of {video.origin.path}"
        variables = detection_variables(video, options)
        report, run = await self._scripts.call("detect", variables, DetectionReport, what=what)
        if problem := _misfit(report, video):
            broken(run, what, problem)
        on_progress(len(video.index))
        return analysis_of(report, video, asked)


def analysis_of(
    report: DetectionReport, video: SourceVideo, asked: CropDecision | None
) -> VideoAnalysis:
    """The report in the words of the new detection. `asked` is the crop the user chose."""
    frames = len(video.index)
    borders = [0, *(report.cuts or ()), frames]
    optional = {
        "cuts": report.cuts,
        "interlacing": report.interlacing,
        "grain": report.grain,
        "color": report.color,
    }
    color = video.track.color if report.color is None else report.color.color()
    rect = None if report.crop is None else parse_crop_text(report.crop)
    found = CropDecision(
        rect=rect, confidence=report.crop_confidence, reason="As the legacy scripts found."
    )
    return VideoAnalysis(
        scenes=tuple(Scene(start=start, end=end) for start, end in pairwise(borders)),
        crop=asked or found,
        color=with_dynamic_range(color, report.dynamic_range),
        interlacing=report.interlacing or Interlacing.PROGRESSIVE,
        field_order=report.field_order
        or _ORDERS.get(report.interlacing or Interlacing.PROGRESSIVE),
        grain=report.grain or 0.0,
        decoded_frames=frames,
        notes=report.notes,
        unreported=(*NEVER_REPORTED, *(name for name, said in optional.items() if said is None)),
    )


_ORDERS = {
    Interlacing.TOP_FIELD_FIRST: FieldOrder.TOP_FIRST,
    Interlacing.BOTTOM_FIELD_FIRST: FieldOrder.BOTTOM_FIRST,
}


def with_dynamic_range(color: ColorInfo, said: DynamicRange) -> ColorInfo:
    """`color` with the dynamic range that the scripts name: they serve, so their word holds."""
    if color.dynamic_range is said:
        return color
    vision = color.dolby_vision or DolbyVision(profile=0)  # 0: not known
    plain = color.model_copy(update={"dolby_vision": None, "hdr10_plus": False})
    if said is DynamicRange.DOLBY_VISION:
        return color.model_copy(update={"dolby_vision": vision})
    if said is DynamicRange.HDR10_PLUS:
        return plain.model_copy(update={"hdr10_plus": True})
    if said is DynamicRange.HDR10:
        return plain.model_copy(update={"transfer": "smpte2084"})
    if said is DynamicRange.HLG:
        return plain.model_copy(update={"transfer": "arib-std-b67"})
    transfer = None if color.transfer in _HDR_TRANSFERS else color.transfer
    static = {"mastering_display": None, "content_light": None}
    return plain.model_copy(update={"transfer": transfer, **static})


def _misfit(report: DetectionReport, video: SourceVideo) -> str | None:
    """What cannot be true of this video, in words."""
    width, height = video.track.width or 0, video.track.height or 0
    if report.crop is not None:
        crop = parse_crop_text(report.crop)
        inside = crop.x + crop.width <= width and crop.y + crop.height <= height
        even = not any(value % 2 for value in (crop.width, crop.height, crop.x, crop.y))
        if not (inside and even and crop.width and crop.height):
            return f"crop {crop} is not an even part of the {width}x{height} picture"
    cuts = report.cuts or ()
    if list(cuts) != sorted(set(cuts)) or (cuts and cuts[-1] >= len(video.index)):
        return f"the cuts do not ascend below {len(video.index)}, the number of frames"
    return None


class LegacySegmentation:
    """Cuts the source into files in a directory of the job, or names ranges: as the script does."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def planner(self, video: SourceVideo, options: EncodeOptions) -> None:
        """The script sees the whole film first."""
        return

    async def plan(
        self, video: SourceVideo, analysis: VideoAnalysis, options: EncodeOptions
    ) -> tuple[Segment, ...]:
        """The script counts the frames of the source; of what becomes of them it knows nothing.

        Errors: ScriptContractError if the segments do not cover every frame once; as
        `Scripts.call`.
        """
        coded = await self._coded(video.as_coded, options)
        return shown_segments(coded, video.deinterlacing)

    async def _coded(self, video: SourceVideo, options: EncodeOptions) -> tuple[Segment, ...]:
        directory = self._scripts.work_dir / "segments"
        shutil.rmtree(directory, ignore_errors=True)
        self._scripts.work_dir.mkdir(exist_ok=True)
        directory.mkdir()
        what = f"Legacy segmentation of {video.origin.path}"
        variables = segmentation_variables(video, options, directory)
        report, run = await self._scripts.call("segment", variables, SegmentationReport, what=what)
        segments = segments_of(report, directory)
        if problem := _uncovered(segments, len(video.index)):
            broken(run, what, problem)
        return segments


def shown_segments(coded: tuple[Segment, ...], work: Deinterlacing) -> tuple[Segment, ...]:
    """The same borders in shown frames. A file that was cut cannot be deinterlaced to its very
    ends, which need the frames beyond, so these segments are ranges."""
    if work.is_off:
        return coded
    segments: list[Segment] = []
    for segment in coded:
        start, end = work.shown_frame(segment.start), work.shown_frame(segment.end)
        if end > start:
            segments.append(Segment(index=len(segments), start=start, end=end))
    return tuple(segments)


def segments_of(report: SegmentationReport, directory: Path) -> tuple[Segment, ...]:
    """Numbered in their order; a file without a range begins where the one before it ends."""
    segments: list[Segment] = []
    for entry in report.segments:
        start, end = _range_of(entry, segments[-1].end if segments else 0)
        path = None if entry.path is None else directory / entry.path
        segments.append(Segment(index=len(segments), start=start, end=end, path=path))
    return tuple(segments)


def _range_of(entry: SegmentReport, follows: int) -> tuple[int, int]:
    if entry.start is not None and entry.end is not None:
        return entry.start, entry.end
    return follows, follows + (entry.frames or 0)


def _uncovered(segments: tuple[Segment, ...], frames: int) -> str | None:
    """What is wrong with the cover of the film, in words."""
    expected = 0
    for segment in segments:
        if segment.start != expected or segment.frames <= 0:
            return (
                f"segment {segment.index} covers frames {segment.start} to {segment.end}, but the "
                f"one before it ends at {expected}"
            )
        if segment.path is not None and not segment.path.is_file():
            return f"segment {segment.index}, {segment.path}, does not exist"
        expected = segment.end
    if expected != frames:
        return f"its segments hold {count(expected, 'frame')}, the source has {frames}"
    return None


class ScriptSegmentExecutor:
    """A `SegmentExecutor` that lets the script encode.

    The first attempt reads the segment's own file where there is one; every other reads the range
    of the source, which also helps where the file is gone or was cut wrong. `vmaf_target` None:
    the CRF of the task.
    """

    def __init__(
        self, scripts: Scripts, inspector: SegmentInspector, *, vmaf_target: float | None = None
    ) -> None:
        self._scripts = scripts
        self._inspector = inspector
        self._vmaf_target = vmaf_target

    async def run(self, task: SegmentTask, on_progress: ProgressCallback) -> EncodedSegment:
        """Errors: as `Scripts.call`; ScriptContractError if there is no output."""
        what = f"Legacy encoding of segment {task.segment.index}"
        partial = task.output.with_suffix(f".partial{task.output.suffix}")
        partial.unlink(missing_ok=True)  # a link there would be followed by the script
        variables = encoding_variables(
            task, partial, file=_own_file(task), vmaf_target=self._vmaf_target
        )
        try:
            report, run = await self._scripts.call(
                "encode_segment", variables, EncodingReport, what=what
            )
            if task.fields is not None and not report.deinterlaced:
                broken(run, what, "it does not say that it used DRAPTO_DEINTERLACE")
            if not partial.is_file():
                broken(run, what, "there is no file at DRAPTO_OUTPUT")
            done = await self._inspector.accept(task, partial, run.use)
        finally:
            partial.unlink(missing_ok=True)
        on_progress(done.frames)
        return done


def _own_file(task: SegmentTask) -> Path | None:
    path = task.segment.path if task.fields is None else None
    return path if task.attempt == 0 and path is not None and path.is_file() else None


class LegacyEncoding(ParallelEncoding):
    """The scheduling, counting and retries of the new stage; the scripts' own quality."""

    @property
    def has_own_encoders(self) -> bool:
        return False

    def default_crf(self, encoder: Encoder, width: int) -> float:
        """25 up to 1920 wide, 29 above, whatever the encoder: the scripts know only one."""
        return 25.0 if width <= 1920 else 29.0

    def steers(self, encoder: Encoder) -> bool:
        """The scripts have an aim of their own: a CRF, or `legacy_vmaf_target`."""
        return False
