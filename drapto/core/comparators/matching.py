"""Matches frame numbers of two lists one to one, and says how well they agree (F1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Matched:
    """`pairs` are (left, right) frame numbers, ascending; the rest found no partner."""

    pairs: tuple[tuple[int, int], ...]
    only_left: tuple[int, ...]
    only_right: tuple[int, ...]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN), 1 for two empty lists.

        C. J. van Rijsbergen, Information Retrieval, 2nd edition, 1979, chapter 7.
        """
        return f1(len(self.pairs), len(self.only_left) + len(self.only_right))


def f1(pairs: int, unmatched: int) -> float:
    both = 2 * pairs + unmatched
    return 2 * pairs / both if both else 1.0


def match_positions(left: Sequence[int], right: Sequence[int], tolerance: int) -> Matched:
    """As many pairs as possible that are no more than `tolerance` apart, each used once.

    Both lists ascend. Taking the earliest partner that is near enough gives the largest number
    of pairs, because all tolerances are equal; then every pair moves to a nearer free partner,
    so that the odd one out of three is the one that is named.
    """
    partner: dict[int, int] = {}  # index in left -> index in right
    i = j = 0
    while i < len(left) and j < len(right):
        if abs(left[i] - right[j]) <= tolerance:
            partner[i] = j
            i, j = i + 1, j + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    _draw_nearer(partner, left, right)
    backwards = {j: i for i, j in partner.items()}
    _draw_nearer(backwards, right, left)
    pairs = sorted((i, j) for j, i in backwards.items())
    matched_left = {i for i, _ in pairs}
    return Matched(
        pairs=tuple((left[i], right[j]) for i, j in pairs),
        only_left=tuple(p for i, p in enumerate(left) if i not in matched_left),
        only_right=tuple(p for j, p in enumerate(right) if j not in backwards),
    )


def _draw_nearer(partner: dict[int, int], left: Sequence[int], right: Sequence[int]) -> None:
    """Move each pair, the last one first, to the next free position that is nearer."""
    taken = set(partner.values())
    for i in sorted(partner, reverse=True):
        j = partner[i]
        while (
            j + 1 < len(right)
            and j + 1 not in taken
            and abs(right[j + 1] - left[i]) < abs(right[j] - left[i])
        ):
            taken.discard(j)
            j += 1
            taken.add(j)
        partner[i] = j
