"""What a job aims at, by what was asked, what the film is, and what this machine can measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from drapto.core.errors import MissingToolError, UsageError
from drapto.core.film_memory import RememberedAttempt, RememberedFilm, RememberedSegment
from drapto.core.interfaces import QualityMetric
from drapto.core.job import EncodeOptions
from drapto.core.media import ColorInfo, CropRect, MediaInfo, Track, TrackKind
from drapto.core.quality import Metric, Pool
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.services.encoding.learnt_films import prior_from
from drapto.services.encoding.service import ParallelEncoding
from drapto.services.encoding.steering import Aim, settle_aim
from drapto.services.encoding.svt_av1 import SvtAv1
from drapto.services.encoding.target_quality import ORDINARY, Controller, Encode, Piece
from drapto.services.encoding.x26x import X264
from drapto.services.legacy.adapter import LegacyEncoding

SDR, PQ = ColorInfo(), ColorInfo(transfer="smpte2084", primaries="bt2020")
SOURCE_BYTES = 1_000_000


class Measurable:
    """A machine that can measure all there is, or nothing."""

    def __init__(self, *, can: bool = True) -> None:
        self._can = can

    async def usable(self, metric: Metric, *, neg: bool = False) -> QualityMetric:
        if not self._can:
            raise MissingToolError("There is no libvmaf.")
        return metric_for(metric, neg=neg)


class Remembered:
    """The films of earlier jobs."""

    def __init__(self, *films: RememberedFilm) -> None:
        self._films = films

    async def recall(self, *, encoder: str, preset: int, model: str) -> tuple[RememberedFilm, ...]:
        wanted = (encoder, preset, model)
        return tuple(
            film for film in self._films if (film.encoder, film.preset, film.model) == wanted
        )

    async def remember(self, film: RememberedFilm) -> None:
        raise AssertionError("nothing has been finished")


@dataclass(frozen=True)
class Machine:
    metrics: Measurable
    films: Remembered


def track(color: ColorInfo = SDR, width: int = 1920, height: int = 1080) -> Track:
    return Track(
        index=0,
        kind=TrackKind.VIDEO,
        codec="h264",
        time_base=Fraction(1, 1000),
        width=width,
        height=height,
        color=color,
    )


async def settled(
    of: Track | None = None,
    *,
    encoder: Any = None,
    encoding: type[ParallelEncoding] = ParallelEncoding,
    can: bool = True,
    films: tuple[RememberedFilm, ...] = (),
    **options: Any,
) -> tuple[Aim | None, tuple[str, ...]]:
    return await settle_aim(
        EncodeOptions(**options),
        MediaInfo(path=Path("in.mkv"), format_name="matroska", size_bytes=SOURCE_BYTES),
        of or track(),
        encoder or SvtAv1(),
        encoding(None, None),  # type: ignore[arg-type]
        Machine(Measurable(can=can), Remembered(*films)),
    )


async def test_sdr_up_to_1080p_is_brought_to_95() -> None:
    aim, notes = await settled()
    assert aim is not None
    assert aim.goal is not None
    assert (aim.goal.target, aim.goal.pool, aim.goal.lowest_scene) == (95.0, Pool.MEAN, 89.0)
    assert aim.measuring(1920, 800).model == "vmaf_v0.6.1"
    assert not notes


async def test_pictures_too_small_for_vmaf_get_a_crf_and_are_measured_otherwise() -> None:
    tiny = track(width=64, height=16)
    assert await settled(tiny) == (None, ())
    _, (said,) = await settled(tiny, target_vmaf=90.0)
    assert "less than 17 pixels" in said
    _, (said,) = await settled(crop=CropRect(width=64, height=16, x=0, y=0), target_vmaf=90.0)
    assert "less than 17 pixels" in said
    aim, _ = await settled(tiny, measure=True)
    assert aim is not None
    assert (aim.goal, aim.metric.metric) == (None, Metric.XPSNR)
    with pytest.raises(UsageError, match="--strict cannot be kept"):
        await settled(tiny, strict=True)
    aim, _ = await settled(track(width=64, height=17))
    assert aim is not None and aim.goal is not None


async def test_vmaf_neg_is_aimed_at_and_measured_with() -> None:
    aim, _ = await settled(vmaf_neg=True)
    assert aim is not None
    assert aim.measuring(1920, 800).model == "vmaf_v0.6.1neg"


@pytest.mark.parametrize(
    ("of", "options"),
    [
        (track(PQ), {}),
        (track(width=3840, height=2160), {}),
        (track(), {"crf": 30.0}),
        (track(), {"target_vmaf": "off"}),
    ],
    ids=["hdr", "4k", "crf", "off"],
)
async def test_otherwise_the_film_is_encoded_at_one_crf(of: Track, options: Any) -> None:
    assert await settled(of, **options) == (None, ())


async def test_a_number_holds_for_4k_with_the_model_made_for_it() -> None:
    aim, _ = await settled(track(width=3840, height=2160), target_vmaf=93.0)
    assert aim is not None
    assert aim.goal is not None
    assert aim.goal.target == 93.0
    assert aim.measuring(3840, 2160).model == "vmaf_4k_v0.6.1"


@pytest.mark.parametrize(
    ("of", "more", "why"),
    [
        (track(PQ), {}, "no valid model for hdr10"),
        (track(), {"encoder": X264()}, "svt-av1"),
        (track(), {"encoding": LegacyEncoding}, "svt-av1"),
    ],
    ids=["hdr", "x264", "legacy"],
)
async def test_a_target_that_cannot_be_steered_by_is_named_or_refused(
    of: Track, more: Any, why: str
) -> None:
    aim, notes = await settled(of, **more, target_vmaf=94.0)
    assert aim is None
    assert len(notes) == 1
    assert why in notes[0]
    with pytest.raises(UsageError, match="--strict"):
        await settled(of, **more, target_vmaf=94.0, strict=True)


async def test_what_is_only_the_default_is_dropped_without_a_word() -> None:
    assert await settled(encoding=LegacyEncoding) == (None, ())
    assert await settled(encoder=X264()) == (None, ())


async def test_an_ffmpeg_without_libvmaf_is_an_error_only_where_it_was_asked_for() -> None:
    aim, notes = await settled(can=False)
    assert aim is None
    assert "There is no libvmaf." in notes[0]
    for asked in ({"target_vmaf": 95.0}, {"measure": True, "crf": 30.0}, {"strict": True}):
        with pytest.raises(MissingToolError):
            await settled(can=False, **asked)


async def test_measuring_alone_steers_nothing_and_hdr_is_measured_by_what_is_valid_there() -> None:
    aim, _ = await settled(crf=30.0, measure=True)
    assert aim is not None
    assert aim.goal is None
    assert aim.measuring(640, 360).metric is Metric.VMAF
    hdr, _ = await settled(track(PQ), measure=True)
    assert hdr is not None
    assert hdr.goal is None
    assert hdr.measuring(640, 360).metric is Metric.XPSNR


@pytest.mark.parametrize(
    "options",
    [
        {"crf": 30.0, "target_vmaf": 95.0},
        {"crf": 30.0, "strict": True},
        {"target_vmaf": "off", "strict": True},
        {"target_vmaf": 90.0, "floor": 91.0},
        {"floor": 96.0},
    ],
)
async def test_what_contradicts_itself_is_refused(options: Any) -> None:
    with pytest.raises(UsageError):
        await settled(**options)


async def test_the_size_that_is_allowed_is_a_share_of_the_source() -> None:
    aim, _ = await settled(max_size_percent=40.0)
    assert aim is not None
    assert aim.goal is not None
    assert aim.goal.max_bytes == 400_000


def hard_film(preset: int = 6) -> RememberedFilm:
    """At CRF 30 its segments have a VMAF of 70, and are ten times as large as usual."""
    attempt = RememberedAttempt(crf=30.0, size_bytes=4_000_000, quality=70.0)
    segment = RememberedSegment(frames=120, features=(3.6, 1.1), attempts=(attempt,))
    return RememberedFilm(
        preset=preset, model="vmaf_v0.6.1", pixels=1920 * 1080, segments=(segment,) * 12
    )


async def test_films_of_this_preset_say_where_the_next_one_begins() -> None:
    async def first_crf(*films: RememberedFilm) -> float:
        aim, _ = await settled(films=films)
        assert aim is not None
        assert aim.goal is not None
        control = Controller(aim.goal, aim.prior, 1920 * 1080, 1200)
        control = control.known(*(Piece(n, 120, (3.6, 1.1)) for n in range(10))).all_known()
        step = control.next(4)
        assert isinstance(step, Encode)
        return step.crf

    ordinary = await first_crf()
    assert await first_crf(hard_film(preset=8)) == ordinary
    once = await first_crf(hard_film())
    assert await first_crf(*[hard_film()] * 12) < once < ordinary


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixels": 0},
        {"segments": ()},
        {"segments": (RememberedSegment(frames=10, features=(1.0,), attempts=()),)},
        {"segments": (RememberedSegment(frames=10, features=(1.0, math.nan), attempts=()),)},
        {"segments": (RememberedSegment(frames=0, features=(1.0, 1.0), attempts=()),)},
    ],
)
def test_a_film_that_makes_no_sense_is_passed_over(wrong: Any) -> None:
    assert prior_from([hard_film().model_copy(update=wrong)], SvtAv1(), 6) == ORDINARY
