"""Films for training a cut detector: all pictures are drawn here, every cut is known.

    film = compose(seed=7)           # the same seed always gives the same film
    film.planes, film.cuts           # (n, h, w) luma, the first frame after every hard cut

Shots (_cut_shots.py) are joined by cuts (some under a flash, some with a blended frame), dissolves,
fades and wipes. Over the whole film lie bars, noise and the marks of coarse coding.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _cut_shots import Planes, Random, draw, parts

SIZES = ((160, 90), (128, 72), (192, 108), (120, 90))
SHOTS = 14  # of a film


@dataclass(frozen=True, eq=False)
class CutFilm:
    """planes: (n, h, w) uint8. cuts: ascending. spans: [first, last] frames in which a soft
    transition may be found once without being wrong."""

    planes: Planes
    cuts: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def compose(seed: int) -> CutFilm:
    rng = np.random.default_rng(seed)
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    done: list[Planes] = []
    cuts: list[int] = []
    spans: list[tuple[int, int]] = []
    pending = draw(rng, width, height, None)
    for _ in range(SHOTS - 1):
        following = draw(rng, width, height, pending[-1])
        here = sum(map(len, done)) + len(pending)
        pending, following, cut, span = _join(rng, pending, following, here)
        cuts += cut
        spans += span
        done.append(pending)
        pending = following
    planes = _coded(rng, np.concatenate([*done, pending]))
    return CutFilm(planes, tuple(cuts), tuple(spans))


# --- joins --------------------------------------------------------------------------------------

_Joined = tuple[Planes, Planes, list[int], list[tuple[int, int]]]


def _join(rng: Random, before: Planes, after: Planes, here: int) -> _Joined:
    """Both shots as they are to follow each other, the cuts made and the spans left open."""
    kind = rng.choice(
        ["cut", "flash cut", "blend", "dissolve", "fade", "wipe"],
        p=[0.6, 0.06, 0.06, 0.1, 0.09, 0.09],
    )
    longest = min(20, len(before) // 2, len(after) // 2)
    length = int(rng.integers(min(6, longest), longest + 1))
    if kind == "flash cut":
        for i, strength in enumerate((0.8, 0.5, 0.2)):
            after = parts.flash(after, i, 1, strength * float(rng.uniform(0.6, 1.1)))
        return before, after, [here], []
    if kind == "blend":
        mixed = cv2.addWeighted(before[-1], 0.5, after[0], 0.5, 0)
        return before, np.concatenate([mixed[None].astype(np.uint8), after]), [here], []
    if kind == "dissolve":
        mixed = parts.dissolve(before[-length:], after[:length])
        return before[:-length], np.concatenate([mixed, after[length:]]), [], _span(here, length)
    if kind == "wipe":
        mixed = _wipe(rng, before[-length:], after[:length])
        return before[:-length], np.concatenate([mixed, after[length:]]), [], _span(here, length)
    if kind == "fade":
        out = np.concatenate([before[:-length], parts.fade(before[-length:], start=1, end=0)])
        dark = np.full((int(rng.integers(0, 8)), *before.shape[1:]), parts.BLACK, np.uint8)
        back = parts.fade(after[:length], start=0, end=1)
        span = [(here - length, here + len(dark) + length)]
        return np.concatenate([out, dark]), np.concatenate([back, after[length:]]), [], span
    return before, after, [here], []


def _span(here: int, length: int) -> list[tuple[int, int]]:
    return [(here - length - 1, here + 1)]


def _wipe(rng: Random, before: Planes, after: Planes) -> Planes:
    """The new picture uncovers itself from one side, or pushes the old one out."""
    length, height, width = before.shape
    pushes, down = rng.random() < 0.4, rng.random() < 0.4
    planes = before.copy()
    for i in range(length):
        edge = int((i + 1) / (length + 1) * (height if down else width))
        axis = 0 if down else 1
        if pushes:
            planes[i] = np.roll(before[i], edge, axis)
        new = np.roll(after[i], edge, axis) if pushes else after[i]
        inside = np.s_[:edge] if down else np.s_[:, :edge]
        planes[i][inside] = new[inside]
    return planes


# --- the whole film -----------------------------------------------------------------------------


def _coded(rng: Random, planes: Planes) -> Planes:
    """Bars, noise, softness and the marks of coding, the same over the whole film."""
    if rng.random() < 0.3:
        bar = int(planes.shape[1] * rng.uniform(0.05, 0.16))
        planes = parts.letterbox(planes, top=bar, bottom=bar)
    sigma = float(rng.choice([0, 0, 1.5, 4, 9]))
    quality = int(rng.integers(15, 90)) if rng.random() < 0.8 else 100
    softness = int(rng.choice([1, 1, 1, 3]))
    cv2.setRNGSeed(int(rng.integers(1 << 30)))
    shaped = []
    for plane in planes:
        if sigma:
            noise = np.empty(plane.shape, np.int8)
            cv2.randn(noise, 0, sigma)
            plane = cv2.add(plane, noise, dtype=cv2.CV_8U)
        if softness > 1:
            plane = cv2.blur(plane, (softness, softness))
        if quality < 100:
            coded = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            plane = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
        shaped.append(plane)
    return np.stack(shaped).astype(np.uint8)
