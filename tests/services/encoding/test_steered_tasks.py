"""The queue of a job that aims at a quality: in which order, at which CRF, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import anyio
import pytest

from drapto.core.errors import NoSavingError
from drapto.core.quality import SegmentQuality
from drapto.core.segments import EncodedSegment, Segment, SegmentTask, VideoSettings
from drapto.services.encoding.steered_tasks import SteeredTasks
from drapto.services.encoding.target_quality import ORDINARY, Controller, Goal

WIDTH, HEIGHT, FRAMES = 320, 180, 60


def task(index: int, place: Path) -> SegmentTask:
    start = index * FRAMES
    return SegmentTask(
        segment=Segment(index=index, start=start, end=start + FRAMES),
        source=Path("film.mkv"),
        stream_index=0,
        time_base=Fraction(1, 25),
        first_pts=start,
        end_pts=start + FRAMES,
        settings=VideoSettings(
            width=WIDTH, height=HEIGHT, source_width=WIDTH, source_height=HEIGHT, crf=24.0
        ),
        output=place / f"{index:05d}.mkv",
        complexity=(5.0 + index, 2.0),
        lp=1,
    )


def encoded(task: SegmentTask, vmaf: float, size_bytes: int = 20_000) -> EncodedSegment:
    return EncodedSegment(
        segment=task.segment,
        path=task.output,
        frames=FRAMES,
        size_bytes=size_bytes,
        digest="",
        crf=task.settings.crf,
        quality=SegmentQuality.of_scores([vmaf] * 10),
    )


def queue_of(count: int, place: Path, **goal: object) -> SteeredTasks:
    control = Controller(
        Goal(**{"target": 95.0, **goal}),  # type: ignore[arg-type]
        ORDINARY,
        WIDTH * HEIGHT,
        count * FRAMES,
    )
    queue = SteeredTasks(control, workers=4)
    queue.put(*(task(index, place) for index in range(count)))
    queue.close()
    return queue


async def run(
    queue: SteeredTasks, vmaf_at: Callable[[SegmentTask], float]
) -> tuple[list[SegmentTask], dict[int, EncodedSegment]]:
    """One encode at a time, until there is nothing left to do."""
    given: list[SegmentTask] = []
    kept: dict[int, EncodedSegment] = {}
    while (task := await queue.next()) is not None:
        given.append(task)
        kept[task.segment.index] = queue.finished(encoded(task, vmaf_at(task)))
    return given, kept


def worse_than_expected(task: SegmentTask) -> float:
    """The film is harder than the prior says, and its segments are not alike."""
    return 101.0 - 0.28 * task.settings.crf - 0.2 * task.segment.index


async def test_every_segment_comes_and_the_film_reaches_its_target(tmp_path: Path) -> None:
    queue = queue_of(12, tmp_path, max_extra=0.5)
    given, kept = await run(queue, worse_than_expected)

    assert {task.segment.index for task in given} == set(range(12)) == set(kept)
    assert queue.outcome is not None
    assert queue.outcome.mean == pytest.approx(95.0, abs=0.3)
    assert len({task.settings.crf for task in given}) > 1
    for attempt in queue.outcome.chosen:
        assert kept[attempt.index].crf == attempt.crf


async def test_each_encode_of_a_segment_has_a_file_of_its_own(tmp_path: Path) -> None:
    given, _ = await run(queue_of(3, tmp_path), lambda task: 80.0 - task.settings.crf / 4)

    again = [one for one in given if one.segment.index == given[0].segment.index]
    assert len(again) > 1, "nothing was encoded again: the test tests nothing"
    assert len({one.output for one in given}) == len(given)
    assert {one.output.parent for one in given} == {tmp_path}


async def test_what_an_earlier_run_did_is_not_done_again(tmp_path: Path) -> None:
    first, _ = await run(queue_of(12, tmp_path), worse_than_expected)
    done = [encoded(task, worse_than_expected(task)) for task in first]
    half = done[: len(done) // 2]

    control = Controller(Goal(target=95.0), ORDINARY, WIDTH * HEIGHT, 12 * FRAMES)
    queue = SteeredTasks(control, workers=4, earlier=half)
    queue.put(*(task(index, tmp_path) for index in range(12)))
    queue.close()
    rest, _ = await run(queue, worse_than_expected)

    assert [task.segment.index for task in rest] == [
        one.segment.index for one in done[len(half) :]
    ], "a resumed film is not encoded as it would have been"

    whole = SteeredTasks(control, workers=4, earlier=done)
    whole.put(*(task(index, tmp_path) for index in range(12)))
    whole.close()
    assert await whole.next() is None
    assert whole.outcome is not None


async def test_a_worker_waits_for_what_others_learn(tmp_path: Path) -> None:
    queue = queue_of(6, tmp_path)  # so short that one goes first, alone
    first = await queue.next()
    assert first is not None
    assert first.lp > 1, "the other cores have nothing to do meanwhile"

    with anyio.move_on_after(0.05) as waited:
        await queue.next()
    assert waited.cancelled_caught

    second: list[SegmentTask | None] = []

    async def wait() -> None:
        second.append(await queue.next())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        queue.finished(encoded(first, 95.0))
    assert second[0] is not None
    assert second[0].segment.index != first.segment.index


async def test_an_output_that_will_be_too_large_is_given_up(tmp_path: Path) -> None:
    queue = queue_of(40, tmp_path, max_bytes=100_000)
    with pytest.raises(NoSavingError) as given_up:
        await run(queue, worse_than_expected)
    assert given_up.value.exit_code == 6
    assert queue.control.attempts, "it was refused without looking"
    assert len(queue.control.attempts) < 40


async def test_the_better_encode_is_the_one_that_is_kept(tmp_path: Path) -> None:
    """Below the floor a second encode that came out worse does not replace the first."""
    scores = iter([60.0, 40.0, 40.0, 40.0, 40.0])
    queue = queue_of(1, tmp_path)
    given, kept = await run(queue, lambda _task: next(scores))
    assert len(given) > 1
    assert kept[0].path == given[0].output


async def test_the_last_encodes_use_the_cores_that_have_nothing_left_to_do(tmp_path: Path) -> None:
    queue = queue_of(40, tmp_path)
    running: list[SegmentTask] = []
    levels: list[int] = []
    for _ in range(40):
        if len(running) == 4:
            queue.finished(encoded(running.pop(0), 95.0))
        task = await next_or_finish(queue, running)
        levels.append(task.lp)
        running.append(task)
    assert levels[20:36] == [1] * 16
    assert min(levels[36:]) > 1


async def next_or_finish(queue: SteeredTasks, running: list[SegmentTask]) -> SegmentTask:
    """The next task; where it has to wait for a result, the oldest encode ends."""
    while True:
        with anyio.move_on_after(0.01):
            task = await queue.next()
            assert task is not None
            return task
        queue.finished(encoded(running.pop(0), 95.0))
