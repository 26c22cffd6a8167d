"""Where the picture is: the smallest black bars of the whole timeline.

`CropDetector.observe` looks at every frame's full-size plane, but only at the part outside the
picture found so far, so a film without bars costs nothing once a bright frame has been seen,
and a letterboxed one the reading of its bars. The rectangle only ever grows: a film of mixed
aspect ratios is cropped to its largest picture. `decide` gives the verdict at the end.

What counts, and what does not:

- A row or column is picture where averages of 8 pixels exceed 24 (limited black is 16, full
  black 0; the margin is for ringing and noise). Wide evidence (a fifth of the side) grows the
  picture at once, at full resolution.
- Black frames and damaged ones say nothing. Fades can only say less than the picture they
  fade. Text on black says nothing before the first and after the last picture, nor in the last
  quarter of the film (credits); between pictures it is there to be read and stays.
- A small mark in a bar that never moves nor changes, stands clear of the picture and is there
  for most of the film is a station logo, and does not keep the bar. Anything else in a bar,
  subtitles above all, does.
- Bars of less than 1 % of a side, both together, are left: too little to gain.
- Unsure means no crop: too few pictures, an edge few pictures reach, bars that are not flat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import CropDecision
from drapto.core.media import CropRect
from drapto.services.detection.features import CELL_PX, U8, Bool, FeatureBackend

Plane = npt.NDArray[Any]

LIT = 24  # 8-bit code; cropdetect of FFmpeg draws the same line
_WIDE_SHARE = 0.2
_MIN_GAIN = 0.01  # of a side
_MIN_PICTURES = 12  # half a second of film
_SURE_PICTURES = 24
_MIN_EDGE_SHARE, _SURE_EDGE_SHARE = 0.05, 0.3  # of pictures that light the edge's whole line
_MIN_SIDE_SHARE = 1 / 3  # a picture smaller than this share of a side is not believed
_CREDITS_FROM = 0.75  # of the film
_EDGE_EVERY = 4  # frames between two looks at the edges
_LOGO_SIDE_SHARE = 0.2  # of the frame's width and height
_LOGO_CHANGE = 12.0  # 8-bit codes, mean over the mark
_LOGO_SHARE = 0.5  # of the pictures since it first appeared, and of all pictures
_LOGO_GAP_PX = 2
_BAR_DEVIATION, _BAR_LEVEL = 2.0, 26.0  # 8-bit codes, of the mean picture inside a bar


@dataclass(frozen=True)
class Box:
    """Rows [top, bottom) and columns [left, right) of the frame."""

    top: int
    bottom: int
    left: int
    right: int

    def union(self, other: Box) -> Box:
        return Box(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )

    def contains(self, other: Box) -> bool:
        return self.union(other) == self

    def spread(self, by: int) -> Box:
        return Box(self.top - by, self.bottom + by, self.left - by, self.right + by)

    def touches(self, other: Box) -> bool:
        rows = self.top < other.bottom and other.top < self.bottom
        return rows and self.left < other.right and other.left < self.right


@dataclass
class _Mark:
    """A small thing seen in one bar: a logo, if it stays as it is."""

    box: Box
    patch: npt.NDArray[np.float32]
    since: int  # pictures seen before it
    seen: int = 1


@dataclass
class CropDetector:
    """One film of one size. `observe` every frame in order, then `decide`."""

    backend: FeatureBackend
    settled: bool = False  # the picture fills the frame: nothing more can change that
    _shape: tuple[int, int] | None = None
    _resized: bool = False
    _picture: Box | None = None
    _pictures: int = 0
    _edge_looks: int = 0
    _edges: dict[str, int] = field(default_factory=dict)
    _marks: dict[str, _Mark] = field(default_factory=dict)
    _texts: list[tuple[int, int, Box]] = field(default_factory=list)  # frame, pictures before, box
    _mean: npt.NDArray[np.float32] | None = None
    _last: int = -1

    def observe(self, number: int, full: Plane, luma: U8, bit_depth: int) -> None:
        """One undamaged frame: its full-size plane and its reduced luma."""
        self._last = number
        if self.settled or self._resized:
            return
        if self._shape is None:
            self._shape = (full.shape[0], full.shape[1])
        elif self._shape != full.shape:
            self._resized = True
            return
        kind = self._kind(luma)
        if kind == "black":
            return
        above = (LIT << (bit_depth - 8)) + (1 << (bit_depth - 8)) - 1
        if kind == "text":
            self._note_text(number, full, above)
            return
        self._pictures += 1
        self._accumulate(luma)
        if self._picture is None and not self._start(full, above):
            return
        for side in ("top", "bottom", "left", "right"):
            self._look_outside(side, full, above, bit_depth)
        if self._pictures % _EDGE_EVERY == 0:
            self._look_at_edges(full, above)
        self._check_settled()

    def _kind(self, luma: U8) -> str:
        """'black', 'text' (bright strokes on flat black) or 'picture'."""
        region = luma
        if self._picture is not None and self._shape is not None:
            box, (rows, columns) = self._picture, self._shape
            down, across = luma.shape[0] / rows, luma.shape[1] / columns
            inner = luma[
                int(box.top * down) : max(1, int(box.bottom * down)),
                int(box.left * across) : max(1, int(box.right * across)),
            ]
            region = inner if inner.size else luma
        lit = np.count_nonzero(region > LIT) / region.size
        if lit < 0.02:
            return "black"
        if lit < 0.3:
            floor = int(region.min()) + 4
            if np.count_nonzero(region <= floor) / region.size > 0.6:
                return "text"
        return "picture"

    def _accumulate(self, luma: U8) -> None:
        import cv2

        if self._mean is None:
            self._mean = np.zeros(luma.shape, dtype=np.float32)
        cv2.accumulate(luma, self._mean)

    def _start(self, full: Plane, above: int) -> bool:
        """The first picture: from the outermost rows and columns that are widely lit."""
        rows = np.flatnonzero(
            self.backend.lit_cells(full, above=above, axis=1).mean(1) >= _WIDE_SHARE
        )
        columns = np.flatnonzero(
            self.backend.lit_cells(full, above=above, axis=0).mean(0) >= _WIDE_SHARE
        )
        if not len(rows) or not len(columns):
            return False
        self._picture = Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        return True

    def _strip(self, side: str) -> Box:
        assert self._picture is not None and self._shape is not None
        p, (height, width) = self._picture, self._shape
        if side == "top":
            return Box(0, p.top, 0, width)
        if side == "bottom":
            return Box(p.bottom, height, 0, width)
        if side == "left":
            return Box(p.top, p.bottom, 0, p.left)
        return Box(p.top, p.bottom, p.right, width)

    def _lit(self, box: Box, side: str, full: Plane, above: int) -> tuple[Bool, Box] | None:
        """Lit cells of a bar and their bounding box; None if it is all dark."""
        if box.top >= box.bottom or box.left >= box.right:
            return None
        strip = full[box.top : box.bottom, box.left : box.right]
        if strip.max() <= above:
            return None
        axis = 1 if side in ("top", "bottom") else 0
        cells = self.backend.lit_cells(strip, above=above, axis=axis)
        rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
        if not len(rows):
            return None
        tall, long = (1, CELL_PX) if axis == 1 else (CELL_PX, 1)
        return cells, Box(
            box.top + int(rows[0]) * tall,
            min(box.bottom, box.top + (int(rows[-1]) + 1) * tall),
            box.left + int(columns[0]) * long,
            min(box.right, box.left + (int(columns[-1]) + 1) * long),
        )

    def _look_outside(self, side: str, full: Plane, above: int, bit_depth: int) -> None:
        """Grow the picture by what one bar shows, or remember it as a possible logo."""
        bar = self._strip(side)
        lit = self._lit(bar, side, full, above)
        if lit is None:
            return
        cells, box = lit
        profile = cells.mean(1 if side in ("top", "bottom") else 0)
        wide = np.flatnonzero(profile >= _WIDE_SHARE)
        if len(wide):
            self._grow_to_line(side, bar, wide)
            lit = self._lit(self._strip(side), side, full, above)
            if lit is None:
                return
            box = lit[1]
        if not self._is_mark(side, box, full, bit_depth):
            mark = self._marks.pop(side, None)
            self._grow(side, box.union(mark.box) if mark else box)

    def _grow_to_line(self, side: str, bar: Box, wide: npt.NDArray[np.intp]) -> None:
        first, last = int(wide[0]), int(wide[-1]) + 1
        if side in ("top", "bottom"):
            self._grow(side, Box(bar.top + first, bar.top + last, bar.left, bar.right))
        else:
            self._grow(side, Box(bar.top, bar.bottom, bar.left + first, bar.left + last))

    def _grow(self, side: str, box: Box) -> None:
        """Move one side outwards so that `box` is inside it."""
        assert self._picture is not None
        p = self._picture
        top, bottom = min(p.top, box.top), max(p.bottom, box.bottom)
        left, right = min(p.left, box.left), max(p.right, box.right)
        self._picture = {
            "top": Box(top, p.bottom, p.left, p.right),
            "bottom": Box(p.top, bottom, p.left, p.right),
            "left": Box(p.top, p.bottom, left, p.right),
            "right": Box(p.top, p.bottom, p.left, right),
        }[side]
        self._edges[side] = 0

    def _is_mark(self, side: str, box: Box, full: Plane, bit_depth: int) -> bool:
        """Whether what is lit in a bar may be a logo: small, clear of the picture, unchanged."""
        import cv2

        assert self._picture is not None and self._shape is not None
        height, width = self._shape
        if box.bottom - box.top > _LOGO_SIDE_SHARE * height:
            return False
        if box.right - box.left > _LOGO_SIDE_SHARE * width:
            return False
        if box.spread(_LOGO_GAP_PX).touches(self._picture):
            return False
        mark = self._marks.get(side)
        if mark is not None and not mark.box.spread(CELL_PX).contains(box):
            return False
        where = mark.box if mark else box
        pixels = full[where.top : where.bottom, where.left : where.right]
        patch = cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
        patch *= 1.0 / (1 << (bit_depth - 8))
        if mark is None:
            self._marks[side] = _Mark(where, patch, since=self._pictures - 1)
            return True
        mark.seen += 1
        return float(np.abs(patch - mark.patch).mean()) <= _LOGO_CHANGE

    def _note_text(self, number: int, full: Plane, above: int) -> None:
        """Remember how far text on black reaches; `decide` says whether it is credits."""
        if self._picture is None:
            return
        boxes = [
            self._lit(self._strip(s), s, full, above) for s in ("top", "bottom", "left", "right")
        ]
        found = [lit[1] for lit in boxes if lit is not None]
        if found:
            box = found[0]
            for other in found[1:]:
                box = box.union(other)
            if not self._texts or self._texts[-1][1:] != (self._pictures, box):
                self._texts.append((number, self._pictures, box))

    def _look_at_edges(self, full: Plane, above: int) -> None:
        """Count, per side with a bar, the pictures whose outermost line is widely lit."""
        assert self._picture is not None
        p = self._picture
        self._edge_looks += 1
        lines = {
            "top": full[p.top : p.top + 1, p.left : p.right],
            "bottom": full[p.bottom - 1 : p.bottom, p.left : p.right],
            "left": full[p.top : p.bottom, p.left : p.left + 1],
            "right": full[p.top : p.bottom, p.right - 1 : p.right],
        }
        for side, line in lines.items():
            if np.count_nonzero(line > above) >= _WIDE_SHARE * line.size:
                self._edges[side] = self._edges.get(side, 0) + 1

    def _check_settled(self) -> None:
        assert self._picture is not None and self._shape is not None
        p, (height, width) = self._picture, self._shape
        if height - (p.bottom - p.top) < max(2, _MIN_GAIN * height) and (
            width - (p.right - p.left) < max(2, _MIN_GAIN * width)
        ):
            self.settled = True

    def decide(self) -> CropDecision:
        """The verdict over everything observed. `rect` None: crop nothing, `reason` says why."""
        if self._resized:
            return CropDecision(reason="The picture size changes within the stream.")
        if self.settled:
            return CropDecision(confidence=1.0, reason="The picture fills the frame.")
        if self._picture is None or self._shape is None or self._pictures < _MIN_PICTURES:
            return CropDecision(
                reason=f"Too few pictures to tell: {self._pictures}, {_MIN_PICTURES} are needed."
            )
        self._keep_marks_and_texts()
        rect = self._even_rect()
        if rect is None:
            return CropDecision(confidence=1.0, reason="Bars are under 1 % of the frame.")
        height, width = self._shape
        if rect.height < _MIN_SIDE_SHARE * height or rect.width < _MIN_SIDE_SHARE * width:
            return CropDecision(
                reason=f"The picture seemed to be only {rect}, too small to believe."
            )
        return self._weigh(rect)

    def _keep_marks_and_texts(self) -> None:
        for side, mark in list(self._marks.items()):
            present = self._pictures - mark.since
            if mark.seen < _LOGO_SHARE * max(present, self._pictures):
                self._grow(side, mark.box)
        for number, pictures, box in self._texts:
            read = pictures < self._pictures and number < _CREDITS_FROM * (self._last + 1)
            if read:
                for side in ("top", "bottom", "left", "right"):
                    self._grow(side, box)

    def _even_rect(self) -> CropRect | None:
        assert self._picture is not None and self._shape is not None
        p, (height, width) = self._picture, self._shape
        top, rows = _even_span(p.top, p.bottom, height)
        left, columns = _even_span(p.left, p.right, width)
        if rows == height and columns == width:
            return None
        return CropRect(width=columns, height=rows, x=left, y=top)

    def _weigh(self, rect: CropRect) -> CropDecision:
        assert self._shape is not None
        height, width = self._shape
        bars = {
            "top": rect.y,
            "bottom": height - rect.y - rect.height,
            "left": rect.x,
            "right": width - rect.x - rect.width,
        }
        doubt = [side for side, size in bars.items() if size and not self._is_flat(side, rect)]
        if doubt:
            return CropDecision(
                confidence=0.2, reason=f"Dark, but not an even bar: {' and '.join(doubt)}."
            )
        shares = {
            side: self._edges.get(side, 0) / max(1, self._edge_looks)
            for side, size in bars.items()
            if size
        }
        weakest = min(shares, key=lambda side: shares[side])
        if shares[weakest] < _MIN_EDGE_SHARE:
            return CropDecision(
                confidence=0.3,
                reason=f"The {weakest} edge of the picture is not sharp enough to be sure.",
            )
        edge = 0.5 + 0.5 * min(1.0, shares[weakest] / _SURE_EDGE_SHARE)
        confidence = edge * (0.5 + 0.5 * min(1.0, self._pictures / _SURE_PICTURES))
        return CropDecision(
            rect=rect,
            confidence=round(confidence, 3),
            reason=f"{' and '.join(side for side, size in bars.items() if size)} bars stay "
            f"black in all {self._pictures} pictures.",
        )

    def _is_flat(self, side: str, rect: CropRect) -> bool:
        """Whether the mean picture is dark and even inside a bar, a logo left out."""
        assert self._mean is not None and self._shape is not None
        mean = self._mean / self._pictures
        height, width = self._shape
        down, across = mean.shape[0] / height, mean.shape[1] / width
        top, left = int(rect.y * down), int(rect.x * across)
        bottom = -int(-(rect.y + rect.height) * down // 1)
        right = -int(-(rect.x + rect.width) * across // 1)
        bar = {
            "top": mean[:top],
            "bottom": mean[bottom:],
            "left": mean[top:bottom, :left],
            "right": mean[top:bottom, right:],
        }[side]
        if not bar.size:
            return True
        # The median stands for the bar: a logo is the small rest.
        calm = bar[np.abs(bar - np.median(bar)) < 8] if side in self._marks else bar
        return float(calm.std()) <= _BAR_DEVIATION and float(calm.mean()) <= _BAR_LEVEL


def _even_span(start: int, end: int, size: int) -> tuple[int, int]:
    """(start, length) of the smallest even span around [start, end); the whole side if the gain
    is too small or an even span would have to lose picture."""
    start -= start % 2
    end = min(size, end + end % 2)
    if size - (end - start) < max(2, _MIN_GAIN * size) or (end - start) % 2:
        return 0, size
    return start, end - start
