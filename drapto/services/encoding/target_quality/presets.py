"""What other presets of SVT-AV1 than 6 make of an ordinary film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drapto.services.encoding.target_quality.curves import KNOTS, Prior
from drapto.services.encoding.target_quality.ordinary import ORDINARY

# How much higher ln(103 - VMAF) and ln(bytes) are than at preset 6: means over 46 scenes at CRF 25,
# 35 and 45, printed by bench/target_quality_presets.py, with standard deviations of 0.09 and 0.18
# (10) and 0.11 and 0.15 (13). SVT-AV1 4 takes 12 and 13 for 11. Slower presets than 6 were not
# measured, and count as 6.
_PRESETS, _WORSE, _LARGER = (6, 10, 11), (0.0, 0.106, 0.233), (0.0, 0.174, 0.149)


def ordinary(preset: int) -> Prior:
    """The shipped prior for a preset of SVT-AV1."""
    gap = float(np.interp(preset, _PRESETS, _WORSE))
    rate = float(np.interp(preset, _PRESETS, _LARGER))
    shifts = (gap,) * len(KNOTS) + (rate,) * len(KNOTS)
    mean = tuple(value + shift for value, shift in zip(ORDINARY.mean, shifts, strict=True))
    return replace(ORDINARY, mean=mean)
