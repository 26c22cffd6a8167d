"""The timestamps of a damaged source, as the encoders' decoder gives them.

Behind a hole a decoder may show old pictures late. The ffmpeg program then gives several of them
the time of the one before, while PyAV leaves each its own: an index made of either alone has
borders between which other frames come out than it lists. So where the index had to be made of
what is decoded, it is made of what the program yields, and wherever the program reads frames of
such an index, both pass the same filter.

Tests: tests/services/encoding/test_damaged_source.py.
"""

from __future__ import annotations

MOVED_APART = "setpts='if(isnan(PREV_OUTPTS),PTS,max(PTS,PREV_OUTPTS+1))'"
"""A frame that is not later than the one before it comes one tick after that."""


def as_listed(as_decoded: bool) -> list[str]:
    """Filters after which the program's frames have the timestamps of their index: mostly none.

    `as_decoded` is that of the index (core/frame_index.py).
    """
    return [MOVED_APART] if as_decoded else []
