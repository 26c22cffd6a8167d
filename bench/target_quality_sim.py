"""Target quality on simulated films: the controller and its rivals, in one table.

    python bench/target_quality_sim.py --data FOLDER [--films 30] [--workers 4] [--stride 3]

Films are composed of measured scenes (`_target_quality_films.py`); between measured CRFs their
curves are interpolated. Each film's prior is fitted on the sources that the film does not use.
The controller that is driven here is the one that the encoding stage drives.

Columns, averages over the films: *cost*, CPU time of all encodes and measurements in units of
one encode of the film at the right single CRF, and its 90th percentile; *bias*, pooled VMAF less
the target; *|err|*, its median and 90th percentile without the sign; *single%*, bytes against the
single CRF of equal pooled VMAF; *const%*, bytes against constant VMAF in every scene at equal
pooled VMAF; *worst* scene; *p5* of all frames; scenes *under* the floor, and *all* of them;
*extra%*, frames encoded again; *wall*, time of the run by the cost of a plain encode (4 workers
that are always busy with nothing but one encode: 0.25).

The rivals are in `_target_quality_rivals.py`.
"""

from __future__ import annotations

import argparse
import heapq
from pathlib import Path

import numpy as np
from _target_quality_films import (
    FEATURES,
    PIXELS,
    SEGMENTS,
    Film,
    Floats,
    compose,
    fit_prior,
    read_scenes,
)
from _target_quality_rivals import RIVALS, Costs, Result

from drapto.core.quality import BINS, SegmentQuality
from drapto.services.encoding.target_quality.controller import Controller
from drapto.services.encoding.target_quality.curves import VMAF_LIMIT, Prior
from drapto.services.encoding.target_quality.film import Attempt, Piece
from drapto.services.encoding.target_quality.goal import Goal
from drapto.services.encoding.target_quality.steps import Done, Encode, Wait

_NORMAL = np.array([-1.96, -1.44, -1.15, -0.93, -0.76, -0.6, -0.45, -0.32, -0.19, -0.06])
BIN_Z = np.concatenate([_NORMAL, -_NORMAL[::-1]])


def bins(vmaf: Floats, tails: Floats) -> Floats:
    """(n, 20): frames of segments with this mean and this tail, as if normally distributed."""
    deviation = (VMAF_LIMIT - vmaf) * (tails - 1) / 1.645
    found: Floats = vmaf[:, None] + deviation[:, None] * BIN_Z
    return found


class Truth:
    """Encodes and measures, as seen by the controller."""

    def __init__(self, film: Film, costs: Costs, seed: int) -> None:
        self._film, self._costs = film, costs
        self._seed = seed

    def encode(self, index: int, crf: float) -> tuple[Attempt, float]:
        film = self._film
        crfs = film.single(crf)
        # The same segment at the same CRF is measured the same, whenever it is.
        chance = np.random.default_rng([self._seed, index])
        noise = chance.normal(0, self._costs.noise(int(film.frames[index])))
        vmaf = min(100.0, float(film.vmaf(crfs)[index]) + noise)
        spread = bins(np.array([vmaf]), film.tails(crfs)[index : index + 1])[0]
        quality = SegmentQuality(
            mean=vmaf,
            harmonic=BINS / float(np.sum(1 / (spread + 1))) - 1,
            p5=float(spread[0]),
            minimum=float(spread[0]),
            measured=int(film.frames[index]) // self._costs.stride,
            bins=tuple(spread.tolist()),
        )
        cost = film.encode_cost(crfs)[index] + film.measure_cost()[index] * self._costs.share
        size = int(film.bytes(crfs)[index])
        return Attempt(index, crf, size, quality), float(cost)


