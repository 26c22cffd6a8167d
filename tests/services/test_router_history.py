"""What routing keeps of a job: of encoding that failed midway, for comparing, and of routes."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from drapto.core.errors import InputError, MissingToolError
from drapto.core.events import StageRolledBack
from drapto.core.routing import RoutedStage, Side
from tests.services.routing import FRAMES, SETTINGS, Routing, tasks_of
from tests.services.routing_steps import (
    DETECTION,
    ENCODING,
    Accepting,
    detect,
    history,
    segment,
)

# Encoding that fails midway


async def test_finished_segments_stay_and_legacy_encodes_the_rest(routing: Routing) -> None:
    routing.new.failing, routing.new.segments_first = frozenset({ENCODING}), 2
    job = await routing.settled()
    accepting = Accepting(*tasks_of(0, 40, 70, 90, FRAMES))
    assert await accepting.by(job) == [(0, "new"), (1, "new"), (2, "legacy"), (3, "legacy")]
    took = [call for call in routing.new.calls + routing.legacy.calls if "took" in call]
    assert took == [
        "took 0, 3 left", "took 1, 2 left", "took 2, 1 left",
        "took 2, 1 left", "took 3, 0 left",
    ]  # fmt: skip
    (served,) = await history(routing, ENCODING)
    assert served.failed
    assert served.frames == FRAMES - 70  # of legacy, as the time is


@pytest.mark.parametrize(
    "fault", [InputError("the source is gone"), MissingToolError("no ffmpeg"), ZeroDivisionError()]
)
async def test_film_that_a_card_has_begun_is_left_for_it_to_finish(
    routing: Routing, fault: Exception
) -> None:
    """Scripts encode with SVT-AV1: what they made would be no valid stream with what is there."""
    routing.new.failing, routing.new.segments_first = frozenset({ENCODING}), 2
    routing.new.fault = fault
    job = await routing.settled()
    on_card = SETTINGS.model_copy(update={"encoder": "av1-nvenc"})
    tasks = (task.model_copy(update={"settings": on_card}) for task in tasks_of(0, 40, 70, FRAMES))
    accepting = Accepting(*tasks)
    with pytest.raises(type(fault)):
        await accepting.by(job)
    assert [(done.segment.index, done.digest) for done in accepting.done] == [
        (0, "new"),
        (1, "new"),
    ]
    assert routing.legacy.calls == [] and routing.reporter.warnings == []
    assert await history(routing, ENCODING) == []


async def test_tasks_may_still_come_when_legacy_goes_on(routing: Routing) -> None:
    routing.new.failing, routing.new.segments_first = frozenset({ENCODING}), 1
    first, second, third = tasks_of(0, 40, 70, FRAMES)
    accepting = Accepting(first, second, closed=False)
    job = await routing.settled()
    async with anyio.create_task_group() as group:
        group.start_soon(accepting.by, job)
        with anyio.fail_after(5):
            while len(accepting.done) < 2:
                await anyio.sleep(0.01)
        assert "took 1, None left" in routing.legacy.calls
        accepting.queue.put(third)
        accepting.queue.close()
    assert [(d.segment.index, d.digest) for d in accepting.done] == [
        (0, "new"), (1, "legacy"), (2, "legacy"),
    ]  # fmt: skip


async def test_side_that_failed_is_not_asked_again_in_the_same_job(routing: Routing) -> None:
    """An encode that was begun on a wrong belief is withdrawn, and begun a second time."""
    routing.new.failing = frozenset({ENCODING})
    job = await routing.settled()
    withdrawn = Accepting(*tasks_of(0, 40, FRAMES))
    assert sorted(await withdrawn.by(job)) == [(0, "legacy"), (1, "legacy")]
    again = Accepting(*tasks_of(0, 50, FRAMES))
    assert sorted(await again.by(job)) == [(0, "legacy"), (1, "legacy")]
    assert routing.new.calls.count("encoding") == 1
    assert len(routing.reporter.warnings) == 1
    assert [s.failed for s in await history(routing, ENCODING)] == [True]
    await routing.published(job, 0, 50, FRAMES)
    assert routing.shadows.tasks == []


async def test_withdrawn_encode_counts_for_nothing_and_the_second_for_all(
    routing: Routing,
) -> None:
    job = await routing.settled()
    withdrawn = Accepting(*tasks_of(0, 40), closed=False)
    with anyio.move_on_after(0.1):
        await withdrawn.by(job)
    assert len(withdrawn.done) == 1
    again = Accepting(*tasks_of(0, 50, FRAMES))
    await again.by(job)
    (served,) = await history(routing, ENCODING)
    assert (served.failed, served.frames) == (False, FRAMES)
    await routing.published(job, 0, 50, FRAMES)
    assert [task.stage for task in routing.shadows.tasks] == [ENCODING]


# What is compared, and what counts


async def test_stage_that_served_is_compared_once_the_output_is_there(routing: Routing) -> None:
    job = await routing.settled()
    await detect(routing, job)
    assert routing.shadows.tasks == []
    await routing.published(job)
    (task,) = routing.shadows.tasks  # not the two that this run did not need
    assert (task.stage, task.primary, task.candidate) == (DETECTION, Side.NEW, Side.LEGACY)
    assert task.primary_s > 0


async def test_encode_that_an_earlier_run_finished_says_nothing_about_either_side(
    routing: Routing,
) -> None:
    job = await routing.settled()
    assert await Accepting().by(job) == []
    assert await history(routing, ENCODING) == []
    await routing.published(job)
    assert routing.shadows.tasks == []


async def test_encode_that_went_on_midway_counts_but_its_time_is_no_measure(
    routing: Routing,
) -> None:
    job = await routing.settled()
    await Accepting(*tasks_of(0, 40, FRAMES)[1:]).by(job)
    (served,) = await history(routing, ENCODING)
    assert served.frames == FRAMES - 40
    await routing.published(job, 0, 40, FRAMES)
    assert routing.shadows.tasks == []


async def test_rehearsal_is_served_but_nothing_of_it_is_kept(routing: Routing) -> None:
    routing.new.failing = frozenset({DETECTION})
    job = routing.job(is_rehearsal=True)
    await job.settle(None)
    assert await detect(routing, job) == "legacy"
    assert len(routing.reporter.warnings) == 1
    await segment(routing, job)
    for stage in RoutedStage:
        assert await history(routing, stage) == []
    assert not (routing.folder / "state").exists()


async def test_output_that_is_gone_again_is_not_compared(routing: Routing) -> None:
    job = await routing.settled()
    await detect(routing, job)
    (routing.folder / "out.mkv").unlink()
    await routing.published(job)
    assert routing.shadows.tasks == []
    assert "detection is not compared" in routing.reporter.warnings[0]


# Routes that hold


async def test_resumed_job_keeps_its_routes_and_a_person_is_told(tmp_path: Path) -> None:
    first = Routing(tmp_path, "")
    routes = await first.job().settle(None)
    changed = Routing(tmp_path, '[stage.detection]\nmode = "legacy"\n')
    job = changed.job()
    assert await job.settle(routes) == routes
    assert await detect(changed, job) == "new"
    assert changed.reporter.warnings == [
        "This job goes on with the new detection, as it began, though the flags now say legacy; "
        "--no-resume starts it afresh."
    ]


async def test_route_keeps_its_revision_where_the_flag_has_another_by_now(tmp_path: Path) -> None:
    first = Routing(tmp_path, '[stage.detection]\ncandidate_revision = "7"\n')
    routes = await first.job().settle(None)
    changed = Routing(tmp_path, '[stage.detection]\ncandidate_revision = "8"\n')
    job = changed.job()
    await job.settle(routes)
    assert changed.reporter.warnings == []
    await detect(changed, job)
    (served,) = await history(changed, DETECTION)
    assert served.revision == "7"


async def test_third_failure_in_a_row_sends_the_next_job_to_legacy(routing: Routing) -> None:
    routing.new.failing = frozenset({DETECTION})
    for number in range(3):
        job = await routing.settled(name=f"job {number}")
        assert await detect(routing, job) == "legacy"
        assert len(routing.reporter.warnings) == (2 if number == 2 else 1)
    assert (
        "detection goes back to legacy until `drapto flags reset detection`"
        in (routing.reporter.warnings[1])
    )
    (event,) = [e for e in routing.recorder.events if isinstance(e, StageRolledBack)]
    assert (event.stage, event.problem) == (DETECTION, "")
    job = await routing.settled(name="the next one")
    assert job.route(DETECTION).primary is Side.LEGACY
    assert await detect(routing, job) == "legacy"
    assert routing.new.calls == ["detection"] * 3
