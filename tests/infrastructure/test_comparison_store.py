"""The store of shadow runs: what is recorded comes back, and what it adds up to."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drapto.core.comparison import Comparison, Outcome, Severity
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadow_figures import StageFigures
from drapto.infrastructure.comparison_schema import Database
from drapto.infrastructure.comparison_store import (
    SqliteComparisonStore,
    insert_comparisons,
)
from tests.infrastructure.comparisons import (
    EQUAL,
    STAGE,
    START,
    comparison,
    critical,
    field,
    served,
)


@pytest.fixture
def store(tmp_path: Path) -> SqliteComparisonStore:
    return SqliteComparisonStore(tmp_path / "state")


async def filled(store: SqliteComparisonStore, *comparisons: Comparison) -> StageFigures:
    for one in comparisons:
        await store.record(one)
    return await store.figures(STAGE)


async def test_what_was_recorded_comes_back_as_it_was(store: SqliteComparisonStore) -> None:
    odd = comparison(
        source=Path(os.fsdecode(b"/films/caf\xe9.mkv")),
        fields=(field(), EQUAL),
        measures={"size_ratio": 1.25},
        at=datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=UTC),
    )
    await store.record(odd)
    assert await store.comparisons(STAGE) == (odd,)
    assert await store.get(odd.id) == odd
    one = served(reason=os.fsdecode(b"\xe9"), strata=("sdr",))
    await store.record_served(one)
    assert await store.served(STAGE) == (one,)


async def test_reading_where_nothing_was_recorded_makes_no_file(
    store: SqliteComparisonStore,
) -> None:
    assert await store.comparisons(STAGE) == ()
    assert await store.served(STAGE) == ()
    assert await store.get("abc") is None
    assert await store.figures(STAGE) == StageFigures(stage=STAGE)
    assert not store.path.exists()


async def test_the_newest_are_given_oldest_first_and_filtered(
    store: SqliteComparisonStore,
) -> None:
    for number in (3, 1, 4, 0, 2):
        await store.record(comparison(number, revision="2" if number > 1 else "1"))
        await store.record_served(served(number, revision="2" if number > 1 else "1"))
    await store.record(comparison(9, stage=RoutedStage.ENCODING))

    async def jobs(**wanted: Any) -> list[list[str]]:
        both = (await store.comparisons(STAGE, **wanted), await store.served(STAGE, **wanted))
        return [[one.job[-1] for one in rows] for rows in both]

    assert await jobs() == [list("01234")] * 2
    assert await jobs(limit=2) == [list("34")] * 2
    assert await jobs(revision="2") == [list("234")] * 2
    assert await jobs(since=START + timedelta(hours=1), limit=3, revision="1") == [["1"]] * 2


async def test_the_newest_of_one_side_are_found_among_many_of_the_other(
    store: SqliteComparisonStore,
) -> None:
    for number in range(6):
        await store.record_served(served(number, side=Side.NEW if number < 2 else Side.LEGACY))
    found = await store.served(STAGE, limit=2, side=Side.NEW)
    assert [one.job for one in found] == ["job0", "job1"]


async def test_one_that_is_there_already_is_left_as_it_is(store: SqliteComparisonStore) -> None:
    await store.record(comparison(1))
    await store.record(comparison(1, outcome=Outcome.CRITICAL, fields=(field(),)))
    (found,) = await store.comparisons(STAGE)
    assert found.outcome is Outcome.MATCH
    assert (await store.figures(STAGE)).fields == ()


async def test_an_id_may_be_shortened_while_it_is_the_only_one(
    store: SqliteComparisonStore,
) -> None:
    for name in ("ab0000000000", "abcd00000000"):
        await store.record(comparison(id=name))
    assert await store.get("ab") is None
    assert (await store.get("abc") or comparison()).id == "abcd00000000"
    assert await store.get("ff%") is None


async def test_figures_count_outcomes_by_day_and_by_stratum(store: SqliteComparisonStore) -> None:
    uhd = ("hdr", "uhd")
    found = await filled(
        store,
        comparison(0),
        comparison(1, outcome=Outcome.CRITICAL, fields=critical(3)),
        comparison(2, outcome=Outcome.SKIPPED, fields=()),
        comparison(24, outcome=Outcome.TIMEOUT, fields=(), strata=uhd),
        comparison(25, strata=uhd),
        comparison(26, candidate=Side.LEGACY),
    )
    days = [(c.day.day, c.outcome.value, c.is_aa, c.runs) for c in found.outcomes]
    assert days == [
        (1, "critical", False, 1), (1, "match", False, 1), (1, "skipped", False, 1),
        (2, "match", False, 1), (2, "match", True, 1), (2, "timeout", False, 1),
    ]  # fmt: skip
    assert (found.comparisons, found.aa_runs) == (3, 1)
    assert {s.stratum: (s.counted, s.agreed) for s in found.strata} == {
        "hd": (2, 1), "sdr": (2, 1), "hdr": (2, 1), "uhd": (2, 1),
    }  # fmt: skip
    assert found.total(Outcome.MATCH) == 2 and found.total() == 5
    assert [c.outcome.value for c in found.worst] == ["critical", "timeout"]


async def test_figures_say_how_far_each_field_is_off(store: SqliteComparisonStore) -> None:
    cuts = tuple(field(f"cuts[{i}]", 1, tolerance=0) for i in range(3))
    found = await filled(
        store,
        comparison(0),
        comparison(1, outcome=Outcome.MISMATCH, fields=(field(distance=5), *cuts)),
        comparison(2, outcome=Outcome.IGNORED, fields=(field(severity=Severity.IGNORED),)),
        comparison(3, outcome=Outcome.CRITICAL, fields=critical(9)),
    )  # fmt: skip
    by_name = {f.field: f for f in found.fields}
    assert set(by_name) == {"crop.top", "cuts[*]"}
    crop = by_name["crop.top"]
    assert (crop.outside, crop.critical, crop.ignored, crop.above_noise) == (2, 1, 1, 2)
    assert (crop.median, crop.max, crop.noise) == (4, 9, None)
    assert by_name["cuts[*]"].outside == 1, "once for a run, however many of them it lists"


async def test_a_mismatch_within_the_noise_of_legacy_counts_as_agreement(
    store: SqliteComparisonStore,
) -> None:
    aa = [
        comparison(n, candidate=Side.LEGACY, outcome=Outcome.MISMATCH, fields=(field(distance=4),))
        for n in range(20)
    ]
    exact = field("interlacing", 1, tolerance=0)
    found = await filled(
        store,
        *aa,
        comparison(30, outcome=Outcome.MISMATCH, fields=(field(distance=4),)),
        comparison(31, outcome=Outcome.MISMATCH, fields=(field(distance=5),)),
        comparison(32, outcome=Outcome.MISMATCH, fields=(field(distance=3), exact)),
        comparison(33, outcome=Outcome.CRITICAL, fields=critical(3)),
    )  # fmt: skip
    assert (found.total(Outcome.MISMATCH), found.excused()) == (3, 1)
    (crop,) = [f for f in found.fields if f.field == "crop.top"]
    assert (crop.noise, crop.outside, crop.above_noise, crop.aa_outside) == (4, 4, 2, 20)
    assert [(s.stratum, s.counted, s.agreed) for s in found.strata] == [
        ("hd", 4, 1), ("sdr", 4, 1),
    ]  # fmt: skip


async def test_figures_agree_with_judging_run_by_run(store: SqliteComparisonStore) -> None:
    """The store adds up in SQL what core/noise.py decides for one run: both must say the same."""
    from bench.comparison_store import made_up
    from drapto.core.noise import noise_levels, without_noise

    runs = tuple(made_up(300, aa_share=0.4))
    Database(store.path, print).run(lambda c: insert_comparisons(c, runs), write=True)
    all_excused = 0
    for stage in RoutedStage:
        own = [run for run in runs if run.stage is stage]
        assert tuple(own) == await store.comparisons(stage)
        levels = noise_levels(own)
        judged = [without_noise(run, levels) for run in own if not run.is_aa]
        agreed = sum(run.outcome.agrees for run in judged)
        found = await store.figures(stage)
        all_excused += found.excused()
        assert agreed == found.total(Outcome.MATCH, Outcome.IGNORED) + found.excused()
        assert {f.field: f.noise for f in found.fields if f.noise is not None} == {
            name: level for name, level in levels.items() if name in {f.field for f in found.fields}
        }
    assert all_excused > 0


async def test_ratios_are_of_new_against_legacy_whoever_served(
    store: SqliteComparisonStore,
) -> None:
    found = await filled(
        store,
        comparison(0, measures={"size_ratio": 0.9, "vmaf_mean_difference": -0.2}),
        comparison(1, primary=Side.NEW, candidate=Side.LEGACY, primary_s=4, candidate_s=16),
        comparison(2, candidate=Side.LEGACY, primary_s=10, candidate_s=11),
        comparison(3, outcome=Outcome.TIMEOUT, fields=(), candidate_s=99),
    )
    assert found.ratios.size == (0.9,) and found.ratios.vmaf_mean == (-0.2,)
    assert found.ratios.time == (0.5, 0.25)
    assert found.aa_ratios.time == (1.1,)


async def test_figures_count_who_served(store: SqliteComparisonStore) -> None:
    await store.record_served(served(0))
    await store.record_served(served(1, failed=True))
    await store.record_served(served(2, side=Side.LEGACY))
    counts = {c.side: (c.served, c.failed) for c in (await store.figures(STAGE)).served}
    assert counts == {Side.NEW: (2, 1), Side.LEGACY: (1, 0)}
