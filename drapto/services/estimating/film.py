"""What is known of a film and of its windows before anything is encoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from drapto.core.estimate import Window


@dataclass(frozen=True)
class Seen:
    """A window. `hint`: bytes of an ordinary frame of the source in it (`calibration.py`)."""

    window: Window
    cuts: int
    features: tuple[float, ...] = ()  # as of a target quality Piece
    hint: float | None = None


@dataclass(frozen=True)
class Film:
    """The whole film. `hint` as in Seen; None: the source does not tell."""

    frames: int
    pixels: int  # of a frame of the output
    shortest_segment: int  # frames
    longest_segment: int
    hint: float | None = None

    def segments_per_frame(self, windows: Sequence[Seen]) -> float:
        """Where cuts come at random, one in every 1/c frames, and scenes are split after L frames
        at the latest, there are c / (1 - exp(-c L)) segments a frame."""
        cuts, longest = self._cuts_per_frame(windows), self.longest_segment
        if cuts * longest < 1e-6:
            return max(1 / self.frames, 1 / longest)
        return max(1 / self.frames, cuts / -math.expm1(-cuts * longest))

    def splits_per_frame(self, windows: Sequence[Seen]) -> float:
        """Segments that do not begin at a cut: key frames that no window has at its place."""
        cuts = self._cuts_per_frame(windows)
        return max(1 / self.frames, self.segments_per_frame(windows) - cuts)

    def far_from_key(self, windows: Sequence[Seen]) -> float:
        """Share of the film's frames that are further from their key frame than in any window."""
        length = sum(seen.window.frames for seen in windows) / len(windows)
        return max(0.0, 1 - length * self.segments_per_frame(windows))

    def segments_if_few(self, windows: Sequence[Seen], cores: int) -> int | None:
        """None: more than there are cores. A film of few segments gets fewer, larger workers."""
        if self.frames >= self.longest_segment * cores:
            return None
        return max(1, round(self.frames * self.segments_per_frame(windows)))

    def _cuts_per_frame(self, windows: Sequence[Seen]) -> float:
        """Scenes too short for a segment of their own are joined to what follows: dead time. A
        window's first frame cannot be told for a cut."""
        looked_at = sum(max(seen.window.frames - 1, 1) for seen in windows)
        cuts = sum(seen.cuts for seen in windows) / looked_at
        return cuts / (1 + cuts * self.shortest_segment)
