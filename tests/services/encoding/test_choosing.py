"""Which encoder a job gets, by what works on the machine."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from drapto.core.encoder_trial import EncoderTrial
from drapto.core.errors import MissingToolError, ResourceError, UsageError
from drapto.core.interfaces import Encoder
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect, Track, TrackKind
from drapto.core.segments import VideoSettings
from drapto.services.encoding.choosing import Choice, choose_encoder
from drapto.services.encoding.registry import (
    ENCODERS,
    IN_ORDER,
    codec_of,
    encoder_named,
    possible_encoders,
)
from drapto.services.encoding.service import ParallelEncoding
from drapto.services.legacy.adapter import LegacyEncoding


class Working:
    """Trials of a machine where these work. What they do is tested with real ones:
    tests/infrastructure/ffmpeg/test_encoder_trial.py."""

    def __init__(self, *names: str, busy: str = "") -> None:
        self._names = names
        self._busy = busy
        self.asked: list[VideoSettings] = []

    async def of(self, encoder: Encoder, settings: VideoSettings) -> EncoderTrial:
        self.asked.append(settings)
        if encoder.name == self._busy:
            return EncoderTrial(encoder=encoder.name, problem="it is busy (no key)", is_busy=True)
        problem = "" if encoder.name in self._names else "no such card"
        return EncoderTrial(encoder=encoder.name, problem=problem)


async def choice(
    *working: str,
    trials: Working | None = None,
    encoding: type[ParallelEncoding] = ParallelEncoding,
    size: tuple[int, int] = (1920, 1080),
    **options: Any,
) -> Choice:
    track = Track(
        index=0, kind=TrackKind.VIDEO, codec="h264", time_base=Fraction(1, 1000),
        width=size[0], height=size[1],
    )  # fmt: skip
    options = {"encoder": "auto", **options}
    service = encoding(None, None)  # type: ignore[arg-type]
    return await choose_encoder(
        EncodeOptions(**options), track, service, trials or Working(*working)
    )


@pytest.mark.parametrize(
    ("working", "chosen"),
    [
        ((), "svt-av1"),
        (("av1-amf",), "av1-amf"),
        (("av1-vaapi", "av1-qsv"), "av1-qsv"),
        (("av1-amf", "av1-nvenc"), "av1-nvenc"),
        (("hevc-nvenc",), "svt-av1"),
    ],
)
async def test_auto_takes_the_first_that_works(working: tuple[str, ...], chosen: str) -> None:
    found = await choice(*working)
    assert found.encoder.name == chosen
    assert found.reason
    assert [trial.works for trial in found.tried] == [
        trial.encoder == chosen for trial in found.tried
    ]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"film_grain": 8}, "film grain"),
        ({"film_grain": "auto"}, "film grain"),
        ({"size": (1921, 1080)}, "1921x1080"),
        ({"crop": CropRect(width=801, height=400, x=0, y=0)}, "801x400"),
        ({"encoding": LegacyEncoding}, "legacy"),
    ],
)
async def test_what_no_card_can_do_is_not_tried_on_one(more: dict[str, Any], why: str) -> None:
    trials = Working(*ENCODERS)
    found = await choice(trials=trials, **more)
    assert found.encoder.name == "svt-av1"
    assert why in found.reason
    assert trials.asked == []


async def test_a_card_is_tried_with_the_picture_of_the_film() -> None:
    trials = Working()
    await choice(trials=trials, crop=CropRect(width=800, height=400, x=0, y=0), crf=33.0)
    assert {(s.width, s.height, s.crf) for s in trials.asked} == {(800, 400, 33.0)}


async def test_an_encoder_asked_for_by_name_is_tried_if_it_needs_a_card() -> None:
    trials = Working("av1-qsv")
    assert (await choice(trials=trials, encoder="x265")).encoder.name == "x265"
    assert trials.asked == []
    found = await choice(trials=trials, encoder="av1-qsv")
    assert (found.encoder.name, found.reason, len(trials.asked)) == ("av1-qsv", "", 1)
    with pytest.raises(MissingToolError, match=r"hevc-nvenc does not work .*: no such card"):
        await choice(trials=trials, encoder="hevc-nvenc")


async def test_a_busy_card_is_not_said_to_be_none() -> None:
    trials = Working(busy="av1-nvenc")
    found = await choice(trials=trials)
    assert found.reason.startswith("because none of these works here: av1-nvenc (busy), av1-qsv, ")
    with pytest.raises(
        ResourceError, match=r"The encoder av1-nvenc cannot be used now: it is busy"
    ):
        await choice(trials=trials, encoder="av1-nvenc")


async def test_scripts_are_told_what_was_asked_for() -> None:
    found = await choice(encoder="av1-nvenc", encoding=LegacyEncoding)
    assert found.encoder.name == "av1-nvenc"


def test_whatever_auto_comes_to_the_container_and_the_scale_of_crf_are_the_same() -> None:
    assert {encoder.codec for encoder in IN_ORDER} == {codec_of("auto")} == {"av1"}
    assert len({encoder.crf_range for encoder in IN_ORDER}) == 1
    assert not IN_ORDER[-1].needs_device
    assert possible_encoders("x264") == (encoder_named("x264"),)
    with pytest.raises(UsageError, match="Did you mean 'av1-nvenc'"):
        possible_encoders("av1-nvec")
