"""How fast the figures of a report are added up over many comparisons.

    python bench/comparison_store.py [--comparisons 100000] [--runs 5]

Fills a store with made-up comparisons that have the fields of real ones (a third of each stage,
5 % of them A/A, spread over 180 days and three revisions), then reads the figures of all three
stages as `drapto shadow report` does, and what else is asked of the store.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path

import anyio

from drapto.core.analysis import CropDecision, Scene, VideoAnalysis
from drapto.core.comparators.detection import compare_detection
from drapto.core.comparators.encoding import compare_encoding, encoding_measures
from drapto.core.comparators.segmentation import compare_segmentation
from drapto.core.comparators.verdict import Terms, verdict
from drapto.core.comparison import Comparison, FieldResult, Served
from drapto.core.flag_policy import Tolerances
from drapto.core.media import ColorInfo, CropRect, TrackKind
from drapto.core.output_summary import OutputSummary, Quality, TrackSummary
from drapto.core.routing import RoutedStage, Side
from drapto.core.segments import Segment
from drapto.infrastructure.comparison_schema import Database
from drapto.infrastructure.comparison_store import SqliteComparisonStore, insert_comparisons

FRAMES = 2400
NOW = datetime(2026, 7, 1, tzinfo=UTC)
STRATA = (("sdr", "hd"), ("hdr", "uhd"), ("sdr", "hd", "interlaced"))


def detection(rng: random.Random, terms: Terms) -> tuple[FieldResult, ...]:
    cuts = sorted(rng.sample(range(10, FRAMES), 40))
    found = [c + rng.choice((0, 0, 0, 1)) for c in cuts if rng.random() > 0.02]
    return compare_detection(
        _analysis(cuts, 140), _analysis(sorted(set(found)), 140 + rng.choice((0, 0, 1, 2, 4))),
        terms, width=1920, height=1080, frames=FRAMES,
    )  # fmt: skip


def _analysis(cuts: list[int], top: int) -> VideoAnalysis:
    edges = [0, *cuts, FRAMES]
    scenes = tuple(Scene(start=a, end=b) for a, b in itertools.pairwise(edges))
    rect = CropRect(width=1920, height=1080 - 2 * top, x=0, y=top)
    return VideoAnalysis(scenes=scenes, crop=CropDecision(rect=rect), decoded_frames=FRAMES)


def segmentation(rng: random.Random, terms: Terms) -> tuple[FieldResult, ...]:
    edges = sorted(rng.sample(range(1, FRAMES), 20))
    moved = [e + rng.choice((0, 0, 1, 3)) if rng.random() < 0.1 else e for e in edges]
    return compare_segmentation(
        _segments(edges), _segments(sorted(set(moved))), terms, frames=FRAMES
    )


def _segments(edges: list[int]) -> tuple[Segment, ...]:
    marks = [0, *(e for e in edges if e < FRAMES), FRAMES]
    pairs = itertools.pairwise(marks)
    return tuple(Segment(index=i, start=a, end=b) for i, (a, b) in enumerate(pairs))


def encoding(rng: random.Random, terms: Terms) -> tuple[OutputSummary, OutputSummary]:
    return _output(rng), _output(rng)


def _output(rng: random.Random) -> OutputSummary:
    sound = tuple(
        TrackSummary(
            kind=TrackKind.AUDIO, codec="opus", language=language, channels=2,
            start_s=round(rng.uniform(0, 0.01), 4), end_s=round(100 + rng.uniform(0, 0.01), 4),
        )
        for language in ("eng", "fre")
    )  # fmt: skip
    lost = rng.random() < 0.005
    return OutputSummary(
        frames=FRAMES, duration_s=100, frame_rate=Fraction(24),
        size_bytes=int(1e8 * rng.gauss(1, 0.01)), width=1920, height=800, color=ColorInfo(),
        tracks=(TrackSummary(kind=TrackKind.VIDEO, codec="av1"), *(sound[:1] if lost else sound)),
        quality=Quality(mean=rng.gauss(93, 0.2), p1=rng.gauss(86, 0.4), frames=FRAMES),
    )  # fmt: skip


def made_up(comparisons: int, seed: int = 1, aa_share: float = 0.05) -> Iterator[Comparison]:
    rng = random.Random(seed)
    stages = tuple(RoutedStage)
    for number in range(comparisons):
        stage = stages[number % 3]
        is_aa = rng.random() < aa_share
        terms = Terms(Tolerances(), is_aa=is_aa)
        measures: dict[str, float] = {}
        if stage is RoutedStage.DETECTION:
            fields = detection(rng, terms)
        elif stage is RoutedStage.SEGMENTATION:
            fields = segmentation(rng, terms)
        else:
            legacy, new = encoding(rng, terms)
            fields = compare_encoding(legacy, new, terms)
            measures = encoding_measures(legacy, new)
        outcome, reason = verdict(fields)
        yield Comparison(
            id=f"{number:06x}{rng.getrandbits(24):06x}",
            at=NOW - timedelta(days=180) * (1 - number / comparisons),
            job=f"{rng.getrandbits(32):08x}",
            source=Path(f"/films/collection/film-{number}.mkv"),
            stage=stage,
            primary=Side.LEGACY,
            candidate=Side.LEGACY if is_aa else Side.NEW,
            outcome=outcome,
            reason=reason,
            fields=fields,
            primary_s=rng.uniform(20, 60),
            candidate_s=rng.uniform(10, 50),
            strata=STRATA[number % 7 % 3],
            revision=str(1 + 3 * number // comparisons),
            mode="shadow",
            measures=measures,
        )


def _repeated(comparisons: int, different: int = 2000) -> Iterator[Comparison]:
    """Making one up takes longer than storing it, so some are used again under another id."""
    pool = list(made_up(min(different, comparisons)))
    for number in range(comparisons):
        some = pool[number % len(pool)]
        at = NOW - timedelta(days=180) * (1 - number / comparisons)
        revision = str(1 + 3 * number // comparisons)
        fresh = {"id": f"{number:06x}{some.id[6:]}", "at": at, "revision": revision}
        yield some.model_copy(update=fresh)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--comparisons", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteComparisonStore(Path(directory))
        print(f"filled in {await _fill(store, args.comparisons):.0f} s")
        print(f"{args.comparisons} comparisons, {store.path.stat().st_size / 2**20:.0f} MiB")
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "figures of all stages": partial(_every_stage, store),
            "figures of one stage": partial(store.figures, RoutedStage.ENCODING),
            "of one revision": partial(store.figures, RoutedStage.ENCODING, "2"),
            "the newest 400": partial(store.comparisons, RoutedStage.ENCODING, limit=400),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(args.runs):
            for name, work in works.items():
                times[name].append(await _timed(work))
        for name, seconds in times.items():
            print(f"{name:<21} {statistics.median(seconds):6.3f} s  (worst {max(seconds):.3f} s)")
        one = Comparison.model_validate(next(made_up(1, seed=2)).model_dump())
        print(f"recording one         {await _timed(partial(store.record, one)):6.3f} s")


async def _every_stage(store: SqliteComparisonStore) -> None:
    for stage in RoutedStage:
        await store.figures(stage)


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def _fill(store: SqliteComparisonStore, comparisons: int) -> float:
    started = time.perf_counter()
    for stage in RoutedStage:
        await store.record_served(Served(at=NOW, job="a", stage=stage, side=Side.NEW))

    def write(connection: sqlite3.Connection) -> None:
        insert_comparisons(connection, _repeated(comparisons))

    Database(store.path, print).run(write, write=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    anyio.run(main)
