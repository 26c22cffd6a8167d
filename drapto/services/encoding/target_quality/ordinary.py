"""What an ordinary film is like: the prior that Drapto is shipped with.

Printed by bench/target_quality_prior.py from 46 scenes of 12 sources (1.5 to 5 s,
340 to 1920 pixels wide, three with added noise) at 9 CRFs each: SVT-AV1 4.2, preset 6, 10 bits,
VMAF v0.6.1. It only decides where a film begins: what is measured in the film itself soon weighs
more. Features: `complexity` in film.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drapto.services.encoding.target_quality.curves import KNOTS, Prior

# How much higher ln(103 - VMAF) and ln(bytes) are at other presets: means over the same 46 scenes
# at CRF 25, 35 and 45, with standard deviations of 0.09 and 0.17 (10) and 0.11 and 0.15 (13).
# SVT-AV1 4 takes 12 and 13 for 11. Slower presets than 6 were not measured, and count as 6.
_PRESETS, _WORSE, _LARGER = (6, 10, 11), (0.0, 0.106, 0.233), (0.0, 0.174, 0.149)


def ordinary(preset: int) -> Prior:
    """The shipped prior for a preset of SVT-AV1."""
    gap = float(np.interp(preset, _PRESETS, _WORSE))
    rate = float(np.interp(preset, _PRESETS, _LARGER))
    shifts = (gap,) * len(KNOTS) + (rate,) * len(KNOTS)
    mean = tuple(value + shift for value, shift in zip(ORDINARY.mean, shifts, strict=True))
    return replace(ORDINARY, mean=mean)


# fmt: off
ORDINARY = Prior(
    mean=(
        1.507, 1.622, 1.74, 1.911, 2.131, 2.351, 2.57, 2.761, 2.977,
        -1.753, -2.165, -2.49, -2.829, -3.179, -3.495, -3.794, -4.071, -4.366,
    ),
    shapes=(
        (0.06421, 0.0534, 0.03845, 0.01371, -0.01923, -0.05108, -0.07851, -0.1009, -0.1166,
        -0.3066, -0.3226, -0.3319, -0.3297, -0.3223, -0.3064, -0.2896, -0.2708, -0.2488),
        (0.03473, 0.08761, 0.1333, 0.1769, 0.2028, 0.2043, 0.1895, 0.1721, 0.1527,
        0.03232, -0.01043, -0.03774, -0.06565, -0.0938, -0.1137, -0.1257, -0.133, -0.1388),
        (-0.2007, -0.2079, -0.1981, -0.1539, -0.06635, 0.01619, 0.09552, 0.1452, 0.1841,
        -0.2126, -0.134, -0.07112, -0.05757, -0.06546, -0.0869, -0.1136, -0.1373, -0.1556),
        (0.04636, 0.04345, 0.04532, 0.03879, 0.01624, 0.01624, 0.02116, 0.02354, 0.04282,
        -0.7765, -0.341, 0.0004149, 0.1127, 0.1735, 0.2039, 0.2146, 0.2284, 0.2331),
        (-0.2717, -0.129, 0.004063, 0.1386, 0.1613, 0.08515, -0.008596, -0.1249, -0.2158,
        -0.2173, 0.1256, 0.2547, 0.1611, 0.01981, -0.07195, -0.1061, -0.08934, -0.02481),
    ),
    weights=(
        (6.294, -1.486, -0.9855),
        (-0.9334, 0.2443, 0.0601),
        (2.4, -0.8017, 0.4693),
        (0.1478, -0.02512, -0.05833),
        (-0.2057, 0.06282, -0.01905),
    ),
    between=(
        (2.364, 0.1149, 0.1947, -0.05588, 0.007415),
        (0.1149, 0.7869, 0.04268, -0.005022, 0.001257),
        (0.1947, 0.04268, 0.245, -0.003646, 0.000897),
        (-0.05588, -0.005022, -0.003646, 0.0829, -0.003956),
        (0.007415, 0.001257, 0.000897, -0.003956, 0.01058),
    ),
    within=(
        (0.478, 0.03654, 0.004685, -0.0387, -0.003296),
        (0.03654, 0.6929, -0.05098, 0.03522, -0.02451),
        (0.004685, -0.05098, 0.1963, 0.03168, 0.02576),
        (-0.0387, 0.03522, 0.03168, 0.116, 0.005558),
        (-0.003296, -0.02451, 0.02576, 0.005558, 0.0308),
    ),
)
