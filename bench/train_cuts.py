"""Train a small network to tell cuts, and measure it against the classical scorer.

    python bench/train_cuts.py CLIP... [--seeds 0 1 2 3 4] [--films 200] [--save FOLDER]

Needs torch. Every training seed draws films of its own (_cut_films.py) to learn from. Then every
scorer decides the same films:

- drawn: films of _cut_films.py with seeds that no training has seen;
- patterns: films that bench/cuts.py composes of ffmpeg's test patterns;
- clips: films that bench/cuts.py composes of the given clips.

No training has seen a pattern or a clip. Truth, tolerance and F1 are those of bench/cuts.py. What
came of it: docs/learned-cuts.md. One thread; two to three minutes of CPU time for a seed, and about
five before the first for composing and coding.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import _cut_films
import _cut_network as network
import cuts as composed
from _cut_network import HIDDEN, INPUTS, Floats, LearnedScorer, Weights

from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.services.detection.cut_scoring import ClassicalScorer, CutScorer
from drapto.services.detection.cut_window import CutFrame, CutWindow
from drapto.services.detection.cuts import CutDetector
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import LUMA_HEIGHT, is_black
from tests.media.film import source_of

RATES = (24, 24, 24, 24, 24, 24, 12, 25, 30, 60)  # of drawn films, in turn
UNSEEN = 1_000_000  # the first seed of the films that are drawn for judging
EPOCHS, BATCH, RATE, DECAY, DROPOUT = 30, 512, 2e-3, 1e-2, 0.1


@dataclass(frozen=True, eq=False)
class Film:
    """What the detector sees of a film, and the truth (see bench/cuts.py)."""

    rate: Fraction
    frames: Sequence[CutFrame]
    cuts: Sequence[int]
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Samples:
    """inputs: (n, INPUTS). labels: (n,), 1 for a cut. weights: (n,), 0 where either is right."""

    inputs: Floats
    labels: Floats
    weights: Floats


# --- films ------------------------------------------------------------------------------------


def drawn(seed: int) -> Film:
    film = _cut_films.compose(seed)
    rate = Fraction(RATES[seed % len(RATES)])
    return Film(rate, seen(film.planes), film.cuts, film.spans)


def seen(planes: npt.NDArray[np.uint8]) -> list[CutFrame]:
    features = NumpyBackend().luma(np.ascontiguousarray(planes), None)
    numbers = features.mean.tolist(), features.deviation.tolist(), is_black(features).tolist()
    return [CutFrame(*one) for one in zip(features.thumbs, *numbers, strict=True)]


def filmed(clips: Sequence[Path], seeds: Sequence[int], shots: int) -> Iterator[Film]:
    """Films of these clips, coded and decoded again as bench/cuts.py does."""
    found = [shot for clip in clips for shot in composed.shots_of(composed.read_clip(clip))]
    with tempfile.TemporaryDirectory() as name:
        for seed in seeds:
            film, path = composed.compose(found, shots, seed), Path(name) / f"{seed}.mkv"
            composed.write(film, path)
            frames = PyAvLumaReader().frames(source_of(path), max_height=LUMA_HEIGHT)
            luma = np.stack([frame.luma for frame in frames])
            yield Film(Fraction(composed.FPS), seen(luma), film.cuts, film.spans)


# --- what is learned from ---------------------------------------------------------------------


@dataclass
class Asking:
    """A scorer that takes down what the network would be asked, as the detector would ask it:
    about the step to be decided and, for one beside it, with the frames that are there then."""

    cuts: frozenset[int]
    random: np.random.Generator
    inputs: list[Floats] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def score(self, window: CutWindow, number: int) -> float:
        return 0.0

    def is_cut(self, window: CutWindow, number: int) -> bool:
        near = number + int(self.random.integers(-window.gap, window.gap + 1))
        for n in sorted({number, near}):
            if window.first < n < window.end and network.is_candidate(window, n):
                self.inputs.append(network.describe(window, n))
                self.labels.append(n in self.cuts)
                # After a blended frame, the step to the next one is as much of a cut.
                self.weights.append(float(n - 1 not in self.cuts))
        return False


def samples(films: Sequence[Film], seed: int) -> Samples:
    random = np.random.default_rng(seed)
    taken = [Asking(frozenset(film.cuts), random) for film in films]
    for film, asking in zip(films, taken, strict=True):
        decide(film, asking)
    return Samples(
        np.array([one for asking in taken for one in asking.inputs], np.float32),
        np.array([one for asking in taken for one in asking.labels], np.float32),
        np.array([one for asking in taken for one in asking.weights], np.float32),
    )


def train(seed: int, films: int) -> Weights:
    """The same seed and number of films give the same weights on the same machine."""
    return fit(samples([drawn(seed * films + i) for i in range(films)], seed), seed)


def fit(given: Samples, seed: int, epochs: int = EPOCHS) -> Weights:
    """Every sample is learned forwards and backwards in time."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    inputs = torch.from_numpy(np.concatenate([given.inputs, network.mirrored(given.inputs)]))
    labels, weights = (torch.from_numpy(np.tile(a, 2)) for a in (given.labels, given.weights))
    linear = [nn.Linear(a, b) for a, b in pairwise((INPUTS, *HIDDEN, 1))]
    hidden = [layer for one in linear[:-1] for layer in (one, nn.ReLU(), nn.Dropout(DROPOUT))]
    model = nn.Sequential(*hidden, linear[-1])
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    batches = -(-len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=max(2, epochs * batches)
    )
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(
                model(inputs[batch])[:, 0], labels[batch], weights[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return Weights(
        tuple((one.weight.detach().numpy(), one.bias.detach().numpy()) for one in linear)
    )


# --- judging ----------------------------------------------------------------------------------


def decide(film: Film, scorer: CutScorer) -> list[int]:
    detector, found = CutDetector(film.rate, scorer), []
    for frame in film.frames:
        found += detector.push(
            frame.thumb, mean=frame.mean, deviation=frame.deviation, black=frame.black
        )
    return found + detector.finish()


def judge(films: Sequence[Film], scorer: CutScorer) -> composed.Score:
    total = composed.Score()
    for film in films:
        start = time.process_time()
        score = composed.judge(film, decide(film, scorer))
        score.cpu_s = time.process_time() - start
        total.add(score)
    return total


def report(name: str, sets: dict[str, list[Film]], scorer: CutScorer) -> dict[str, float]:
    """Prints a row for each set; F1 of each."""
    found = {}
    for label, films in sets.items():
        score, frames = judge(films, scorer), sum(len(film.frames) for film in films)
        found[label] = score.f1
        print(
            f"{name:12} {label:9} {score.f1:.4f} {score.right:6} {score.wrong:6} "
            f"{score.missed:6} {1e6 * score.cpu_s / frames:10.0f}",
            flush=True,
        )
    return found


def main() -> None:
    av.logging.set_level(av.logging.ERROR)
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description="Train a cut scorer and measure it.")
    parser.add_argument("clips", nargs="*", type=Path, help="for judging only")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--films", type=int, default=200, help="drawn for each training")
    parser.add_argument("--judged", type=int, default=12, help="composed films of each set")
    parser.add_argument("--shots", type=int, default=40, help="sub-clips of a composed film")
    parser.add_argument("--save", type=Path, help="folder for the weights")
    options = parser.parse_args()

    judged = range(101, 101 + options.judged)
    sets = {"drawn": [drawn(UNSEEN + i) for i in range(3 * options.judged)]}
    with tempfile.TemporaryDirectory() as name:
        patterns = list(composed.generate(Path(name)))
        sets["patterns"] = list(filmed(patterns, judged, options.shots))
    if options.clips:
        sets["clips"] = list(filmed(options.clips, judged, options.shots))
    for label, films in sets.items():
        cuts, frames = (
            sum(len(film.cuts) for film in films),
            sum(len(film.frames) for film in films),
        )
        print(f"{label}: {len(films)} films, {frames} frames, {cuts} cuts")
    print("scorer       films       F1    right  wrong missed us a frame")
    classical = report("classical", sets, ClassicalScorer())
    learned: list[dict[str, float]] = []
    for seed in options.seeds:
        weights = train(seed, options.films)
        if options.save:
            options.save.mkdir(parents=True, exist_ok=True)
            weights.save(options.save / f"cuts{seed}.npz")
        learned.append(report(f"seed {seed}", sets, LearnedScorer(weights)))
    for label in sets if learned else ():
        found = [f1[label] for f1 in learned]
        gain, spread = float(np.mean(found)) - classical[label], max(found) - min(found)
        verdict = "beats" if gain > spread else "does not beat"
        print(
            f"{label}: {np.mean(found):.4f} against {classical[label]:.4f}, gain {gain:+.4f}, "
            f"spread {spread:.4f}: learned {verdict} classical"
        )


if __name__ == "__main__":
    main()
