"""What becomes of HDR10+ and Dolby Vision, decided from what a source is known to hold."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from drapto.core.crop_border import CropBorder
from drapto.core.deinterlacing import Deinterlacing, Method
from drapto.core.dolby_vision.rpu import Rpu, write
from drapto.core.dynamic_metadata import (
    CarriedFrames,
    ComparedMetadata,
    DynamicFacts,
    DynamicMetadata,
    FrameMetadata,
    MetadataDigests,
    digest,
)
from drapto.core.manifest import RowOutcome
from drapto.core.media import (
    ColorInfo,
    CropRect,
    DolbyVision,
    FrameIndex,
    MediaInfo,
    Track,
    TrackKind,
)
from drapto.core.segments import VideoSettings
from drapto.core.source import SourceVideo
from drapto.services.encoding.dynamic_metadata import decide_metadata, dolby_vision_level
from drapto.services.encoding.tasks import source_pts
from drapto.services.validation.dynamic import dynamic_rows
from tests.media.dynamic_hdr import message, rpu_5, rpu_7, rpu_81, window

CROP = CropRect(width=1920, height=800, x=0, y=140)
BORDER = CropBorder(left=0, top=140, right=0, bottom=140, width=1920, height=800)


def video(
    *,
    hdr10_plus: int = 0,
    rpus: int = 0,
    first: Rpu | None = None,
    record: DolbyVision | None = None,
    codec: str = "hevc",
    transfer: str = "smpte2084",
    says_hdr10_plus: bool = False,
) -> SourceVideo:
    color = ColorInfo(transfer=transfer, dolby_vision=record, hdr10_plus=says_hdr10_plus)
    track = Track(
        index=0,
        kind=TrackKind.VIDEO,
        codec=codec,
        time_base=Fraction(1, 24),
        width=1920,
        height=1080,
        color=color,
    )
    pts = np.arange(10, dtype=np.int64)
    index = FrameIndex(Fraction(1, 24), pts, np.ones(10, dtype=np.int64), pts == 0)
    media = MediaInfo(path=Path("in.mkv"), format_name="matroska", size_bytes=1)
    unit = write(first) if first else None
    return replace(
        SourceVideo(media, track, media.path, 0, index),
        carries=CarriedFrames(hdr10_plus, rpus, first_rpu=unit),
    )


def record(profile: int, compatibility: int | None = None) -> DolbyVision:
    return DolbyVision(profile=profile, level=3, compatibility_id=compatibility)


@pytest.mark.parametrize(
    ("source", "base", "drops_layer"),
    [
        (video(rpus=10, first=rpu_81(0), record=record(8, 1)), 1, False),
        (video(rpus=10, first=rpu_81(0), record=record(8, 2)), 2, False),
        (video(rpus=10, first=rpu_81(0), record=record(8, 4)), 4, False),
        (video(rpus=10, first=rpu_81(0), record=record(8), transfer="arib-std-b67"), 4, False),
        (video(rpus=10, first=rpu_5(0), record=record(5, 0)), 0, False),
        (video(rpus=10, first=rpu_7(0), record=record(7, 6)), 1, True),
        (video(rpus=10, first=rpu_81(0), record=record(10, 4), codec="av1"), 4, False),
        (video(rpus=10, first=rpu_7(0)), 1, True),
        (video(rpus=10, first=rpu_81(0), record=record(0)), 1, False),
        (video(rpus=10, first=rpu_81(0), codec="av1"), 1, False),
    ],
)
def test_every_profile_has_its_counterpart(
    source: SourceVideo, base: int, drops_layer: bool
) -> None:
    plan = decide_metadata(source, None, "av1").plan
    assert plan.dolby_vision == DolbyVision(profile=10, level=3, compatibility_id=base)
    assert plan.drops_layer is drops_layer
    assert plan.border is None


@pytest.mark.parametrize(
    ("source", "codec", "said"),
    [
        (video(rpus=10, first=rpu_81(0), record=record(8, 1)), "av1", ""),
        (video(hdr10_plus=10), "av1", ""),
        (video(hdr10_plus=4), "av1", "4 of 10 frames carry HDR10+ metadata; the others stay"),
        (video(hdr10_plus=10), "hevc", "not carried over (only AV1 outputs get it)"),
        (video(says_hdr10_plus=True, codec="vp9"), "av1", "Drapto cannot read it from vp9"),
        (video(rpus=10, first=rpu_81(0), record=record(4)), "av1", "(profile 4) is not carried"),
        (video(rpus=10, first=rpu_81(0), record=record(8, 1)), "hevc", "only AV1 outputs get it"),
        (video(rpus=10, first=rpu_5(0), record=record(5)), "hevc", "wrong colours without it"),
        (video(rpus=10, first=rpu_5(0), record=record(5)), "av1", "right colours only in players"),
        (video(rpus=10, first=rpu_7(0), record=record(7)), "av1", "base layer is lost"),
        (video(rpus=10, first=rpu_7(0, full=False)), "av1", "it adds no detail"),
        (video(record=record(8, 1)), "av1", "no frame holds such metadata"),
        (video(), "av1", ""),
    ],
)
def test_what_is_lost_or_changed_is_said(source: SourceVideo, codec: str, said: str) -> None:
    notes = " ".join(decide_metadata(source, None, codec).notes)
    assert said in notes if said else notes == ""


def test_the_plan_says_where_frames_inherit_their_message() -> None:
    source = video(hdr10_plus=10)
    assert not decide_metadata(source, None, "av1").plan.inherits
    scenes = replace(source, carries=CarriedFrames(hdr10_plus=10, inherited=8))
    assert decide_metadata(scenes, None, "av1").plan.inherits


def test_a_crop_is_told_only_where_there_is_something_to_move() -> None:
    assert decide_metadata(video(hdr10_plus=10), CROP, "av1").plan.border == BORDER
    assert decide_metadata(video(), CROP, "av1").plan == DynamicMetadata()
    smaller = decide_metadata(video(rpus=10, first=rpu_81(0)), CROP, "av1").plan
    assert smaller.dolby_vision is not None and smaller.dolby_vision.level == 3


@pytest.mark.parametrize(
    ("size", "rate", "level"),
    [((1280, 720), 24, 1), ((1920, 1080), 24, 3), ((1920, 1080), 60, 5), ((3840, 2160), 24, 6),
     ((3840, 1600), 24, 6), ((3840, 2160), 60, 9), ((7680, 4320), 60, 12), ((9000, 9000), 60, 13)],
)  # fmt: skip
def test_levels_are_the_lowest_that_allow_the_picture(
    size: tuple[int, int], rate: int, level: int
) -> None:
    assert dolby_vision_level(*size, Fraction(rate)) == level


def test_what_needs_no_change_is_taken_byte_for_byte() -> None:
    plan = DynamicMetadata(hdr10_plus=True, dolby_vision=record(10, 1), border=BORDER)
    frame = FrameMetadata(message(1), write(rpu_81(1)))
    assert plan.carried(frame) == frame
    odd = FrameMetadata(message(1) + b"\x00\x00", b"what nobody can read")
    assert plan.model_copy(update={"border": None}).carried(odd) == odd


def test_what_cannot_be_read_where_it_must_change_is_left_out() -> None:
    plan = DynamicMetadata(hdr10_plus=True, dolby_vision=record(10, 1), border=BORDER)
    odd = FrameMetadata(message(1)[:9], b"what nobody can read")
    assert plan.carried(odd) == FrameMetadata()
    dependent = write(replace(rpu_81(1), mapping=None))
    plain = plan.model_copy(update={"border": None})
    assert plain.carried(FrameMetadata(None, dependent)) == FrameMetadata()


def test_what_is_not_in_the_plan_is_not_carried() -> None:
    frame = FrameMetadata(message(1), write(rpu_81(1)))
    assert DynamicMetadata().carried(frame) == FrameMetadata()


def test_a_window_is_moved_by_the_crop() -> None:
    plan = DynamicMetadata(hdr10_plus=True, border=BORDER)
    before = FrameMetadata(message(1, (window(0, 200, 50, 300),)))
    assert plan.carried(before) == FrameMetadata(message(1, (window(0, 60, 50, 160),)))


def settings(plan: DynamicMetadata) -> VideoSettings:
    return VideoSettings(
        width=1920, height=1080, source_width=1920, source_height=1080, dynamic_metadata=plan
    )


def digests(*texts: bytes | None) -> MetadataDigests:
    return MetadataDigests(tuple(digest(text) for text in texts))


OUTPUT = Track(index=0, kind=TrackKind.VIDEO, codec="av1", time_base=Fraction(1, 24))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (digests(b"a", b"b", None), ""),
        (digests(b"a", b"x", None), "1 of 2 frames equal; different in frames 1"),
        (digests(b"a", b"b", b"c"), "2 of 2 frames equal; different in frames 2"),
        (digests(b"a", None, None), "1 of 2 frames equal; different in frames 1"),
        (digests(b"b", b"a", None), "0 of 2 frames equal; different in frames 0, 1"),
        (digests(b"a", b"b", None, b"d"), "different in frames 3"),
        (digests(), "different in frames 0, 1"),
    ],
)
def test_one_frame_with_other_metadata_fails(found: MetadataDigests, said: str) -> None:
    source = digests(b"a", b"b", None)
    compared = ComparedMetadata(DynamicFacts(source), DynamicFacts(found))
    plan = DynamicMetadata(hdr10_plus=True)
    (row,) = dynamic_rows(video(hdr10_plus=10), settings(plan), OUTPUT, compared)
    assert row.outcome is (RowOutcome.FAIL if said else RowOutcome.PASS)
    assert said in row.actual
    assert row.expected == "2 of 3 frames"


def test_metadata_that_was_not_read_fails() -> None:
    plan = DynamicMetadata(hdr10_plus=True)
    (row,) = dynamic_rows(video(hdr10_plus=10), settings(plan), OUTPUT, None)
    assert row.outcome is RowOutcome.FAIL


def test_a_missing_record_fails() -> None:
    source = video(rpus=10, first=rpu_81(0), record=record(8, 1))
    plan = decide_metadata(source, None, "av1").plan
    same = DynamicFacts(dolby_vision=digests(b"a"))
    rows = list(dynamic_rows(source, settings(plan), OUTPUT, ComparedMetadata(same, same)))
    assert [(row.check, row.outcome) for row in rows] == [
        ("dolby_vision", RowOutcome.PASS),
        ("dolby_vision_record", RowOutcome.FAIL),
    ]


def test_metadata_that_came_from_nowhere_fails() -> None:
    made_up = OUTPUT.model_copy(update={"color": ColorInfo(dolby_vision=record(10, 1))})
    (row,) = dynamic_rows(video(), settings(DynamicMetadata()), made_up, None)
    assert row.outcome is RowOutcome.FAIL


def test_a_plain_source_has_no_rows() -> None:
    assert list(dynamic_rows(video(), settings(DynamicMetadata()), OUTPUT, None)) == []


@pytest.mark.parametrize(
    ("work", "pts"),
    [
        (Deinterlacing(method=Method.BOB), (0, 0, 1, 1)),
        (Deinterlacing(method=Method.BWDIF), (0, 1, 2, 3)),
        (Deinterlacing(method=Method.IVTC, dropped=(2,)), (0, 1, 3, 4)),
    ],
)
def test_a_frame_made_of_fields_has_the_metadata_of_its_frame(
    work: Deinterlacing, pts: tuple[int, ...]
) -> None:
    made = video(hdr10_plus=10).deinterlaced(work)
    assert source_pts(made, 0, 4) == pts
    assert decide_metadata(made, None, "av1").notes == ()
