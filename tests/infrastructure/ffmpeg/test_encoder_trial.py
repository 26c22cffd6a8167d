"""An encoder is tried by use, and whatever is wrong with it is said in ffmpeg's own words."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path

import anyio
import pytest

from drapto.core.encoder_trial import EncoderTrial
from drapto.core.segments import VideoSettings
from drapto.infrastructure.ffmpeg.binaries import inspect_ffmpeg
from drapto.infrastructure.ffmpeg.encoder_trial import FfmpegTrials
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.infrastructure.resources import ENCODE_SESSIONS, ResourceManager
from drapto.services.encoding.registry import encoder_named
from tests.end_to_end.program import processes_about
from tests.media.cards import ABSENT, BROKEN, BUSY, Card

NVENC = encoder_named("av1-nvenc")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


async def tried(
    card: Card,
    *,
    deadline_s: float = 20.0,
    width: int = 320,
    session: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> EncoderTrial:
    binary = await inspect_ffmpeg(card.ffmpeg)
    executor = LocalSegmentExecutor(binary.path, NVENC.arguments)
    settings = VideoSettings(
        encoder=NVENC.name, width=width, height=180, source_width=320, source_height=180, lp=1
    )
    trials = FfmpegTrials(binary, executor, session=session, deadline_s=deadline_s)
    return await trials.of(NVENC, settings)


async def test_one_that_encodes_works(card: Card) -> None:
    card.is_there("av1_nvenc")
    trial = await tried(card)
    assert trial.works, trial
    assert card.runs == ["av1_nvenc trial"]


async def test_one_without_a_card_says_what_is_missing(card: Card) -> None:
    trial = await tried(card)
    assert trial.problem == ABSENT.rstrip(".")
    assert ABSENT in trial.said


async def test_one_that_breaks_off_does_not_work(card: Card) -> None:
    card.fails("av1_nvenc", trial="frame")
    trial = await tried(card)
    assert trial.problem == BROKEN
    assert not trial.works


async def test_one_that_hangs_is_ended_in_time(card: Card) -> None:
    card.fails("av1_nvenc", trial="hang")
    began_s = time.monotonic()
    trial = await tried(card, deadline_s=1.0)
    assert time.monotonic() - began_s < 15
    assert trial.problem == "it has not encoded 8 frames within 1 s"
    assert processes_about(card.ffmpeg) == []


async def test_one_whose_sessions_are_all_taken_is_busy_and_works(card: Card) -> None:
    card.fails("av1_nvenc", trial="busy")
    trial = await tried(card)
    assert not trial.works and trial.is_busy
    assert trial.problem == f"it is busy ({BUSY})"
    assert BUSY in trial.said
    card.fails("av1_nvenc", trial="open")
    assert not (await tried(card)).is_busy


async def test_one_is_tried_only_while_it_holds_a_session_of_the_card(card: Card) -> None:
    """Else the last session that other jobs of this program leave could be lost to them meanwhile,
    or all be taken."""
    card.is_there("av1_nvenc")
    resources = ResourceManager(cpu_slots=1, memory_bytes=0)
    found: list[EncoderTrial] = []

    async def attempt() -> None:
        found.append(await tried(card, session=partial(resources.acquire, encoders=1)))

    async with anyio.create_task_group() as group, resources.acquire(encoders=ENCODE_SESSIONS):
        group.start_soon(attempt)
        while not resources.statistics().waiting:
            await anyio.sleep(0.01)
        assert card.runs == []
    assert found[0].works
    assert resources.statistics().encoders_in_use == 0


async def test_one_that_makes_another_picture_does_not_work(card: Card) -> None:
    """As cards do that know only sizes of their own."""
    card.is_there("av1_nvenc")
    trial = await tried(card, width=318)
    assert trial.problem == "a picture of 318x180 came out as 320x180"


async def test_one_that_ffmpeg_lacks_is_not_started(card: Card) -> None:
    card.is_there("av1_nvenc")
    binary = await inspect_ffmpeg(card.ffmpeg)
    without = type(binary)(binary.path, binary.version, frozenset(), binary.filters)
    executor = LocalSegmentExecutor(binary.path, NVENC.arguments)
    settings = VideoSettings(
        encoder=NVENC.name, width=320, height=180, source_width=320, source_height=180
    )
    trial = await FfmpegTrials(without, executor).of(NVENC, settings)
    assert trial.problem == "this ffmpeg has no av1_nvenc"
    assert card.runs == []