def controlled(film: Film, goal: Goal, prior: Prior, costs: Costs, workers: int) -> Result:
    """Drive the controller with several workers; detection is ten times as fast as they are."""
    truth = Truth(film, costs, film.seed)
    control = Controller(goal, prior, PIXELS, film.total)
    plain = film.encode_cost(film.single(32.0))
    found_s = np.cumsum(plain) / workers / 10
    events: list[tuple[float, int, Attempt | Piece]] = [
        (float(at), i, Piece(i, int(film.frames[i]), tuple(film.features[i].tolist())))
        for i, at in enumerate(found_s)
    ]
    heapq.heapify(events)
    number, now_s, cost_s, encodes = len(events), 0.0, 0.0, 0
    while True:
        step = control.next(workers)
        while isinstance(step, Encode):
            attempt, seconds = truth.encode(step.index, step.crf)
            cost_s, encodes, number = cost_s + seconds, encodes + 1, number + 1
            heapq.heappush(events, (now_s + seconds, number, attempt))
            control = control.begun(step)
            step = control.next(workers)
        if not isinstance(step, Wait):
            break
        now_s, _, event = heapq.heappop(events)
        if isinstance(event, Piece):
            control = control.known(event)
            if len(control.pieces) == len(film):
                control = control.all_known()
        else:
            control = control.finished(event)
    assert isinstance(step, Done)
    crfs = np.array([attempt.crf for attempt in step.outcome.chosen])
    extra = step.outcome.extra_frames / film.total
    return Result(crfs, cost_s, now_s, extra, encodes)


# --- figures ------------------------------------------------------------------------------


def figures(film: Film, result: Result, goal: Goal) -> dict[str, float]:
    vmaf = film.vmaf(result.crfs)
    reached = film.pooled(result.crfs)
    plain = film.encode_cost(film.single(film.single_for(goal.target))).sum()
    size = film.bytes(result.crfs).sum()
    same_single = film.bytes(film.single(film.single_for(reached))).sum()
    same_constant = film.bytes(film.constant_for(reached)).sum()
    frames = np.sort(bins(vmaf, film.tails(result.crfs)).ravel())
    return {
        "cost": result.cost_s / plain,
        "error": reached - goal.target,
        "single": size / same_single - 1,
        "constant": size / same_constant - 1,
        "worst": float(vmaf.min()),
        "p5": float(np.percentile(frames, 5)),
        "scenes": float(len(film)),
        "under": float((vmaf < goal.lowest_scene).sum()),
        "extra": result.extra,
        "wall": result.wall_s / plain,
    }


def row(name: str, all_figures: list[dict[str, float]]) -> str:
    def column(key: str) -> Floats:
        return np.array([figure[key] for figure in all_figures])

    error = np.abs(column("error"))
    return (
        f"{name:22s} {np.mean(column('cost')):5.2f} {np.percentile(column('cost'), 90):5.2f}"
        f"  {np.mean(column('error')):+5.2f} {np.median(error):5.2f}"
        f" {np.percentile(error, 90):5.2f}"
        f"  {100 * np.mean(column('single')):+6.1f} {100 * np.mean(column('constant')):+6.1f}"
        f"  {np.mean(column('worst')):5.1f} {np.mean(column('p5')):5.1f}"
        f" {int(column('under').sum()):5d} {int(column('scenes').sum()):5d}"
        f" {100 * np.mean(column('extra')):5.1f}"
        f" {np.mean(column('wall')):5.2f}"
    )


HEAD = (
    "                        cost   p90   bias  |err|   p90  single% const%  worst"
    "    p5 under   all extra% wall"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--films", type=int, default=30)
    # Everything was tuned on seeds below 1000.
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--kinds", nargs="+", default=list(SEGMENTS))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--stride", type=int, default=3)
    parser.add_argument("--target", type=float, default=95.0)
    parser.add_argument("--max-extra", type=float, default=0.10)
    parser.add_argument("--features", nargs="+", default=list(FEATURES), help="of feats.csv")
    parser.add_argument("--no-rivals", action="store_true")
    options = parser.parse_args()
    scenes = read_scenes(options.data, tuple(options.features))
    goal = Goal(options.target, max_extra=options.max_extra)
    costs = Costs(options.stride)
    for kind in options.kinds:
        seeds = range(options.first_seed, options.first_seed + options.films)
        films = [compose(scenes, kind, seed) for seed in seeds]
        print(f"\n{kind}: {len(films)} films\n{HEAD}")
        ours = []
        for film in films:
            prior = fit_prior([scene for scene in scenes if scene.source not in film.sources])
            ours.append(figures(film, controlled(film, goal, prior, costs, options.workers), goal))
        print(row("drapto", ours), flush=True)
        rivals = {} if options.no_rivals else RIVALS
        for name, rival in rivals.items():
            results = [figures(film, rival(film, goal.target, costs), goal) for film in films]
            print(row(name, results), flush=True)


if __name__ == "__main__":
    main()
