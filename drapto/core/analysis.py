"""What detection found out by decoding the source once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from drapto.core.media import ColorInfo, CropRect, Value


class Interlacing(StrEnum):
    """How the frames were made; the field order is that of the picture, not of a tag."""

    PROGRESSIVE = "progressive"
    TOP_FIELD_FIRST = "tff"
    BOTTOM_FIELD_FIRST = "bff"
    TELECINED = "telecined"
    MIXED = "mixed"


class FieldOrder(StrEnum):
    """Which field of a frame is the earlier one."""

    TOP_FIRST = "tff"
    BOTTOM_FIRST = "bff"


class Scene(Value):
    """Frames [start, end) between two cuts, and how hard they are to encode."""

    start: int
    end: int
    spatial_complexity: float = 0.0  # mean gradient magnitude of luma, 0..255 scale
    temporal_complexity: float = 0.0  # mean absolute luma difference to the previous frame, 0..255
    mean_luma: float = 0.0  # 0..255

    @property
    def frames(self) -> int:
        return self.end - self.start


class CropDecision(Value):
    """Where the picture is. `rect` is None when nothing is to be cut off."""

    rect: CropRect | None = None
    confidence: float = 0.0  # 0..1
    reason: str = ""  # one plain sentence: why this crop, or why none


class PictureShape(Value):
    """What a decoder says about the form of a frame."""

    width: int
    height: int
    pixel_aspect: Fraction = Fraction(1)
    bit_depth: int = 8

    def __str__(self) -> str:
        pixels = f"{self.pixel_aspect.numerator}:{self.pixel_aspect.denominator}"
        return f"{self.width}x{self.height}, pixels {pixels}, {self.bit_depth} bits"

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def display_aspect(self) -> float:
        """Width by height as a player shows it."""
        return float(self.width * self.pixel_aspect / self.height)


class ShapeChange(Value):
    """Frame `frame` is the first of another form than the one before it."""

    frame: int
    before: PictureShape
    after: PictureShape

    def __str__(self) -> str:
        return f"at frame {self.frame} from {self.before} to {self.after}"


@dataclass(frozen=True)
class CutFound:
    """Known while detection still runs: frame `frame` begins a scene. Final, ascending.

    `scene` is the one that ends there; None: this detection does not know its complexity yet.
    """

    frame: int
    scene: Scene | None = None


@dataclass(frozen=True)
class CropSettled:
    """Known while detection still runs: nothing that follows can change this crop."""

    decision: CropDecision


@dataclass(frozen=True)
class InterlacingSoFar:
    """What the frames looked like until now; said when it is first known and when it changes."""

    interlacing: Interlacing


Finding = CutFound | CropSettled | InterlacingSoFar


class VideoAnalysis(Value):
    """The result of the detection stage.

    `scenes` cover every frame once, in order. `decoded_frames` is what the decoder really
    yielded; where it differs from the demuxed index the orchestrator rebuilds the index from
    `decoded_pts` (None when they agree). `unreported` names what this implementation does not
    look for; such a field holds no finding and is not to be compared.
    """

    scenes: tuple[Scene, ...]
    crop: CropDecision = CropDecision()
    color: ColorInfo = ColorInfo()
    interlacing: Interlacing = Interlacing.PROGRESSIVE
    field_order: FieldOrder | None = None  # None: neither fields nor flags tell
    grain: float = 0.0  # noise standard deviation of flat luma areas, 8-bit code values
    black_frames: tuple[tuple[int, int], ...] = ()  # [start, end) runs
    flash_frames: tuple[int, ...] = ()
    decoded_frames: int = 0
    decoded_pts: tuple[int, ...] | None = None
    decode_errors: int = 0  # frames the decoder marked as damaged
    shape_changes: tuple[ShapeChange, ...] = ()  # joined recordings, broadcasts, calls
    notes: tuple[str, ...] = ()
    unreported: tuple[str, ...] = ()  # names of fields, and 'cuts' and 'complexity' of the scenes

    @property
    def measured_scenes(self) -> tuple[Scene, ...]:
        """Scenes whose complexity is known: none where this implementation does not look for it."""
        return () if "complexity" in self.unreported else self.scenes

    @property
    def cuts(self) -> tuple[int, ...]:
        """First frame of every scene but the first."""
        return tuple(scene.start for scene in self.scenes[1:])
