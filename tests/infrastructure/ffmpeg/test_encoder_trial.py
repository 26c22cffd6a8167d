"""An encoder is tried by use, and whatever is wrong with it is said in ffmpeg's own words."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from drapto.core.encoder_trial import EncoderTrial
from drapto.core.segments import VideoSettings
from drapto.infrastructure.ffmpeg.binaries import inspect_ffmpeg
from drapto.infrastructure.ffmpeg.encoder_trial import FfmpegTrials
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.services.encoding.registry import encoder_named
from tests.end_to_end.program import processes_about
from tests.media.cards import ABSENT, BROKEN, Card

NVENC = encoder_named("av1-nvenc")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


async def tried(card: Card, *, deadline_s: float = 20.0, width: int = 320) -> EncoderTrial:
    binary = await inspect_ffmpeg(card.ffmpeg)
    executor = LocalSegmentExecutor(binary.path, NVENC.arguments)
    settings = VideoSettings(
        encoder=NVENC.name, width=width, height=180, source_width=320, source_height=180, lp=1
    )
    return await FfmpegTrials(binary, executor, deadline_s=deadline_s).of(NVENC, settings)


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
