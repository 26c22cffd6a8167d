"""What is changed in an RPU when its picture is: a crop, a second layer that stays behind."""

from __future__ import annotations

from dataclasses import replace

from drapto.core.crop_border import CropBorder
from drapto.core.dolby_vision import display, mapping
from drapto.core.dolby_vision.rpu import Rpu


def cropped(rpu: Rpu, border: CropBorder) -> Rpu:
    """Level 5, the active area, counted from the new edges. Errors: BitsError."""
    if rpu.display is None:
        return rpu
    return replace(rpu, display=display.cropped(rpu.display, border))


def without_enhancement_layer(rpu: Rpu) -> Rpu:
    """Profile 7 as profile 8.1: the base layer is the whole signal, taken as it is.

    The curves of profile 7 lead to a signal of 12 bits together with the second layer, so they
    are set to change nothing. What displays are told stays. This is mode 2 of dovi_tool.
    """
    header, depths = rpu.header, rpu.header.depths
    if depths is not None:
        depths = replace(depths, enhancement_resampling=False, no_residual=True)
    reset = rpu.mapping and mapping.without_residual(rpu.mapping, header.coding)
    shown = rpu.display and display.as_profile_81(rpu.display)
    return replace(rpu, header=replace(header, depths=depths), mapping=reset, display=shown)
