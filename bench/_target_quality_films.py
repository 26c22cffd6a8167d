"""Films of measured scenes, for simulating target quality without encoding anything.

A scene is its two curves (see `drapto/services/encoding/target_quality/curves.py`), what encoding
and measuring it cost, and its complexity. Films are drawn with a fixed seed from the scenes of
some sources; `fit_prior` makes the prior from the scenes of other sources only.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drapto.services.encoding.target_quality.curves import KNOTS, VMAF_LIMIT, Prior, interpolation

Floats = npt.NDArray[np.float64]

FEATURES = ("gx", "mad")  # of feats.csv: what core.analysis.Scene tells as well
COMPONENTS = 5
RIDGE = 1.0  # pseudo-scenes that hold the weights of features back
PIXELS = 1920 * 1080  # of every composed film: curves are per pixel
GAP_IMPORTANCE = 2.0  # the gap is spread half as widely as the rate and matters as much


@dataclass(frozen=True)
class Scene:
    name: str
    source: str
    gap: Floats  # (knots,) ln(103 - mean VMAF)
    rate: Floats  # (knots,) ln(bits per pixel)
    tail: Floats  # (knots,) (103 - 5th percentile) / (103 - mean)
    encode_s: Floats  # (knots,) CPU seconds per million pixels
    measure_s: float  # CPU seconds per million pixels, every frame measured
    features: tuple[float, ...]
    width: int


def read_scenes(folder: Path, features: tuple[str, ...] = FEATURES) -> list[Scene]:
    """Scenes of truth.csv and feats.csv. Errors: FileNotFoundError, KeyError."""
    with (folder / "feats.csv").open() as file:
        about = {row["scene"]: row for row in csv.DictReader(file)}
    measured: dict[str, dict[float, dict[str, str]]] = {}
    with (folder / "truth.csv").open() as file:
        for row in csv.DictReader(file):
            measured.setdefault(row["scene"], {})[float(row["crf"])] = row
    return [_scene(name, rows, about[name], features) for name, rows in measured.items()]


def _scene(
    name: str, rows: dict[float, dict[str, str]], about: dict[str, str], features: tuple[str, ...]
) -> Scene:
    def column(key: str) -> Floats:
        return np.array([float(rows[crf][key]) for crf in KNOTS])

    millions = float(about["w"]) * float(about["h"]) * column("frames") / 1e6
    gap = VMAF_LIMIT - column("vmaf_mean")
    return Scene(
        name=name,
        source=about["group"],
        gap=np.log(gap),
        rate=np.log(8 * column("bytes") / (millions * 1e6)),
        tail=(VMAF_LIMIT - column("vmaf_p5")) / gap,
        encode_s=column("encode_cpu_s") / millions,
        measure_s=float((column("vmaf_cpu_s") / millions).mean()),
        features=tuple(float(np.log(max(float(about[f]), 0.05))) for f in features),
        width=int(about["w"]),
    )


def fit_prior(scenes: Sequence[Scene]) -> Prior:
    """Mean, shapes, weights and covariances from fully measured scenes (method of moments)."""
    curves = np.array([np.concatenate([scene.gap, scene.rate]) for scene in scenes])
    features = np.array([scene.features for scene in scenes])
    sources = np.array([scene.source for scene in scenes])
    share = np.array([1 / np.sqrt((sources == source).sum()) for source in sources])
    mean = np.average(curves, axis=0, weights=share)
    scale = np.concatenate([np.full(len(KNOTS), GAP_IMPORTANCE), np.ones(len(KNOTS))])
    _, _, directions = np.linalg.svd((curves - mean) * scale * share[:, None] ** 0.5)
    shapes = directions[:COMPONENTS] / scale
    z = (curves - mean) * scale @ directions[:COMPONENTS].T

    table = np.hstack([np.ones((len(z), 1)), features])
    centre = np.average(features, axis=0, weights=share)
    table[:, 1:] -= centre
    hold = np.diag([0.0, *np.full(features.shape[1], RIDGE)])
    weights = np.linalg.solve(
        table.T @ (table * share[:, None]) + hold, table.T @ (z * share[:, None])
    )
    weights[0] -= centre @ weights[1:]
    left = z - np.hstack([np.ones((len(z), 1)), features]) @ weights

    within = np.zeros((COMPONENTS, COMPONENTS))
    degrees = 0
    means = []
    for source in sorted(set(sources)):
        own = left[sources == source]
        means.append(own.mean(axis=0))
        within += (own - means[-1]).T @ (own - means[-1])
        degrees += len(own) - 1
    within = within / max(degrees, 1) + 1e-4 * np.eye(COMPONENTS)
    between = np.atleast_2d(np.cov(np.array(means).T, bias=True))
    # Few sources: keep the variances, halve what is said about how they go together.
    between = 0.5 * between + 0.5 * np.diag(np.diag(between)) + 1e-3 * np.eye(COMPONENTS)
    within = 0.8 * within + 0.2 * np.diag(np.diag(within))
    return Prior(
        mean=tuple(mean.tolist()),
        shapes=tuple(tuple(row) for row in shapes.tolist()),
        weights=tuple(tuple(row) for row in weights.T.tolist()),
        between=tuple(tuple(row) for row in between.tolist()),
        within=tuple(tuple(row) for row in within.tolist()),
    )


# --- films --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Film:
    """Truth about a composed film. Rows are segments; curves are looked up at any CRF."""

    kind: str
    seed: int
    sources: frozenset[str]
    frames: npt.NDArray[np.int64]  # (n,)
    gap: Floats  # (n, knots)
    rate: Floats
    tail: Floats
    encode_s: Floats
    measure_s: Floats  # (n,)
    features: Floats  # (n, f)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def total(self) -> int:
        return int(self.frames.sum())

    def vmaf(self, crfs: Floats) -> Floats:
        """(n,) true mean VMAF, one CRF for each segment."""
        found: Floats = np.minimum(100.0, VMAF_LIMIT - np.exp(self._at(self.gap, crfs)))
        return found

    def bytes(self, crfs: Floats) -> Floats:
        found: Floats = self.frames * PIXELS / 8 * np.exp(self._at(self.rate, crfs))
        return found

    def tails(self, crfs: Floats) -> Floats:
        return np.maximum(self._at(self.tail, crfs), 1.0)

    def encode_cost(self, crfs: Floats) -> Floats:
        """(n,) CPU seconds."""
        held = np.clip(crfs, KNOTS[0], KNOTS[-1])
        found: Floats = self.frames * PIXELS / 1e6 * self._at(self.encode_s, held)
        return found

    def measure_cost(self) -> Floats:
        """(n,) CPU seconds for every frame."""
        found: Floats = self.frames * PIXELS / 1e6 * self.measure_s
        return found

    def pooled(self, crfs: Floats) -> float:
        return float(np.average(self.vmaf(crfs), weights=self.frames))

    def single(self, crf: float) -> Floats:
        return np.full(len(self), crf)

    def single_for(self, vmaf: float) -> float:
        """The one CRF, not rounded, at which the whole film has this mean VMAF."""
        low, high = 1.0, 63.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if self.pooled(self.single(middle)) >= vmaf else (low, middle)
            )
        return (low + high) / 2

    def constant_for(self, vmaf: float) -> Floats:
        """(n,) CRFs, not rounded, that give every segment this VMAF."""
        low, high = np.full(len(self), 1.0), np.full(len(self), 63.0)
        for _ in range(40):
            middle = (low + high) / 2
            good = self.vmaf(middle) >= vmaf
            low, high = np.where(good, middle, low), np.where(good, high, middle)
        found: Floats = (low + high) / 2
        return found

    def _at(self, curves: Floats, crfs: Floats) -> Floats:
        found: Floats = np.sum(interpolation(crfs) * curves, axis=1)
        return found


# A film has one size, so its scenes are drawn from sources of about one width; a reel of mixed
# clips from all of them.
SIZES, SIZE_SHARES = ((640, 854), (320, 480), (1280, 1920)), (0.5, 0.25, 0.25)
SEGMENTS = {"short": (4, 8), "middle": (12, 30), "long": (60, 120), "mixed": (20, 100)}
SOURCES = {"short": (1, 3), "middle": (2, 4), "long": (3, 6), "mixed": (4, 7)}


def compose(scenes: Sequence[Scene], kind: str, seed: int) -> Film:
    """A film of this kind; the same for the same seed."""
    chance = np.random.default_rng([seed, len(kind)])
    smallest, largest = SIZES[int(chance.choice(len(SIZES), p=SIZE_SHARES))]
    if kind != "mixed":
        scenes = [scene for scene in scenes if smallest <= scene.width <= largest]
    names = sorted({scene.source for scene in scenes})
    count = int(chance.integers(SOURCES[kind][0], SOURCES[kind][1] + 1))
    sources = frozenset(chance.choice(names, size=min(count, len(names)), replace=False).tolist())
    of_film = [scene for scene in scenes if scene.source in sources]
    size = int(chance.integers(SEGMENTS[kind][0], SEGMENTS[kind][1] + 1))
    drawn = [of_film[i] for i in chance.integers(0, len(of_film), size=size)]
    return Film(
        kind=kind,
        seed=seed,
        sources=sources,
        frames=np.clip(np.exp(chance.normal(np.log(100), 0.5, size)), 40, 300).astype(np.int64),
        gap=np.array([scene.gap for scene in drawn]),
        rate=np.array([scene.rate for scene in drawn]),
        tail=np.array([scene.tail for scene in drawn]),
        encode_s=np.array([scene.encode_s for scene in drawn]),
        measure_s=np.array([scene.measure_s for scene in drawn]),
        features=np.array([scene.features for scene in drawn]),
    )
