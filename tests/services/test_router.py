"""Routing with stages that fail at will; flags, overrides and history are real."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from drapto.core.errors import (
    EncoderFailedError,
    InputError,
    MissingToolError,
    PublishError,
    ResourceError,
    StateError,
    UsageError,
)
from drapto.core.events import StageServed
from drapto.core.job import EncodeOptions, RunOptions
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.services.encoding.registry import encoder_named
from tests.services.routing import FRAMES, Routing, tasks_of
from tests.services.routing_steps import (
    DETECTION,
    ENCODING,
    SEGMENTATION,
    Accepting,
    detect,
    history,
    segment,
    serve,
)

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
    assert job.stages.encoding.has_own_encoders is (side is Side.NEW)


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
        EncoderFailedError("the graphics card is gone"),
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
