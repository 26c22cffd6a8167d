"""Station logos: small marks in a bar that stay as they are.

A mark that never moves nor changes, stands clear of the picture and is there for most of the
film is a logo. One mark is remembered for each bar ('top', 'bottom', 'left', 'right').
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from drapto.core.features import CELL_PX
from drapto.services.detection.crop_verdict import Box

_SIDE_SHARE = 0.2  # of the frame's width and height
_MAX_CHANGE = 12.0  # 8-bit codes, mean over the mark
_PICTURE_SHARE = 0.5  # of all pictures
_GAP_PX = 2
_PATCH = (16, 16)  # pixels that a mark is compared in


@dataclass
class _Mark:
    """A small thing seen in one bar: a logo, if it stays as it is."""

    box: Box
    patch: npt.NDArray[np.float32]
    seen: int = 1


@dataclass
class LogoWatch:
    """The marks of one film, as long as each may be a logo."""

    _marks: dict[str, _Mark] = field(default_factory=dict)

    def may_be(
        self, side: str, box: Box, picture: Box, full: npt.NDArray[Any], bit_depth: int
    ) -> bool:
        """Whether what is lit in a bar is small, clear of the picture and as it was before.

        `full` is the whole plane, `box` what is lit in it.
        """
        height, width = full.shape
        if box.bottom - box.top > _SIDE_SHARE * height:
            return False
        if box.right - box.left > _SIDE_SHARE * width:
            return False
        if box.spread(_GAP_PX).touches(picture):
            return False
        mark = self._marks.get(side)
        if mark is not None and not mark.box.spread(CELL_PX).contains(box):
            return False
        where = mark.box if mark else box
        patch = _patch(full[where.top : where.bottom, where.left : where.right], bit_depth)
        if mark is None:
            self._marks[side] = _Mark(where, patch)
            return True
        mark.seen += 1
        return float(np.abs(patch - mark.patch).mean()) <= _MAX_CHANGE

    def given_up(self, side: str, box: Box) -> Box:
        """`box` turned out to be picture: so was the mark of that bar. Both together."""
        mark = self._marks.pop(side, None)
        return box.union(mark.box) if mark else box

    def marks(self) -> Iterator[tuple[str, Box]]:
        """Every mark that is remembered, with its bar."""
        return ((side, mark.box) for side, mark in self._marks.items())

    def seen_in_most(self, pictures: int) -> frozenset[str]:
        """The bars that hold a logo: a mark in at least half of all pictures."""
        least = _PICTURE_SHARE * pictures
        return frozenset(side for side, mark in self._marks.items() if mark.seen >= least)


def _patch(pixels: npt.NDArray[Any], bit_depth: int) -> npt.NDArray[np.float32]:
    """Shrunk or stretched to one size, in 8-bit codes."""
    import cv2

    patch = cv2.resize(pixels, _PATCH, interpolation=cv2.INTER_AREA).astype(np.float32)
    return patch * np.float32(1.0 / (1 << (bit_depth - 8)))
