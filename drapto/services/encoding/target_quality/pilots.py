"""Which pieces go first, and how many may be under way before anything is known.

The first results decide where the whole film goes, and the first encodes are the ones that miss.
So pilots are of every kind of scene, and short: the pieces are ordered by complexity and cut into
as many groups as there are pilots; each group gives its shortest piece that is long enough to be
typical. Short pilots are also quick: where long and short ones run side by side, the easy scenes
report first, and the film looks easier than it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from drapto.services.encoding.target_quality.film import Piece

PILOTS = 8
RESULTS_BEFORE_REST = 6  # of pilots, before other pieces are begun
LONG_ENOUGH_FRAMES = 48  # a shorter piece is mostly its key frame
# Pieces that must be known before the first is chosen: detection is far ahead of encoding, and
# the first piece of a film is often a black one with a title.
KNOWN_BEFORE_START = 16
# In flight while nothing is known: one for so many known pieces. Two results release one more.
PIECES_PER_BLIND_ENCODE = 16


def choose_pilots(pieces: Sequence[Piece], count: int = PILOTS) -> tuple[int, ...]:
    """Indexes of up to `count` pieces, in the order in which to encode them: from the middle."""
    ordered = sorted(pieces, key=lambda piece: (sum(piece.features), piece.index))
    count = min(count, len(ordered))
    edges = [group * len(ordered) // count for group in range(count + 1)]
    groups = [ordered[edges[group] : edges[group + 1]] for group in range(count)]
    by_distance = sorted(range(count), key=lambda group: (abs(2 * group - count + 1), group))
    return tuple(min(groups[group], key=_brevity).index for group in by_distance)


def most_in_flight(workers: int, known: int, finished: int) -> int:
    """How many pieces may be encoded at once. A film of fewer than 32 pieces begins with one."""
    return max(1, min(workers, known // PIECES_PER_BLIND_ENCODE + finished // 2))


def _brevity(piece: Piece) -> tuple[bool, int, int]:
    short = piece.frames < LONG_ENOUGH_FRAMES
    return short, -piece.frames if short else piece.frames, piece.index
