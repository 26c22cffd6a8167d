"""Where the picture is: the smallest black bars of the whole timeline.

`CropDetector.observe` looks at every frame's full-size plane, but only at the part outside the
picture found so far, so a film without bars costs nothing once a bright frame has been seen,
and a letterboxed one the reading of its bars. The rectangle only ever grows: a film of mixed
aspect ratios is cropped to its largest picture. `decide` gives the verdict at the end, by the
rules of crop_verdict.py.

What counts, and what does not:

- A row or column is picture where averages of 8 pixels exceed 24 (limited black is 16, full
  black 0; the margin is for ringing and noise). Wide evidence (a fifth of the side) grows the
  picture at once, at full resolution. Faint evidence right at its edge is ringing.
- Black frames and damaged ones say nothing. Fades can only say less than the picture they
  fade. Text on black says nothing before the first and after the last picture, nor in the last
  quarter of the film (credits); between pictures it is there to be read and stays.
- A station logo (logos.py) does not keep a bar. Anything else in it, subtitles above all, does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import CropDecision
from drapto.core.features import CELL_PX, U8, Bool, FeatureBackend
from drapto.services.detection.crop_verdict import Box, CropEvidence, verdict, worth_cropping
from drapto.services.detection.logos import LogoWatch

Plane = npt.NDArray[Any]

LIT = 24  # 8-bit code; cropdetect of FFmpeg draws the same line
_WIDE_SHARE = 0.2
_FAINT, _FAINT_PX = 40, 4  # 8-bit code and depth of what an encoder's ringing leaves in a bar
_CREDITS_FROM = 0.75  # of the film
_EDGE_EVERY = 4  # frames between two looks at the edges
_EDGE_PX = 4  # lines inside the edge, one of which has to be lit


def _nothing() -> npt.NDArray[np.float32]:
    return np.zeros(0, dtype=np.float32)


@dataclass
class CropDetector:
    """One film of one size. `observe` every frame in order, then `decide`."""

    backend: FeatureBackend
    settled: bool = False  # the picture fills the frame: nothing more can change that
    _shape: tuple[int, int] | None = None
    _picture: Box | None = None
    _wide: Box | None = None  # the picture as far as wide evidence goes
    _pictures: int = 0
    _edge_looks: int = 0
    _edges: dict[str, int] = field(default_factory=dict)
    _logos: LogoWatch = field(default_factory=LogoWatch)
    _texts: list[tuple[int, int, Box]] = field(default_factory=list)  # frame, pictures before, box
    _mean: npt.NDArray[np.float32] | None = None
    _rows: npt.NDArray[np.float32] = field(default_factory=_nothing)  # brightest means so far
    _columns: npt.NDArray[np.float32] = field(default_factory=_nothing)
    _last: int = -1

    def observe(self, number: int, full: Plane, luma: U8, bit_depth: int) -> None:
        """One undamaged frame: its full-size plane and its reduced luma."""
        self._last = number
        if self.settled:
            return
        if self._shape is None:
            self._shape = (full.shape[0], full.shape[1])
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
        if lit < 0.02 and np.count_nonzero(luma > LIT) < 0.001 * luma.size:
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
            self._rows = np.zeros(luma.shape[0], dtype=np.float32)
            self._columns = np.zeros(luma.shape[1], dtype=np.float32)
        cv2.accumulate(luma, self._mean)
        rows = cv2.reduce(luma, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
        columns = cv2.reduce(luma, 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
        np.maximum(self._rows, rows[:, 0], out=self._rows)
        np.maximum(self._columns, columns[0], out=self._columns)

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
        self._wide = self._picture
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
        if self._is_ringing(side, box, full, bit_depth):
            return
        assert self._picture is not None
        if not self._logos.may_be(side, box, self._picture, full, bit_depth):
            self._picture = self._picture.grown(side, self._logos.given_up(side, box))

    def _grow_to_line(self, side: str, bar: Box, wide: npt.NDArray[np.intp]) -> None:
        first, last = int(wide[0]), int(wide[-1]) + 1
        assert self._picture is not None and self._wide is not None
        if side in ("top", "bottom"):
            lines = Box(bar.top + first, bar.top + last, bar.left, bar.right)
        else:
            lines = Box(bar.top, bar.bottom, bar.left + first, bar.left + last)
        self._picture = self._picture.grown(side, lines)
        self._wide = self._wide.grown(side, lines)
        self._edges[side] = 0

    def _is_ringing(self, side: str, box: Box, full: Plane, bit_depth: int) -> bool:
        """Whether what a bar shows is faint and lies at the picture's edge."""
        assert self._picture is not None
        depth = box.bottom - box.top if side in ("top", "bottom") else box.right - box.left
        if depth > _FAINT_PX or not box.spread(1).touches(self._picture):
            return False
        strip = full[box.top : box.bottom, box.left : box.right]
        axis = 1 if side in ("top", "bottom") else 0
        return not self.backend.lit_cells(strip, above=_FAINT << (bit_depth - 8), axis=axis).any()

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
        """Count, per side, the pictures that light a whole line at the picture's edge."""
        assert self._wide is not None
        w, px = self._wide, _EDGE_PX
        self._edge_looks += 1
        lines = {
            "top": full[w.top : w.top + px, w.left : w.right],
            "bottom": full[w.bottom - px : w.bottom, w.left : w.right],
            "left": full[w.top : w.bottom, w.left : w.left + px].T,
            "right": full[w.top : w.bottom, w.right - px : w.right].T,
        }
        for side, edge in lines.items():
            if ((edge > above).mean(1) >= _WIDE_SHARE).any():
                self._edges[side] = self._edges.get(side, 0) + 1

    def _check_settled(self) -> None:
        assert self._picture is not None and self._shape is not None
        height, width = self._shape
        p = self._picture
        rows, columns = p.bottom - p.top, p.right - p.left
        self.settled = not (worth_cropping(rows, height) or worth_cropping(columns, width))

    def decide(self) -> CropDecision:
        """The verdict over everything observed. `rect` None: crop nothing, `reason` says why."""
        if self.settled:
            return CropDecision(confidence=1.0, reason="The picture fills the frame.")
        if self._picture is None or self._shape is None or self._mean is None:
            return CropDecision(reason="There is nothing but black and text on black.")
        picture = self._picture
        logos = self._logos.seen_in_most(self._pictures)
        for side, box in self._logos.marks():
            if side not in logos:
                picture = picture.grown(side, box)
        for number, pictures, box in self._texts:
            if pictures < self._pictures and number < _CREDITS_FROM * (self._last + 1):
                picture = picture.union(box)
        looks = max(1, self._edge_looks)
        evidence = CropEvidence(
            shape=self._shape,
            picture=picture,
            pictures=self._pictures,
            edge_shares={side: count / looks for side, count in self._edges.items()},
            brightest_rows=self._rows,
            brightest_columns=self._columns,
            mean_picture=self._mean / np.float32(self._pictures),
            logos=logos,
        )
        return verdict(evidence)
