"""Compares colour: tags exactly; HDR, which must not get lost, by what each side still has."""

from __future__ import annotations

from typing import Any

from drapto.core.comparators.verdict import Sheet, loser, said
from drapto.core.media import ColorInfo, ContentLight, DolbyVision, DynamicRange, MasteringDisplay
from drapto.core.routing import Side

# What a side has lost if it has a lower number than the other. HDR10 and HLG are different
# signals: one in place of the other is wrong, not poorer.
_RICHNESS = {
    DynamicRange.SDR: 0,
    DynamicRange.HLG: 1,
    DynamicRange.HDR10: 1,
    DynamicRange.HDR10_PLUS: 2,
    DynamicRange.DOLBY_VISION: 3,
}

# Tools print these rounded: chromaticities to three decimals, luminances to one per cent at most.
_CHROMATICITY_STEP = 0.001
_LUMINANCE_SHARE = 0.01
_LUMINANCE_STEP = 0.0001  # cd/m², of SMPTE ST 2086


def compare_color(
    sheet: Sheet, legacy: ColorInfo, new: ColorInfo, source: ColorInfo | None = None
) -> None:
    """Adds `dynamic_range` and `color.*`. `source`: what the source says, the referee."""
    _compare_range(sheet, legacy, new, source)
    for name in ("primaries", "transfer", "matrix", "range", "chroma_location"):
        sheet.exact(f"color.{name}", getattr(legacy, name), getattr(new, name))
    for name in ("mastering_display", "content_light", "dolby_vision"):
        _compare_metadata(sheet, f"color.{name}", getattr(legacy, name), getattr(new, name))
    _compare_metadata(sheet, "color.hdr10_plus", legacy.hdr10_plus or None, new.hdr10_plus or None)


def _compare_range(
    sheet: Sheet, legacy: ColorInfo, new: ColorInfo, source: ColorInfo | None
) -> None:
    left, right = legacy.dynamic_range, new.dynamic_range
    difference = _RICHNESS[right] - _RICHNESS[left]
    if difference:
        lost_by: Side | None = Side.NEW if difference < 0 else Side.LEGACY
    else:
        lost_by = loser(left, right, source.dynamic_range if source is not None else None)
    if lost_by is Side.LEGACY and source is not None and right is not source.dynamic_range:
        lost_by = None  # new claims more than the source has
    detail = "" if lost_by is None else f"{lost_by.value.capitalize()} loses it."
    sheet.exact("dynamic_range", left.value, right.value, lost_by=lost_by, detail=detail)


def _compare_metadata(sheet: Sheet, name: str, legacy: Any, new: Any) -> None:
    """Metadata that one side lacks is lost by it; two different ones are a mismatch."""
    lost_by = None
    if (legacy is None) != (new is None):
        lost_by = Side.NEW if new is None else Side.LEGACY
    same = legacy == new or (legacy is not None and new is not None and _alike(legacy, new))
    detail = "" if lost_by is None else f"{lost_by.value.capitalize()} loses it."
    sheet.measured(
        name, _short(legacy), _short(new), 0.0 if same else 1.0, 0.0, lost_by=lost_by, detail=detail
    )


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, MasteringDisplay) and isinstance(b, MasteringDisplay):
        points = zip(
            (*a.red, *a.green, *a.blue, *a.white),
            (*b.red, *b.green, *b.blue, *b.white),
            strict=True,
        )
        lights = ((a.min_luminance, b.min_luminance), (a.max_luminance, b.max_luminance))
        return all(abs(p - q) <= _CHROMATICITY_STEP for p, q in points) and all(
            abs(p - q) <= max(_LUMINANCE_STEP, _LUMINANCE_SHARE * max(p, q)) for p, q in lights
        )
    if isinstance(a, DolbyVision) and isinstance(b, DolbyVision):
        unknown = None in (a.compatibility_id, b.compatibility_id)
        return a.profile == b.profile and (unknown or a.compatibility_id == b.compatibility_id)
    return False


def _short(value: Any) -> str:
    if isinstance(value, MasteringDisplay):
        return f"{value.min_luminance:g} to {value.max_luminance:g} cd/m²"
    if isinstance(value, ContentLight):
        return f"MaxCLL {value.max_cll}, MaxFALL {value.max_fall} cd/m²"
    if isinstance(value, DolbyVision):
        return f"profile {value.profile}"
    return said(value)
