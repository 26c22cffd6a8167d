"""Stages that move by themselves, on a real history and a real overrides file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drapto.core.comparison import Comparison, FieldResult, Outcome, Severity
from drapto.core.flags import standing_mode
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.infrastructure.comparison_schema import Database
from drapto.infrastructure.comparison_store import SqliteComparisonStore, insert_comparisons
from drapto.infrastructure.flags.file import FlagsFile, find_flags_file
from drapto.infrastructure.flags.overrides import OverridesFile
from drapto.services.gatekeeper import Gatekeeper
from drapto.services.shadow_report import FlagsNow

STAGE = RoutedStage.DETECTION
ONE_CUT_MISSING = FieldResult(
    field="cuts.f1",
    severity=Severity.MISMATCH,
    legacy="3 cuts",
    new="2 cuts",
    distance=0.2,
    tolerance=0.05,
)


class Place:
    """A flags file, a state directory and a gatekeeper, as three runs of the program see them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, gate: str) -> None:
        path = folder / "flags.toml"
        path.write_text(
            'schema = 1\n[stage.detection]\nmode = "shadow"\n'
            f"gate = {{ looks = [50, 100], agreement = 0.9, {gate} }}\n"
        )
        monkeypatch.setenv("DRAPTO_FLAGS_FILE", str(path))
        self.store = SqliteComparisonStore(folder / "state")
        self.file = FlagsFile(find_flags_file())
        self.overrides = OverridesFile(folder / "state", self.file)
        self.now = datetime.now(UTC)
        self._made = 0

    async def flags(self) -> FlagsNow:
        return FlagsNow(self.file.last_good, await self.overrides.read(), self.now - timedelta(9))

    def compared(self, runs: int, outcome: Outcome = Outcome.MATCH) -> None:
        """So many more comparisons, the last of them just now."""
        made = []
        for number in range(runs):
            self._made += 1
            made.append(
                Comparison(
                    id=f"{self._made:012x}",
                    at=datetime.now(UTC) + timedelta(microseconds=number),
                    job=f"job {self._made}",
                    source=Path("/films/a.mkv"),
                    stage=STAGE,
                    primary=Side.LEGACY,
                    candidate=Side.NEW,
                    outcome=outcome,
                    reason="As the test says.",
                    fields=(ONE_CUT_MISSING,) if outcome is Outcome.MISMATCH else (),
                    revision=self.file.last_good.of(STAGE).candidate_revision,
                )
            )
        Database(self.store.path, print).run(lambda c: insert_comparisons(c, made), write=True)

    async def review(self) -> list[str]:
        keeper = Gatekeeper(self.store, self.flags, self.overrides, lambda: datetime.now(UTC))
        return [move.line for move in await keeper.review([STAGE])]

    async def mode(self) -> Mode:
        flag = self.file.last_good.of(STAGE)
        override = (await self.overrides.read()).of(STAGE, flag.candidate_revision)
        return standing_mode(STAGE, flag, override).mode


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch, 'dry_run = false, bake = "0s"')


async def test_stage_moves_one_step_at_each_look_it_passes(place: Place) -> None:
    place.compared(49)
    assert await place.review() == []
    place.compared(1)
    (line,) = await place.review()
    assert line.startswith("detection moves from shadow to canary.")
    assert await place.review() == []  # the same comparisons take it no further
    place.compared(49)
    assert await place.review() == []
    place.compared(1)
    (line,) = await place.review()
    assert line.startswith("detection moves from canary to new.")
    assert await place.mode() is Mode.NEW
    audit, _ = place.overrides.history()
    assert [(e.by, e.after, e.evidence["counted"]) for e in audit] == [
        ("drapto", "canary", 50),
        ("drapto", "new", 100),
    ]


async def test_too_little_agreement_moves_nothing_in_shadow_and_back_in_canary(
    place: Place,
) -> None:
    place.compared(50)
    assert await place.review()
    place.compared(50, Outcome.MISMATCH)
    (line,) = await place.review()
    assert line.startswith("detection moves from canary to rolled_back.")


async def test_dry_run_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch, 'dry_run = true, bake = "0s"')
    place.compared(50)
    assert await place.review() == []
    assert await place.mode() is Mode.SHADOW


async def test_mode_has_to_bake_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch, 'dry_run = false, bake = "30d"')
    place.compared(50)
    assert await place.review() == []


async def test_what_a_person_set_stays_until_new_comparisons_reach_a_look(place: Place) -> None:
    place.compared(50)
    await place.overrides.move(STAGE, "1", Mode.SHADOW, "by hand", {})
    assert await place.review() == []
    place.compared(50)
    assert await place.review()


async def test_unusable_history_moves_nothing_and_raises_nothing(place: Place) -> None:
    place.compared(50)
    place.store.path.write_bytes(b"SQLite format 3\0" + b"no" * 4000)
    assert await place.review() == []
    assert await place.mode() is Mode.SHADOW
