"""The verdict on a crop, from what `CropDetector` has seen of the whole film.

Unsure means no crop: too few pictures, an edge that few pictures reach, a bar that is dark but
not even, a picture too small to believe. Bars of less than 1 % of a side, both together, are
left: too little to gain. The rectangle is even-aligned outwards, so it never loses picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import CropDecision
from drapto.core.media import CropRect

_MIN_GAIN = 0.01  # of a side
_MIN_PICTURES = 12  # half a second of film
_SURE_PICTURES = 24
_MIN_EDGE_SHARE, _SURE_EDGE_SHARE = 0.05, 0.3  # of pictures that light the edge's whole line
_MIN_SIDE_SHARE = 1 / 3  # a picture smaller than this share of a side is not believed
# Inside a bar the mean picture is even, dark, and as dark as anything in the film (8-bit codes).
_BAR_DEVIATION, _BAR_LEVEL, _BAR_ABOVE = 2.0, 26.0, 1.5
_BAR_STAYS = 2.5  # codes by which a bar's lines may ever be brighter than the darkest ground
# A picture's first lines, over the whole film, against those a little further in: about 1 where
# a bar begins, under this where the picture only darkens (a vignette, a lit spot in a dark room).
_SHARP_RATIO, _FURTHER_IN = 0.4, 0.06  # the latter of the side
_LOGO_CONTRAST = 8.0  # 8-bit codes by which a logo differs from its bar


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

    def grown(self, side: str, by: Box) -> Box:
        """This box with one side moved outwards so that it reaches as far as `by`."""
        moved = getattr(self.union(by), side)
        return replace(self, **{side: moved})

    def contains(self, other: Box) -> bool:
        return self.union(other) == self

    def spread(self, by: int) -> Box:
        return Box(self.top - by, self.bottom + by, self.left - by, self.right + by)

    def touches(self, other: Box) -> bool:
        rows = self.top < other.bottom and other.top < self.bottom
        return rows and self.left < other.right and other.left < self.right


@dataclass(frozen=True, eq=False)
class CropEvidence:
    """Everything the verdict rests on.

    shape: (rows, columns) of the frame. picture: the smallest box that held every picture.
    pictures: frames that were neither black nor text. edge_shares: per side, the share of them
    that lit a whole line at the edge. mean_picture: float32, at reduced size, 8-bit codes.
    brightest_rows, brightest_columns: float32, the highest mean each line of the reduced luma
    had in any picture. logos: sides whose bar carries one.
    """

    shape: tuple[int, int]
    picture: Box
    pictures: int
    edge_shares: Mapping[str, float]
    mean_picture: npt.NDArray[np.float32]
    brightest_rows: npt.NDArray[np.float32]
    brightest_columns: npt.NDArray[np.float32]
    logos: frozenset[str] = frozenset()


def worth_cropping(kept: int, size: int) -> bool:
    """Whether cutting a side of `size` pixels down to `kept` gains anything."""
    return size - kept >= max(2, _MIN_GAIN * size)


def verdict(evidence: CropEvidence) -> CropDecision:
    """The crop, or none with the reason why."""
    height, width = evidence.shape
    if evidence.pictures < _MIN_PICTURES:
        return CropDecision(
            reason=f"Too few pictures to tell: {evidence.pictures}, {_MIN_PICTURES} are needed."
        )
    p = evidence.picture
    top, rows = _even_span(p.top, p.bottom, height)
    left, columns = _even_span(p.left, p.right, width)
    if (rows, columns) == (height, width):
        return CropDecision(confidence=1.0, reason="Bars are under 1 % of the frame.")
    rect = CropRect(width=columns, height=rows, x=left, y=top)
    if rows < _MIN_SIDE_SHARE * height or columns < _MIN_SIDE_SHARE * width:
        return CropDecision(reason=f"The picture seemed to be only {rect}, too small to believe.")
    sides = {"top": top, "bottom": height - top - rows, "left": left}
    sides["right"] = width - left - columns
    bars = [side for side, size in sides.items() if size]
    uneven = [side for side in bars if not _is_even(side, rect, evidence)]
    if uneven:
        return CropDecision(
            confidence=0.2, reason=f"Dark, but not an even bar: {' and '.join(uneven)}."
        )
    soft = [side for side in bars if not _is_sharp(side, rect, evidence)]
    if soft:
        return CropDecision(
            confidence=0.3,
            reason=f"The picture fades away towards its edge: {' and '.join(soft)}.",
        )
    shares = {side: evidence.edge_shares.get(side, 0.0) for side in bars}
    weakest = min(shares, key=lambda side: shares[side])
    if shares[weakest] < _MIN_EDGE_SHARE:
        return CropDecision(
            confidence=0.3,
            reason=f"The {weakest} edge of the picture is not sharp enough to be sure.",
        )
    edge = 0.5 + 0.5 * min(1.0, shares[weakest] / _SURE_EDGE_SHARE)
    confidence = edge * (0.5 + 0.5 * min(1.0, evidence.pictures / _SURE_PICTURES))
    return CropDecision(
        rect=rect,
        confidence=round(confidence, 3),
        reason=f"Black in all {evidence.pictures} pictures: {' and '.join(bars)}.",
    )


def _even_span(start: int, end: int, size: int) -> tuple[int, int]:
    """(start, length) of the smallest even span around [start, end); the whole side if the gain
    is too small or an even span would have to lose picture."""
    start -= start % 2
    end = min(size, end + end % 2)
    if not worth_cropping(end - start, size) or (end - start) % 2:
        return 0, size
    return start, end - start


def _is_even(side: str, rect: CropRect, evidence: CropEvidence) -> bool:
    """Whether a bar is dark and even in the mean picture, and stays so; a logo left out."""
    height, width = evidence.shape
    mean = evidence.mean_picture
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
    darkest = float(np.percentile(mean, 1))
    if side in evidence.logos:  # the median stands for the bar: a logo is the small rest
        bar = bar[np.abs(bar - np.median(bar)) < _LOGO_CONTRAST]
    else:
        lines = {
            "top": evidence.brightest_rows[:top],
            "bottom": evidence.brightest_rows[bottom:],
            "left": evidence.brightest_columns[:left],
            "right": evidence.brightest_columns[right:],
        }[side]
        if float(np.median(lines)) > darkest + _BAR_STAYS:
            return False
    level = float(bar.mean())
    return float(bar.std()) <= _BAR_DEVIATION and level <= min(_BAR_LEVEL, darkest + _BAR_ABOVE)


def _is_sharp(side: str, rect: CropRect, evidence: CropEvidence) -> bool:
    """Whether the mean picture is about as bright at this edge as further in."""
    mean = evidence.mean_picture
    height, width = evidence.shape
    down, across = mean.shape[0] / height, mean.shape[1] / width
    top, bottom = -int(-rect.y * down // 1), int((rect.y + rect.height) * down)
    left, right = -int(-rect.x * across // 1), int((rect.x + rect.width) * across)
    inner = mean[top:bottom, left:right]
    profile = inner.mean(1 if side in ("top", "bottom") else 0)
    if side in ("bottom", "right"):
        profile = profile[::-1]
    further = max(3, round(_FURTHER_IN * len(profile)))
    if len(profile) <= 2 * further:
        return True
    black = min(float(mean.min()), _BAR_LEVEL)
    # The very first line may hold a rest of the bar, where the reduction straddles the edge.
    edge = float(profile[:2].max())
    return edge - black >= _SHARP_RATIO * (float(profile[further]) - black)
