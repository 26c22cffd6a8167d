"""Where a stream changes the form of its pictures: joined recordings, broadcasts, calls.

The decoder tells it of every codec. Frames of another size reach detection and the encoders
scaled to the size of the track; here is noted what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from drapto.core.analysis import PictureShape, ShapeChange
from drapto.core.media import Track
from drapto.core.source import LumaFrame

_SAME_ASPECT = 0.01  # widths and heights are whole pixels, so scaled recordings differ a little
_LISTED = 3


@dataclass
class ShapeWatcher:
    """`observe` every frame in order."""

    changes: list[ShapeChange] = field(default_factory=list)
    _last: PictureShape | None = None

    def observe(self, frame: LumaFrame) -> None:
        before, self._last = self._last, frame.shape
        if before is not None and before != frame.shape:
            change = ShapeChange(frame=frame.number, before=before, after=frame.shape)
            self.changes.append(change)


def shape_notes(changes: Sequence[ShapeChange], track: Track) -> list[str]:
    """What becomes of pictures of another form, in plain sentences."""
    kept = PictureShape(
        width=track.width or 1,
        height=track.height or 1,
        pixel_aspect=track.sample_aspect_ratio or Fraction(1),
    )
    sized = [c for c in changes if c.before.size != c.after.size]
    shaped = [c for c in changes if not _same_aspect(c)]
    deeper = [c for c in changes if c.before.bit_depth != c.after.bit_depth]
    said = []
    if sized:
        said.append(
            f"The picture changes its size {_where(sized, lambda shape: shape.size)}; all pictures "
            f"are scaled to {kept.size}."
        )
    if shaped:
        said.append(
            f"The picture changes its shape {_where(shaped, _aspect)}; all of it will be shown at "
            f"{_aspect(kept)}, so that some of it looks stretched."
        )
    if deeper:
        said.append(
            f"The picture changes its bit depth {_where(deeper, lambda s: f'{s.bit_depth} bits')}; "
            "where it is cropped, the depth at the beginning counts."
        )
    return said


def _same_aspect(change: ShapeChange) -> bool:
    ratio = change.after.display_aspect / change.before.display_aspect
    return abs(ratio - 1) <= _SAME_ASPECT


def _where(changes: Sequence[ShapeChange], told: Callable[[PictureShape], str]) -> str:
    shown = ", ".join(
        f"at frame {c.frame} (from {told(c.before)} to {told(c.after)})" for c in changes[:_LISTED]
    )
    more = len(changes) - _LISTED
    return f"{shown} and {more} more times" if more > 0 else shown


def _aspect(shape: PictureShape) -> str:
    return f"{shape.display_aspect:.2f}:1"
