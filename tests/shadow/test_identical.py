"""The same implementation on both sides: nothing is critical, and it agrees with itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from anyio import to_thread

from drapto.bootstrap.rollback import make_rollback
from drapto.bootstrap.shadowing import make_runner
from drapto.core.comparison import Comparison, Outcome
from drapto.core.flag_policy import GatePolicy
from drapto.core.routing import Side
from drapto.core.shadow_task import ShadowTask
from drapto.infrastructure.flags.opening import open_flags
from drapto.infrastructure.settings import Settings
from tests.legacy import needs_tools
from tests.media import clips
from tests.shadow.jobs import LEGACY_TWICE, Events, Serve, Served, film_with_everything

CLIPS: dict[str, Callable[[Path], Path]] = {
    "everything": film_with_everything,
    "HDR10": clips.hdr10,
    "variable rate": clips.vfr,
    "open GOP": clips.open_gop,
}
QUICK = ("everything", "HDR10")  # the others only with the long tests


async def compare(state: Path, tasks: list[ShadowTask]) -> tuple[Comparison, ...]:
    settings, heard = Settings(state_dir=state), Events()
    flags = open_flags(settings)
    runner = make_runner(settings, flags, make_rollback(settings, flags, heard), heard)
    for task in tasks:
        await runner.submit(task)
    return await runner.run_all()


def agree(comparisons: tuple[Comparison, ...]) -> None:
    told = [f"{c.stage} of {c.source.name}: {c.outcome}. {c.reason}" for c in comparisons]
    assert [c for c in comparisons if c.outcome is Outcome.CRITICAL] == [], told
    agreeing = sum(c.outcome.agrees for c in comparisons)
    assert agreeing >= GatePolicy().agreement * len(comparisons), told


def served(clip: str, directory: Path, serve: Serve) -> Served:
    films = directory / "films"
    films.mkdir()
    return serve(CLIPS[clip](films))


@pytest.mark.parametrize(
    "clip", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CLIPS]
)
async def test_new_agrees_with_itself(clip: str, tmp_path: Path) -> None:
    job = await to_thread.run_sync(served, clip, tmp_path, Serve(tmp_path))
    tasks = [job.task_against_itself(stage) for stage in job.tasks]
    found = await compare(tmp_path / "compared", tasks)
    assert [c.is_aa for c in found] == [True] * 3
    agree(found)


@needs_tools
@pytest.mark.parametrize("clip", ["everything", pytest.param("HDR10", marks=pytest.mark.slow)])
async def test_legacy_agrees_with_itself(clip: str, tmp_path: Path) -> None:
    job = await to_thread.run_sync(served, clip, tmp_path, Serve(tmp_path, LEGACY_TWICE))
    found = await compare(tmp_path / "compared", list(job.tasks.values()))
    assert [(c.primary, c.candidate) for c in found] == [(Side.LEGACY, Side.LEGACY)] * 3
    agree(found)
