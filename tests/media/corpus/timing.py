"""When pictures and sounds are shown: uneven clocks, early and late starts, gaps."""

from __future__ import annotations

from tests.media import clips
from tests.media.corpus.entry import Entry, Sound, Truth, even

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "start_at_5_s",
        lambda directory: clips.start_offset(directory, frames=24),
        Truth(
            "Every timestamp is 5 s later than usual.",
            frames=24,
            times_s=even(24, 24),
            start_s=5.0,
            width=320,
            height=180,
            audio=(Sound("aac", duration_s=1.0),),
        ),
        mp4=True,
    ),
)
