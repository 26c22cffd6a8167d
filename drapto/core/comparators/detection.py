"""Detection: crop, dynamic range and colour, cuts, interlacing, decoded frames."""

from __future__ import annotations

from drapto.core.analysis import VideoAnalysis
from drapto.core.comparators.color import compare_color
from drapto.core.comparators.positions import compare_positions
from drapto.core.comparators.verdict import Sheet, Terms
from drapto.core.comparison import FieldResult
from drapto.core.media import ColorInfo, CropRect
from drapto.core.routing import Side


def compare_detection(
    legacy: VideoAnalysis,
    new: VideoAnalysis,
    terms: Terms,
    *,
    width: int,
    height: int,
    frames: int,
    color: ColorInfo | None = None,
) -> tuple[FieldResult, ...]:
    """`width`, `height` and `color` are those of the source's track, `frames` is the length of
    its frame index. What legacy names in its `unreported` is left out; what new does not find
    although legacy does is a difference."""
    sheet = Sheet(terms, skip=legacy.unreported)
    _compare_crop(sheet, legacy.crop.rect, new.crop.rect, width, height)
    compare_color(sheet, legacy.color, new.color, color)
    compare_positions(
        sheet,
        "cuts",
        legacy.cuts,
        new.cuts,
        tolerance_frames=terms.tolerances.cut_frames,
        f1_at_least=terms.tolerances.cut_f1,
    )
    sheet.exact("interlacing", legacy.interlacing.value, new.interlacing.value)
    _compare_frames(sheet, legacy.decoded_frames, new.decoded_frames, frames)
    return sheet.fields


def _compare_crop(
    sheet: Sheet, legacy: CropRect | None, new: CropRect | None, width: int, height: int
) -> None:
    """Edge by edge: where new cuts more, it may cut picture; where it cuts less, bars stay.

    Nobody can tell from two rectangles which of them is right, so the one that destroys is
    judged more harshly, and legacy cutting more is no proof that legacy is wrong.
    """
    edges = zip(
        ("left", "top", "right", "bottom"),
        _edges(legacy, width, height),
        _edges(new, width, height),
        strict=True,
    )
    for name, left, right in edges:
        sheet.measured(
            f"crop.{name}",
            f"{left} px",
            f"{right} px",
            abs(right - left),
            sheet.terms.tolerances.crop_px,
            lost_by=Side.NEW if right > left else None,
            detail=f"New cuts {right - left} px more."
            if right > left
            else f"New leaves {left - right} px more.",
        )


def _edges(rect: CropRect | None, width: int, height: int) -> tuple[int, int, int, int]:
    """What is cut off at the left, top, right and bottom, in pixels of the coded frame."""
    if rect is None:
        return 0, 0, 0, 0
    return rect.x, rect.y, width - rect.x - rect.width, height - rect.y - rect.height


def _compare_frames(sheet: Sheet, legacy: int, new: int, frames: int) -> None:
    """Fewer frames are lost ones; more are right only if the frame index has as many."""
    lost_by = None
    if new < legacy:
        lost_by = Side.LEGACY if new == frames else Side.NEW
    elif new > legacy:
        lost_by = Side.LEGACY if new == frames else None
    sheet.measured(
        "decoded_frames",
        str(legacy),
        str(new),
        abs(new - legacy),
        0,
        lost_by=lost_by,
        detail=f"The frame index has {frames}.",
    )
