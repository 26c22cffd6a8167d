"""How grainy the film is: the noise of its flat areas, over time.

Every 48th frame (two seconds of film) is measured in its central 512x288 pixels by the
backend's `noise` (Immerkaer 1996, on the quietest quarter of 16 pixel blocks); the median over
the film is the level, in 8-bit code values. 0 to 1: clean; 2 to 4: film grain; above: noisy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from drapto.core.features import FeatureBackend
from drapto.core.source import LumaFrame

_PERIOD = 48
_WIDTH, _HEIGHT = 512, 288  # enough blocks for a median, a tenth of a 1080p frame's time


@dataclass
class GrainDetector:
    """`observe` every frame, then read `level`."""

    backend: FeatureBackend
    _levels: list[float] = field(default_factory=list)
    _due: int = 0

    def observe(self, frame: LumaFrame) -> None:
        if frame.number < self._due or frame.damaged:
            return
        height, width = frame.full.shape
        top, left = max(0, (height - _HEIGHT) // 2), max(0, (width - _WIDTH) // 2)
        centre = frame.full[top : top + _HEIGHT, left : left + _WIDTH]
        level = self.backend.noise(centre, frame.bit_depth)
        if level is None:  # too dark or too bright: try again soon
            self._due = frame.number + _PERIOD // 8
        else:
            self._levels.append(level)
            self._due = frame.number + _PERIOD

    @property
    def level(self) -> float:
        return round(float(np.median(self._levels)), 3) if self._levels else 0.0
