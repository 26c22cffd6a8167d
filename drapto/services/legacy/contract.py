"""What the legacy scripts print and how they end: `docs/legacy-contract.md` as types.

    report = read_report(run, DetectionReport, what="Legacy detection of in.mkv")

Every script prints one JSON object on stdout. Unknown keys are errors, so that a slip shows; what
a script leaves out is not reported, and nobody compares it.
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import Annotated, NoReturn, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from drapto.core.analysis import FieldOrder, Interlacing
from drapto.core.errors import (
    DraptoError,
    InputError,
    MissingToolError,
    ProcessFailedError,
    ResourceError,
    ScriptContractError,
    UsageError,
    ValidationFailedError,
)
from drapto.core.interfaces import ScriptRun
from drapto.core.media import (
    ColorInfo,
    ContentLight,
    CropRect,
    DolbyVision,
    DynamicRange,
    MasteringDisplay,
    Value,
)
from drapto.core.resources import looks_like_disk_full

PACKAGED_SCRIPTS = Path(__file__).parent / "scripts"
INSTALL_HINT = (
    "The legacy scripts need ffprobe, mediainfo and GNU parallel; on Debian or Ubuntu: "
    "apt-get install ffmpeg mediainfo parallel"
)
CONTRACT_HINT = "What a script has to print is in docs/legacy-contract.md."
MAX_REPORT_BYTES = 8 * 1024 * 1024  # 100,000 segments or a million cuts
SHOWN_CHARACTERS = 300  # of what a script printed, in an error message
NOT_STARTED = frozenset({126, 127})  # a shell's word for: cannot be executed, not found

_POINT = r"\(([\d.e+-]+),([\d.e+-]+)\)"
_MASTERING = re.compile(f"G{_POINT}B{_POINT}R{_POINT}WP{_POINT}L{_POINT}")

Report = TypeVar("Report", bound=Value)


def parse_crop_text(text: str) -> CropRect:
    """'W:H:X:Y'. Raises ValueError."""
    if not re.fullmatch(r"\d+:\d+:\d+:\d+", text):
        raise ValueError("is not W:H:X:Y in whole pixels")
    width, height, x, y = map(int, text.split(":"))
    return CropRect(width=width, height=height, x=x, y=y)


def mastering_text(display: MasteringDisplay) -> str:
    """As SVT-AV1 writes it: 'G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)'."""

    def point(pair: tuple[float, float]) -> str:
        return f"({pair[0]:.10g},{pair[1]:.10g})"

    luminance = (display.max_luminance, display.min_luminance)
    return (
        f"G{point(display.green)}B{point(display.blue)}R{point(display.red)}"
        f"WP{point(display.white)}L{point(luminance)}"
    )


def parse_mastering(text: str) -> MasteringDisplay:
    """The reverse of `mastering_text`. Raises ValueError."""
    found = _MASTERING.fullmatch(text)
    if found is None:
        raise ValueError("is not G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)")
    numbers = [float(number) for number in found.groups()]
    if not all(map(isfinite, numbers)):
        raise ValueError("holds a number that is too large")
    green, blue, red, white, luminance = zip(numbers[::2], numbers[1::2], strict=True)
    return MasteringDisplay(
        green=green,
        blue=blue,
        red=red,
        white=white,
        max_luminance=luminance[0],
        min_luminance=luminance[1],
    )


def parse_light(text: str) -> ContentLight:
    """'MaxCLL,MaxFALL'. Raises ValueError."""
    if not re.fullmatch(r"\d+,\d+", text):
        raise ValueError("is not MaxCLL,MaxFALL in whole cd/m²")
    max_cll, max_fall = map(int, text.split(","))
    return ContentLight(max_cll=max_cll, max_fall=max_fall)


def _readable(parse: object) -> AfterValidator:
    """A text field that must be readable by `parse`; it stays text."""

    def check(text: str) -> str:
        assert callable(parse)
        parse(text)
        return text

    return AfterValidator(check)


# A name of ffmpeg's, such as 'bt2020nc'. It becomes a part of a filter graph, so no more than that.
Word = Annotated[str, Field(pattern=r"^[a-z0-9_+.-]{1,40}$")]
Frame = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class ColorReport(Value):
    """Colour tags as ffmpeg spells them; null where the stream says nothing."""

    primaries: Word | None = None
    transfer: Word | None = None
    matrix: Word | None = None
    range: Word | None = None
    chroma_location: Word | None = None
    mastering_display: Annotated[str, _readable(parse_mastering)] | None = None
    content_light: Annotated[str, _readable(parse_light)] | None = None
    dolby_vision: DolbyVision | None = None

    def color(self) -> ColorInfo:
        mastering, light = self.mastering_display, self.content_light
        return ColorInfo(
            primaries=self.primaries,
            transfer=self.transfer,
            matrix=self.matrix,
            range=self.range,
            chroma_location=self.chroma_location,
            mastering_display=None if mastering is None else parse_mastering(mastering),
            content_light=None if light is None else parse_light(light),
            dolby_vision=self.dolby_vision,
        )


class DetectionReport(Value):
    """What `detect` prints. Only `dynamic_range` and `crop` must be there."""

    dynamic_range: DynamicRange
    crop: Annotated[str, _readable(parse_crop_text)] | None  # 'W:H:X:Y'; null: nothing to cut off
    crop_confidence: Annotated[float, Field(ge=0, le=1)] = 1.0
    color: ColorReport | None = None
    width: Count | None = None
    height: Count | None = None
    streams: tuple[str, ...] | None = None  # 'kind:codec'
    cuts: tuple[Count, ...] | None = None  # first frame of every scene but the first
    interlacing: Interlacing | None = None
    field_order: FieldOrder | None = None  # of what is telecined or mixed
    grain: Annotated[float, Field(ge=0)] | None = None
    notes: tuple[str, ...] = ()  # what the user should know, in plain sentences

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        in_fields = self.interlacing in (
            Interlacing.TOP_FIELD_FIRST,
            Interlacing.BOTTOM_FIELD_FIRST,
        )
        if in_fields and self.field_order and self.field_order.value != self.interlacing:
            raise ValueError(f"field_order {self.field_order} with interlacing {self.interlacing}")
        return self


class SegmentReport(Value):
    """A file with so many frames, or frames [start, end) of the source, or both."""

    path: str | None = None  # relative to DRAPTO_OUTPUT_DIR
    frames: Count | None = None
    start: Frame | None = None
    end: Count | None = None

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        is_range = self.start is not None and self.end is not None
        if not is_range and (self.path is None or self.frames is None):
            raise ValueError("needs path and frames, or start and end")
        return self


class SegmentationReport(Value):
    """What `segment` prints: all segments in order."""

    segments: Annotated[tuple[SegmentReport, ...], Field(min_length=1)]


class EncodingReport(Value):
    """What `encode_segment` prints. Drapto counts the frames itself."""

    frames: Frame
    crf: float | None = None
    deinterlaced: bool = False


def read_report(run: ScriptRun, model: type[Report], *, what: str) -> Report:
    """The JSON object that a script printed.

    Errors: by the exit status as `raise_for_status` says; ScriptContractError where the text is
    not what `model` describes.
    """
    raise_for_status(run, what=what)
    if len(run.stdout) > MAX_REPORT_BYTES:
        broken(run, what, f"more than {MAX_REPORT_BYTES} bytes came out")
    if not run.stdout.strip():
        broken(run, what, "nothing came out")
    try:
        return model.model_validate_json(run.stdout, strict=True)
    except ValidationError as error:
        problems = [
            ": ".join(filter(None, (".".join(map(str, problem["loc"])), problem["msg"])))
            for problem in error.errors()[:3]
        ]
        broken(run, what, "; ".join(problems), cause=error)


def raise_for_status(run: ScriptRun, *, what: str) -> None:
    """Scripts use Drapto's exit codes: 2 usage, 3 bad source, 4 missing program, 5 output wrong.

    Errors: UsageError, InputError, MissingToolError, ValidationFailedError; for every other
    status ProcessFailedError, or ResourceError if stderr speaks of a full disk.
    """
    if run.returncode == 0:
        return
    failure = ProcessFailedError(
        what, command=run.command, returncode=run.returncode, stderr_tail=run.stderr_tail
    )
    raise _translated(run, what, failure) from failure


def _translated(run: ScriptRun, what: str, failure: ProcessFailedError) -> DraptoError:
    if run.returncode == MissingToolError.exit_code or run.returncode in NOT_STARTED:
        return MissingToolError(failure.message, hint=INSTALL_HINT)
    for kind in (UsageError, InputError, ValidationFailedError):
        if run.returncode == kind.exit_code:
            return kind(failure.message)
    if looks_like_disk_full(run.stderr_tail):
        return ResourceError(
            f"{what}: no space is left for what it writes. The script said: "
            + run.stderr_tail.strip()[-SHOWN_CHARACTERS:],
            hint="Free some space, or name another place with --work-dir, and run the same "
            "command again: it goes on from whatever was finished.",
        )
    return failure


def broken(run: ScriptRun, what: str, problem: str, cause: Exception | None = None) -> NoReturn:
    """Errors: ScriptContractError, which shows what the script printed."""
    printed = " ".join(run.stdout[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace").split())
    shown = printed[:SHOWN_CHARACTERS]
    more = "…" if len(run.stdout) > len(shown.encode()) + 2 else ""
    script = run.command[-1]
    raise ScriptContractError(
        f"{what}: {script} ended well, but did not keep to its contract: {problem.rstrip('.')}. "
        + (f"It printed: {shown}{more}" if shown else "It printed nothing."),
        hint=CONTRACT_HINT,
    ) from cause
