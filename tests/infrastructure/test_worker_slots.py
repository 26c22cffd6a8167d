"""What a segment worker has to have before it starts, and what is learnt from it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import anyio

from drapto.core.segments import EncodedSegment, Segment, SegmentTask, VideoSettings
from drapto.infrastructure.resources import ENCODE_SESSIONS, ResourceManager
from drapto.infrastructure.worker_slots import MeasuredSlots

GIB = 1024**3
SEGMENT = Segment(index=0, start=0, end=24)
TASK = SegmentTask(
    segment=SEGMENT,
    source=Path("in.mkv"),
    stream_index=0,
    time_base=Fraction(1, 1000),
    first_pts=0,
    end_pts=None,
    settings=VideoSettings(width=1280, height=720, source_width=1280, source_height=720),
    output=Path("out.mkv"),
)


def slots(*, on_card: bool) -> tuple[MeasuredSlots, ResourceManager]:
    resources = ResourceManager(cpu_slots=4, memory_bytes=64 * GIB)
    return MeasuredSlots(resources, on_card=lambda _task: on_card), resources


async def most_at_once(admitting: MeasuredSlots) -> int:
    inside = most = 0

    async def work() -> None:
        nonlocal inside, most
        async with admitting.admit(TASK):
            inside += 1
            most = max(most, inside)
            await anyio.sleep(0.05)
            inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(2 * ENCODE_SESSIONS):
            group.start_soon(work)
    return most


async def test_a_card_has_no_more_sessions_than_drivers_allow() -> None:
    assert await most_at_once(slots(on_card=True)[0]) == ENCODE_SESSIONS
    assert await most_at_once(slots(on_card=False)[0]) == 2 * ENCODE_SESSIONS


async def test_what_an_encoder_on_a_card_takes_says_nothing_of_one_on_the_processor() -> None:
    done = EncodedSegment(
        segment=SEGMENT, path=TASK.output, frames=24, size_bytes=1, digest="", peak_rss_bytes=1
    )

    def expected(*, on_card: bool) -> int:
        admitting, resources = slots(on_card=on_card)
        for _ in range(10):
            admitting.observe(TASK, done)
        return resources.worker_memory(1280, 720, TASK.lp)

    assert expected(on_card=False) < expected(on_card=True)
