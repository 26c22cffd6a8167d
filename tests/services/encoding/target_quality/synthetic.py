"""Films that exist on paper: every scene is two smooth curves over the CRF, with known truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from drapto.services.encoding.target_quality import (
    ORDINARY,
    Attempt,
    Controller,
    Done,
    Encode,
    Goal,
    Piece,
    Prior,
    SegmentQuality,
    Stop,
    Wait,
    complexity,
)

PIXELS = 640 * 360


@dataclass(frozen=True)
class PaperScene:
    frames: int
    gap: float = 8.0  # 103 - VMAF at CRF 30
    gap_growth: float = 0.042  # of its logarithm, for one CRF
    bits: float = 0.06  # a pixel at CRF 30
    shrinkage: float = 0.065  # of the logarithm, for one CRF
    best: float = 100.0  # VMAF that no CRF goes above
    spatial: float = 10.0
    temporal: float = 3.0

    def encode(self, index: int, crf: float) -> Attempt:
        vmaf = 103.0 - self.gap * np.exp(self.gap_growth * (crf - 30))
        vmaf = float(np.clip(vmaf, 1.0, self.best))
        spread = np.linspace(-1.5, 1.5, self.frames) if self.frames > 1 else np.zeros(1)
        scores = np.clip(vmaf + spread, 0.0, 100.0)
        size = self.frames * PIXELS / 8 * self.bits * np.exp(-self.shrinkage * (crf - 30))
        return Attempt(
            index, crf, int(size), SegmentQuality.of_scores(scores - scores.mean() + vmaf)
        )


@dataclass(frozen=True)
class Run:
    last: Done | Stop
    steps: tuple[Encode, ...]
    attempts: tuple[Attempt, ...]


def film(count: int, seed: int = 0, **changes: float) -> tuple[PaperScene, ...]:
    """Scenes that differ as those of one film do."""
    chance = np.random.default_rng(seed)
    return tuple(
        replace(
            PaperScene(
                frames=int(chance.integers(48, 200)),
                gap=float(8.0 * np.exp(chance.normal(0, 0.15))),
                bits=float(0.06 * np.exp(chance.normal(0, 0.3))),
                spatial=float(10 * np.exp(chance.normal(0, 0.3))),
                temporal=float(3 * np.exp(chance.normal(0, 0.3))),
            ),
            **changes,
        )
        for _ in range(count)
    )


def by_a_stranger(
    scenes: tuple[PaperScene, ...], shift: float, more: float = 1.5
) -> tuple[PaperScene, ...]:
    """As an encoder makes them whose CRF stands for what SVT-AV1's means `shift` further on, and
    who takes `more` bytes for it."""
    return tuple(
        replace(
            scene,
            gap=scene.gap * float(np.exp(scene.gap_growth * shift)),
            bits=more * scene.bits * float(np.exp(-scene.shrinkage * shift)),
        )
        for scene in scenes
    )


def start(scenes: tuple[PaperScene, ...], goal: Goal, prior: Prior = ORDINARY) -> Controller:
    return Controller(goal, prior, PIXELS, sum(scene.frames for scene in scenes))


def pieces(scenes: tuple[PaperScene, ...]) -> list[Piece]:
    return [
        Piece(index, scene.frames, complexity(scene.spatial, scene.temporal))
        for index, scene in enumerate(scenes)
    ]


def first(options: int) -> int:
    return 0


def drive(
    scenes: tuple[PaperScene, ...],
    goal: Goal,
    *,
    workers: int = 1,
    choose: Callable[[int], int] = first,
    streaming: bool = False,
    prior: Prior = ORDINARY,
) -> Run:
    """Run to the end. `choose(n)`: which of n things in progress comes next."""
    control, unknown = start(scenes, goal, prior), pieces(scenes)
    if not streaming:
        control, unknown = control.known(*unknown).all_known(), []
    steps: list[Encode] = []
    while True:
        step = control.next(workers)
        if isinstance(step, Encode):
            steps.append(step)
            assert len(steps) <= len(scenes) * goal.max_encodes, "it does not end"
            control = control.begun(step)
            continue
        if not isinstance(step, Wait):
            return Run(step, tuple(steps), control.attempts)
        waiting_for = len(control.in_flight) + bool(unknown)
        assert waiting_for, "it waits for nothing"
        choice = choose(waiting_for)
        if choice < len(control.in_flight):
            begun = control.in_flight[choice]
            control = control.finished(scenes[begun.index].encode(begun.index, begun.crf))
        else:
            control = control.known(unknown.pop(0))
            if not unknown:
                control = control.all_known()


def finish(
    scenes: tuple[PaperScene, ...], goal: Goal, workers: int = 1, prior: Prior = ORDINARY
) -> Done:
    last = drive(scenes, goal, workers=workers, prior=prior).last
    assert isinstance(last, Done)
    return last
