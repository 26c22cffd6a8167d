"""A learned `CutScorer`: what a small network sees of a step, and what it makes of it.

The network is asked about steps that change the picture at all. It sees seven frames on each side
of the step, spread evenly over the look-ahead, and of 61 pairs of them: the distance of
cut_window.py, how much of the light changed and how much of the picture; and every frame's light.
So it knows nothing of sizes and places in the picture, and what it has learned from drawn pictures
holds for filmed ones. Three layers turn the 211 numbers into the probability of a cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drapto.services.detection.cut_window import CutWindow

Floats = npt.NDArray[np.float32]

SIDE = 7  # frames on each side of the step
FRAMES = 2 * SIDE
# The pairs that are compared: neighbours, and every frame before with every frame after the step.
_PAIRS = [(i, j) for j in range(FRAMES) for i in range(j) if j == i + 1 or i < SIDE <= j]
EARLIER, LATER = np.array(_PAIRS).T
INPUTS = 3 * len(EARLIER) + 2 * FRAMES
HIDDEN = (64, 32)

# A step under either is taken for no cut. Of the cuts in drawn films 1 in 80 is.
MIN_CHANGE, MIN_DISTANCE = 2.5, 0.06
CUT = 0.5  # probability; 0.1 to 0.7 did as well on drawn films
_SEEN_CHANGE = 12  # codes from which a pixel has changed, above noise and coding


def is_candidate(window: CutWindow, number: int) -> bool:
    return window[number].change >= MIN_CHANGE and window.step(number) >= MIN_DISTANCE


def describe(window: CutWindow, number: int) -> Floats:
    """(211,) in about 0..1: distance, change and changed share of the 61 pairs, pair by pair in
    the order of `EARLIER`; then mean and deviation of the 14 frames. Where the window ends, its
    last frame stands for those that are missing."""
    apart = [i * window.look_ahead // (SIDE - 1) for i in range(SIDE)]
    before = [max(window.first, number - 1 - i) for i in reversed(apart)]
    numbers = before + [min(window.end - 1, number + i) for i in apart]
    frames = [window[n] for n in numbers]
    pairs = [(numbers[i], numbers[j]) for i, j in zip(EARLIER, LATER, strict=True)]
    distances = [0.0 if a == b else window.distance(a, b) for a, b in pairs]
    thumbs = np.stack([frame.thumb.ravel() for frame in frames]).astype(np.int16)
    changes = np.abs(thumbs[EARLIER] - thumbs[LATER])
    return np.concatenate(
        (
            np.array(distances, np.float32),
            np.sqrt(changes.mean(axis=1, dtype=np.float32) / 64),
            (changes > _SEEN_CHANGE).mean(axis=1, dtype=np.float32),
            np.array([frame.mean / 255 for frame in frames], np.float32),
            np.array([frame.deviation / 64 for frame in frames], np.float32),
        )
    )


def mirrored(inputs: Floats) -> Floats:
    """What `describe` would say of the same frames (n, 211) played backwards."""
    pairs = np.array([_PAIRS.index((FRAMES - 1 - j, FRAMES - 1 - i)) for i, j in _PAIRS])
    turned = FRAMES - 1 - np.arange(FRAMES)
    count, start = len(EARLIER), 3 * len(EARLIER)
    columns = [pairs, pairs + count, pairs + 2 * count, turned + start, turned + start + FRAMES]
    found: Floats = inputs[:, np.concatenate(columns)]
    return found


@dataclass(frozen=True, eq=False)
class Weights:
    """layers: weight (out, in) and bias (out,) of each."""

    layers: tuple[tuple[Floats, Floats], ...]

    def save(self, path: Path) -> None:
        np.savez_compressed(path, *(array for layer in self.layers for array in layer))

    @classmethod
    def load(cls, path: Path) -> Weights:
        with np.load(path, allow_pickle=False) as kept:
            arrays = [kept[f"arr_{i}"] for i in range(len(kept))]
        return cls(tuple(zip(arrays[::2], arrays[1::2], strict=True)))


@dataclass(frozen=True, eq=False)
class LearnedScorer:
    """See the module's text; a `CutScorer`."""

    weights: Weights

    def score(self, window: CutWindow, number: int) -> float:
        if not is_candidate(window, number):
            return 0.0
        return self.probability(describe(window, number))

    def is_cut(self, window: CutWindow, number: int) -> bool:
        return self.score(window, number) >= CUT

    def probability(self, inputs: Floats) -> float:
        values = inputs
        *hidden, (weight, bias) = self.weights.layers
        for matrix, shift in hidden:
            values = np.maximum(matrix @ values + shift, 0)
        return float(1 / (1 + np.exp(-np.clip((weight @ values + bias)[0], -30, 30))))
