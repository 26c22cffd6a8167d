"""The frame index: when every frame of a video is shown, and where a decoder can start.

Made by `infrastructure/ffmpeg/frames.py`; part of `core/media.py`, where the rest of the code
imports it from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Every frame of one video stream in display order: the only authority on 'frame 1234'.

    `pts` and `duration` are in units of `time_base`, shape (frames,), int64; `pts` strictly
    increases. `key` marks the frames a decoder can start from. `synthetic` says that the
    container carried no usable timestamps and these were made from the frame rate, so the
    source cannot be addressed by time until it is rewrapped. `as_decoded` says that the frames are
    those that the ffmpeg program decodes, which the packets do not tell: see core/decoded_times.py.
    """

    time_base: Fraction
    pts: Int64Array
    duration: Int64Array
    key: BoolArray
    synthetic: bool = False
    as_decoded: bool = False
    notes: tuple[str, ...] = field(default=())  # what had to be repaired, in plain words

    def __post_init__(self) -> None:
        for array in (self.pts, self.duration, self.key):
            if array.shape != self.pts.shape:
                raise ValueError("frame index arrays differ in length")
            array.setflags(write=False)
        if len(self.pts) > 1 and not bool(np.all(np.diff(self.pts) > 0)):
            raise ValueError("frame index timestamps must strictly increase")

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def end_pts(self) -> int:
        """The timestamp at which the last frame stops being shown."""
        return int(self.pts[-1] + self.duration[-1]) if len(self) else 0

    @property
    def duration_s(self) -> float:
        return float((self.end_pts - int(self.pts[0])) * self.time_base) if len(self) else 0.0

    @cached_property
    def frame_rate(self) -> Fraction:
        """Nominal frame rate, as the field writes it: of the usual frame distance.

        With a coarse time base (Matroska's 1 ms) single distances are rounded, so it is the
        mean of all those near the median.
        """
        if len(self) < 2:
            step = int(self.duration[0]) if len(self) else 0
            return 1 / (step * self.time_base) if step > 0 else Fraction(25)
        span = Fraction(int(self.pts[-1] - self.pts[0])) * self.time_base
        mean = (len(self) - 1) / span
        steps = np.diff(self.pts)
        if int(steps.max()) - int(steps.min()) > 2:  # variable: the usual distance counts
            median = float(np.median(steps))
            usual = steps[np.abs(steps - median) <= max(1.0, median / 4)]
            mean = len(usual) / (Fraction(int(usual.sum())) * self.time_base)
        return _standard_rate(mean)

    @property
    def is_constant_rate(self) -> bool:
        """True if no frame is further than one tick and 1 ms from an even grid."""
        if len(self) < 3:
            return True
        grid = np.linspace(float(self.pts[0]), float(self.pts[-1]), len(self))
        tolerance = max(1.0, 0.001 / float(self.time_base))
        return bool(np.max(np.abs(self.pts - grid)) <= tolerance)

    def key_before(self, frame: int) -> int:
        """The last key frame at or before `frame`; 0 if there is none."""
        keys = np.flatnonzero(self.key[: frame + 1])
        return int(keys[-1]) if len(keys) else 0

    def time_s(self, frame: int) -> float:
        """Presentation time of `frame` in seconds, for people."""
        return float(int(self.pts[frame]) * self.time_base)

    def digest(self) -> str:
        """A short hash of every timestamp: two equal digests are the same index."""
        state = blake2b(digest_size=16)
        state.update(f"{self.time_base}:{len(self)}".encode())
        for array in (self.pts, self.duration, self.key):
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Plain facts for `drapto probe` and the manifest."""
        return {
            "frames": len(self),
            "time_base": str(self.time_base),
            "frame_rate": str(self.frame_rate),
            "constant_rate": self.is_constant_rate,
            "key_frames": int(np.count_nonzero(self.key)),
            "first_pts": int(self.pts[0]) if len(self) else None,
            "duration_s": round(self.duration_s, 6),
            "synthetic": self.synthetic,
            "notes": list(self.notes),
        }


# Rates that broadcast and film use; 1001 denominators are NTSC's (SMPTE ST 12-1).
_STANDARD_RATES = tuple(
    Fraction(n, d)
    for n, d in (
        (12, 1), (25, 2), (15, 1), (24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1),
        (48000, 1001), (48, 1), (50, 1), (60000, 1001), (60, 1), (100, 1), (120000, 1001), (120, 1),
    )
)  # fmt: skip


def _standard_rate(rate: Fraction) -> Fraction:
    """The standard rate within 0.02 % of `rate`, else `rate` with a small denominator.

    24 and 24000/1001 differ by 0.1 %, so 0.02 % never confuses them.
    """
    nearest = min(_STANDARD_RATES, key=lambda s: abs(s - rate))
    if abs(nearest - rate) <= nearest / 5000:
        return nearest
    return rate.limit_denominator(1001)
