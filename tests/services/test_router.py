"""Routing with stages that fail at will; flags, overrides and history are real."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.comparison import Served
from drapto.core.errors import (
    InputError,
    MissingToolError,
    PublishError,
    ResourceError,
    StateError,
    UsageError,
)
from drapto.core.events import StageRolledBack, StageServed
from drapto.core.job import EncodeOptions, RunOptions
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.services.encoding.longest_first import LongestFirst
from drapto.services.encoding.registry import encoder_named
from drapto.services.router import RoutedJob
from tests.services.routing import FRAMES, Routing, tasks_of

DETECTION, SEGMENTATION, ENCODING = RoutedStage
ALWAYS_COMPARED = "shadow = { sample = 1.0, aa_sample = 0.0 }"


@pytest.fixture
def routing(tmp_path: Path) -> Routing:
    """New serves everything, and everything is compared."""
    return Routing(
        tmp_path, "".join(f"[stage.{stage}]\n{ALWAYS_COMPARED}\n" for stage in RoutedStage)
    )


class Accepting:
    """Takes what encoding makes, as a job does."""

    def __init__(self, *tasks: SegmentTask, closed: bool = True) -> None:
        self.queue = LongestFirst(tasks)
        self.done: list[EncodedSegment] = []
        if closed:
            self.queue.close()

    async def __call__(self, segment: EncodedSegment) -> None:
        self.done.append(segment)

    async def by(self, job: RoutedJob) -> list[tuple[int, str]]:
        """Encode all; the segments in the order they were accepted, and who encoded each."""
        await job.stages.encoding.encode(
            self.queue,
            workers=1,
            on_progress=lambda _segment, _frames: None,
            on_retry=lambda _segment, _attempt, _reason: None,
            on_done=self,
        )
        return [(done.segment.index, done.digest) for done in self.done]


async def detect(routing: Routing, job: RoutedJob) -> str:
    """Who detected."""
    analysis = await job.stages.detection.analyze(routing.video, EncodeOptions(), lambda _: None)
    return analysis.notes[0]


async def segment(routing: Routing, job: RoutedJob) -> list[int]:
    found = VideoAnalysis(scenes=(Scene(start=0, end=40), Scene(start=40, end=FRAMES)))
    segments = await job.stages.segmentation.plan(routing.video, found, EncodeOptions())
    return [s.end for s in segments]


async def serve(routing: Routing, job: RoutedJob, stage: RoutedStage) -> None:
    if stage is DETECTION:
        await detect(routing, job)
    elif stage is SEGMENTATION:
        await segment(routing, job)
    else:
        await Accepting(*tasks_of(0, 40, FRAMES)).by(job)


async def history(routing: Routing, stage: RoutedStage) -> list[Served]:
    return list(await routing.store.served(stage))


# Who serves


async def test_the_side_of_the_flag_serves_and_the_other_is_not_asked(tmp_path: Path) -> None:
    routing = Routing(tmp_path, '[stage.detection]\nmode = "legacy"\n')
    job = await routing.settled()
    assert await detect(routing, job) == "legacy"
    await segment(routing, job)
    assert await Accepting(*tasks_of(0, FRAMES)).by(job) == [(0, "new")]
    assert routing.legacy.calls == ["detection"]
    assert routing.new.calls[:2] == ["segmentation", "encoding"]
    (served,) = await history(routing, ENCODING)
    assert (served.side, served.failed, served.frames, served.mode) == (
        Side.NEW, False, FRAMES, "new",
    )  # fmt: skip
    assert served.strata == ("sdr", "hd")
    told = [e.served.stage for e in routing.recorder.events if isinstance(e, StageServed)]
    assert told == list(RoutedStage)


@pytest.mark.parametrize("side", Side)
async def test_quality_without_crf_is_that_of_the_side_that_encodes(
    routing: Routing, side: Side
) -> None:
    job = await routing.settled(run=RunOptions(routes={ENCODING: Mode(side.value)}))
    crf = job.stages.encoding.default_crf(encoder_named("svt-av1"), 192)
    assert crf == {Side.NEW: 24.0, Side.LEGACY: 25.0}[side]


@pytest.mark.parametrize("segmentation", Side)
@pytest.mark.parametrize("detection", Side)
async def test_planner_for_an_early_start_is_that_of_the_side_that_segments(
    routing: Routing, detection: Side, segmentation: Side
) -> None:
    routes = {DETECTION: Mode(detection.value), SEGMENTATION: Mode(segmentation.value)}
    job = await routing.settled(run=RunOptions(routes=routes))
    planner = job.stages.segmentation.planner(routing.video, EncodeOptions())
    assert (planner is None) is (segmentation is Side.LEGACY)
    found: list[object] = []
    await job.stages.detection.analyze(routing.video, EncodeOptions(), lambda _: None, found.append)
    assert len(found) == 2


# Falling back


@pytest.mark.parametrize("stage", RoutedStage)
async def test_legacy_serves_where_new_fails_and_the_user_is_told_in_one_line(
    routing: Routing, stage: RoutedStage
) -> None:
    routing.new.failing = frozenset({stage})
    job = await routing.settled()
    await serve(routing, job, stage)
    assert stage in routing.legacy.calls
    (line,) = routing.reporter.warnings
    assert line == (f"The new {stage} failed, so the legacy scripts served this job: it is broken")
    (served,) = await history(routing, stage)
    assert (served.side, served.failed, served.reason) == (Side.NEW, True, "it is broken")
    (told,) = [e.served for e in routing.recorder.events if isinstance(e, StageServed)]
    assert told == served
    await routing.published(job, 0, 40, FRAMES)
    assert routing.shadows.tasks == []  # what failed is judged already


@pytest.mark.parametrize("stage", RoutedStage)
async def test_fault_of_both_is_reported_as_new_said_it_and_not_held_against_it(
    routing: Routing, stage: RoutedStage
) -> None:
    routing.new.failing = routing.legacy.failing = frozenset({stage})
    routing.new.fault = InputError("what new said")
    routing.new.fault.__cause__ = why = OSError("why new failed")
    routing.legacy.fault = MissingToolError("ffprobe is missing")
    job = await routing.settled()
    with pytest.raises(InputError, match="what new said") as caught:
        await serve(routing, job, stage)
    assert caught.value.__cause__ is why
    assert stage in routing.legacy.calls
    assert await history(routing, stage) == []
    assert routing.reporter.warnings == []


@pytest.mark.parametrize("stage", RoutedStage)
@pytest.mark.parametrize(
    "fault",
    [
        ResourceError("no space is left"),
        UsageError("the crop does not fit"),
        StateError("the journal is behind"),
        PublishError("the journal cannot be written"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_what_legacy_could_not_do_better_is_not_handed_to_it(
    routing: Routing, stage: RoutedStage, fault: Exception
) -> None:
    routing.new.failing, routing.new.fault = frozenset({stage}), fault
    job = await routing.settled()
    with pytest.raises(type(fault)):
        await serve(routing, job, stage)
    assert routing.legacy.calls == []
    assert await history(routing, stage) == []


@pytest.mark.parametrize("stage", RoutedStage)
async def test_fault_of_a_program_is_fallen_back_on_like_any_other(
    routing: Routing, stage: RoutedStage
) -> None:
    routing.new.failing, routing.new.fault = frozenset({stage}), ZeroDivisionError("by zero")
    job = await routing.settled()
    await serve(routing, job, stage)
    assert "ZeroDivisionError('by zero')" in routing.reporter.warnings[0]


@pytest.mark.parametrize("stage", RoutedStage)
async def test_interrupted_stage_is_neither_fallen_back_on_nor_counted(
    routing: Routing, stage: RoutedStage
) -> None:
    routing.new.failing, routing.new.before_fault = frozenset({stage}), anyio.sleep_forever
    job = await routing.settled()
    with anyio.move_on_after(0.1) as scope:
        await serve(routing, job, stage)
    assert scope.cancelled_caught
    assert routing.legacy.calls == []
    assert await history(routing, stage) == []


@pytest.mark.parametrize("stage", RoutedStage)
async def test_retired_stage_has_nothing_to_fall_back_on(
    tmp_path: Path, stage: RoutedStage
) -> None:
    routing = Routing(tmp_path, f'[stage.{stage}]\nmode = "retired"\n')
    routing.new.failing = frozenset({stage})
    job = await routing.settled()
    with pytest.raises(InputError, match="it is broken"):
        await serve(routing, job, stage)
    assert routing.legacy.calls == []


async def test_failing_legacy_is_nobody_elses_turn(tmp_path: Path) -> None:
    routing = Routing(tmp_path, '[stage.detection]\nmode = "legacy"\n')
    routing.legacy.failing = frozenset({DETECTION})
    job = await routing.settled()
    with pytest.raises(InputError, match="it is broken"):
        await detect(routing, job)
    assert routing.new.calls == []


async def test_listener_hears_the_findings_of_one_side_only(routing: Routing) -> None:
    """What listens has begun to plan by what new found: legacy's findings would be out of order."""
    routing.new.failing = frozenset({DETECTION})
    job = await routing.settled()
    found: list[object] = []
    await job.stages.detection.analyze(routing.video, EncodeOptions(), lambda _: None, found.append)
    assert routing.legacy.calls == ["detection"]
    assert len(found) == 2  # a settled crop and a cut, both of new


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
