"""Decode a film once more and compare its fields, for inverse telecine.

Only telecined films get this pass. What the numbers mean for which frame is decided in
`services/detection/pulldown.py`.

Tests: tests/services/detection/test_pulldown.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import FieldOrder
from drapto.core.interfaces import ProgressCallback
from drapto.core.source import FieldSeries, SourceVideo
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader

# A part of the picture: 32x32 pixels, as ffmpeg's decimate filter takes them, of which a field has
# every other line.
_BLOCK_WIDTH, _BLOCK_LINES = 32, 16
_CHECK_FRAMES = 16  # between two looks at whether anybody still waits

Picture = npt.NDArray[Any]


def field_series(
    video: SourceVideo,
    order: FieldOrder,
    on_progress: ProgressCallback,
    check: Callable[[], None],
) -> FieldSeries:
    """Blocking; `check` raises when it is to stop. Errors: InputError if it cannot be opened.

    A frame of the index that does not come out, or comes after one that did not, is unknown.
    """
    pts = video.coded.pts
    series = FieldSeries(
        earlier_change=np.full(len(pts), np.inf),
        later_change=np.full(len(pts), np.inf),
        own_misfit=np.zeros(len(pts)),
        before_misfit=np.zeros(len(pts)),
    )
    first_line = 0 if order is FieldOrder.TOP_FIRST else 1
    before: tuple[int, Picture] | None = None
    for frame in PyAvLumaReader().frames(video, max_height=_BLOCK_LINES):
        if frame.number % _CHECK_FRAMES == 0:
            check()
            on_progress(frame.number)
        at = int(np.searchsorted(pts, frame.pts))
        if at == len(pts) or pts[at] != frame.pts:
            continue
        luma = _eight_bit(frame.full, frame.bit_depth)
        if before is not None and before[0] == at - 1 and before[1].shape == luma.shape:
            _compare(series, at, luma, before[1], first_line)
        before = (at, luma)
    return series


def _compare(series: FieldSeries, at: int, luma: Picture, before: Picture, first_line: int) -> None:
    import cv2

    earlier, later = _fields(luma, first_line)
    earlier_before, later_before = _fields(before, first_line)
    series.earlier_change[at] = _blocks(cv2.absdiff(earlier, earlier_before)).max()
    series.later_change[at] = _blocks(cv2.absdiff(later, later_before)).max()
    lines = _between(earlier, first_line)
    own = _blocks(cv2.absdiff(later, lines))
    other = _blocks(cv2.absdiff(later_before, lines))
    series.own_misfit[at] = max(0.0, float((own - other).max()))
    series.before_misfit[at] = max(0.0, float((other - own).max()))


def _fields(luma: Picture, first_line: int) -> tuple[Picture, Picture]:
    """The field that comes first and the other one, views of equal shape."""
    even = luma[: luma.shape[0] // 2 * 2]
    return even[first_line::2], even[1 - first_line :: 2]


def _between(earlier: Picture, first_line: int) -> Picture:
    """What the lines of the later field would be if only the earlier field were known."""
    import cv2

    if first_line == 0:  # line k of the later field lies below line k of the earlier one
        neighbour = np.concatenate((earlier[1:], earlier[-1:]))
    else:
        neighbour = np.concatenate((earlier[:1], earlier[:-1]))
    mean: Picture = cv2.addWeighted(earlier, 0.5, neighbour, 0.5, 0)
    return mean


def _blocks(difference: Picture) -> npt.NDArray[np.float32]:
    """The mean of every block; what is left over at the right and bottom is spread over all."""
    import cv2

    height, width = difference.shape
    blocks = max(1, width // _BLOCK_WIDTH), max(1, height // _BLOCK_LINES)
    means = cv2.resize(difference.astype(np.float32), blocks, interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.float32)


def _eight_bit(full: Picture, bit_depth: int) -> Picture:
    """A copy: the frame's own memory is gone with the next one."""
    return (full >> (bit_depth - 8) if bit_depth > 8 else full).astype(np.uint8)
