"""Which frames of a film are tried: short windows, spread evenly, at places nobody could guess.

The film is cut into as many equal parts as there are windows, and each part holds one, somewhere:
a stratified sample. Not only at key frames, which are where scenes begin, and not always in the
middle, which a film with a rhythm of its own could be in step with.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

from drapto.core.estimate import Window

WINDOW_FRAMES = 48  # two seconds of film; shorter ones are mostly their key frame
FEWEST, MOST = 8, 24
_SHARE = 0.02  # of the film's frames, between those bounds: 8 up to 13 minutes, 24 from 40 on


def choose_windows(frames: int, *, count: int | None = None, seed: str = "") -> tuple[Window, ...]:
    """Windows in order; together they stand for every frame once. The same seed, the same places.

    A film that is not longer than its windows is tried whole. Errors: ValueError without frames.
    """
    if frames < 1:
        raise ValueError("a film without frames cannot be estimated")
    wanted = _usual(frames) if count is None else max(1, count)
    count = min(wanted, -(-frames // WINDOW_FRAMES))
    borders = [frames * part // count for part in range(count + 1)]
    chance = Random(seed)
    windows = []
    for first, last in pairwise(borders):
        length = min(WINDOW_FRAMES, last - first)
        start = chance.randint(first, last - length)
        windows.append(Window(start, start + length, first, last))
    return tuple(windows)


def _usual(frames: int) -> int:
    return min(max(round(frames * _SHARE / WINDOW_FRAMES), FEWEST), MOST)
