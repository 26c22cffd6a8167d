"""Two analyses of one film, side by side."""

from __future__ import annotations

from typing import Any

import pytest

from drapto.core.analysis import Interlacing, VideoAnalysis
from drapto.core.comparators.detection import compare_detection
from drapto.core.comparators.verdict import Terms, verdict
from drapto.core.comparison import FieldResult, Outcome, Severity
from drapto.core.media import ColorInfo, CropRect, DolbyVision
from drapto.core.routing import Side
from tests.core.comparators.examples import FRAMES, HDR10, SDR, analysis, outside, terms

CROP = CropRect(width=1920, height=800, x=0, y=140)


def compare(
    legacy: VideoAnalysis, new: VideoAnalysis, by: Terms | None = None, color: ColorInfo = SDR
) -> tuple[FieldResult, ...]:
    return compare_detection(
        legacy, new, by or terms(), width=1920, height=1080, frames=FRAMES, color=color
    )


def cropped(top: int, height: int) -> CropRect:
    return CropRect(width=1920, height=height, x=0, y=top)


def test_equal_analyses_match_in_every_field() -> None:
    fields = compare(analysis(crop=CROP), analysis(crop=CROP))
    assert outside(fields) == {}
    assert {"crop.left", "dynamic_range", "cuts.f1", "interlacing", "decoded_frames"} <= {
        f.field for f in fields
    }
    assert verdict(fields)[0] is Outcome.MATCH


@pytest.mark.parametrize(
    ("legacy", "new", "expected"),
    [
        (cropped(140, 800), cropped(142, 796), {}),
        (cropped(140, 800), cropped(144, 796), {"crop.top": Severity.CRITICAL}),
        (cropped(144, 796), cropped(140, 800), {"crop.top": Severity.MISMATCH}),
        (None, CROP, {"crop.top": Severity.CRITICAL, "crop.bottom": Severity.CRITICAL}),
        (CROP, None, {"crop.top": Severity.MISMATCH, "crop.bottom": Severity.MISMATCH}),
    ],
    ids=["2 px", "4 px of picture gone", "4 px of bars kept", "bars nobody saw", "no crop"],
)
def test_cutting_away_more_is_critical_and_keeping_bars_is_not(
    legacy: CropRect | None, new: CropRect | None, expected: dict[str, Severity]
) -> None:
    assert outside(compare(analysis(crop=legacy), analysis(crop=new))) == expected


def test_new_that_loses_hdr_is_critical_and_legacy_that_does_is_legacys_error() -> None:
    plain = HDR10.model_copy(update={"transfer": "bt709"})
    lost = compare(analysis(color=HDR10), analysis(color=plain), color=HDR10)
    assert outside(lost)["dynamic_range"] is Severity.CRITICAL
    assert verdict(lost)[0] is Outcome.CRITICAL
    no_metadata = HDR10.model_copy(update={"mastering_display": None})
    kept = compare(analysis(color=no_metadata), analysis(color=HDR10), color=HDR10)
    assert outside(kept) == {"color.mastering_display": Severity.MISMATCH}
    outcome, reason = verdict(kept)
    assert outcome is Outcome.LEGACY_ERROR
    assert "color.mastering_display" in reason


@pytest.mark.parametrize(
    "name", ["mastering_display", "content_light", "dolby_vision", "hdr10_plus"]
)
def test_every_kind_of_hdr_metadata_that_new_lacks_is_critical(name: str) -> None:
    rich = HDR10.model_copy(update={"hdr10_plus": True, "dolby_vision": DolbyVision(profile=8)})
    poor = rich.model_copy(update={name: False if name == "hdr10_plus" else None})
    fields = compare(analysis(color=rich), analysis(color=poor), color=rich)
    assert outside(fields)[f"color.{name}"] is Severity.CRITICAL


def test_new_that_claims_hdr_where_the_source_has_none_counts_against_it() -> None:
    claimed = SDR.model_copy(update={"transfer": "smpte2084"})
    fields = compare(analysis(), analysis(color=claimed), color=SDR)
    (field,) = [f for f in fields if f.field == "dynamic_range"]
    assert (field.severity, field.lost_by) == (Severity.MISMATCH, None)
    assert verdict(fields)[0] is Outcome.MISMATCH


def test_hlg_in_place_of_hdr10_is_decided_by_the_source() -> None:
    hlg = HDR10.model_copy(update={"transfer": "arib-std-b67"})
    right = compare(analysis(color=hlg), analysis(color=HDR10), color=HDR10)
    wrong = compare(analysis(color=HDR10), analysis(color=hlg), color=HDR10)
    assert outside(right)["dynamic_range"] is Severity.MISMATCH
    assert outside(wrong)["dynamic_range"] is Severity.CRITICAL


def test_rounded_mastering_metadata_is_the_same() -> None:
    display = HDR10.mastering_display
    assert display is not None
    rounded = display.model_copy(update={"white": (0.313, 0.329), "max_luminance": 1000.4})
    other = HDR10.model_copy(update={"mastering_display": rounded})
    assert outside(compare(analysis(color=HDR10), analysis(color=other), color=HDR10)) == {}


def test_cuts_one_frame_off_match_and_a_missing_one_is_named() -> None:
    assert outside(compare(analysis((50, 100, 150)), analysis((51, 99, 150)))) == {}
    fields = compare(analysis((50, 100, 150)), analysis((50, 150)))
    assert outside(fields) == {"cuts.f1": Severity.MISMATCH, "cuts[1]": Severity.MISMATCH}
    (cut,) = [f for f in fields if f.field == "cuts[1]"]
    assert (cut.legacy, cut.new) == ("frame 100", "none")


def test_a_missing_cut_is_listed_but_no_discrepancy_while_f1_is_high_enough() -> None:
    cuts = tuple(range(5, 205, 5))
    fields = compare(analysis(cuts), analysis(cuts[:-1]))
    assert outside(fields) == {}
    assert [f.field for f in fields if f.field.startswith("cuts[")] == ["cuts[39]"]


def test_an_ignored_cut_counts_as_if_it_were_matched_until_its_last_day() -> None:
    fields = compare(analysis((50, 100, 150)), analysis((100, 150)), terms("cuts[0]"))
    assert outside(fields) == {"cuts[0]": Severity.IGNORED}
    assert verdict(fields)[0] is Outcome.IGNORED
    both_gone = compare(analysis((50, 100, 150)), analysis((100,)), terms("cuts[0]"))
    assert outside(both_gone)["cuts.f1"] is Severity.MISMATCH


def test_many_missing_cuts_are_counted_but_not_all_listed() -> None:
    fields = compare(analysis(tuple(range(1, 201))), analysis(()))
    assert len([f for f in fields if f.field.startswith("cuts[")]) == 20
    (score,) = [f for f in fields if f.field == "cuts.f1"]
    assert "200 by legacy alone" in score.detail


@pytest.mark.parametrize(
    ("legacy", "new", "severity", "outcome"),
    [
        (FRAMES, FRAMES - 1, Severity.CRITICAL, Outcome.CRITICAL),
        (FRAMES - 1, FRAMES, Severity.MISMATCH, Outcome.LEGACY_ERROR),
        (FRAMES, FRAMES + 1, Severity.MISMATCH, Outcome.MISMATCH),
        (FRAMES + 1, FRAMES, Severity.MISMATCH, Outcome.LEGACY_ERROR),
    ],
)
def test_the_frame_index_decides_who_lost_a_frame(
    legacy: int, new: int, severity: Severity, outcome: Outcome
) -> None:
    fields = compare(analysis(decoded_frames=legacy), analysis(decoded_frames=new))
    assert outside(fields) == {"decoded_frames": severity}
    assert verdict(fields)[0] is outcome


def test_interlacing_and_colour_tags_are_exact() -> None:
    changes: dict[str, Any] = {"interlacing": Interlacing.TOP_FIELD_FIRST}
    other = SDR.model_copy(update={"range": "pc"})
    assert outside(compare(analysis(), analysis(color=other, **changes))) == {
        "color.range": Severity.MISMATCH,
        "interlacing": Severity.MISMATCH,
    }


def test_in_an_aa_run_a_loss_on_either_side_is_critical() -> None:
    fields = compare(
        analysis(decoded_frames=FRAMES - 1), analysis(decoded_frames=FRAMES), terms(is_aa=True)
    )
    assert verdict(fields)[0] is Outcome.CRITICAL


def test_loss_by_new_is_never_marked_as_legacys() -> None:
    fields = compare(analysis(color=HDR10), analysis(), color=HDR10)
    assert {f.lost_by for f in fields if f.severity is Severity.CRITICAL} == {Side.NEW}


def test_only_legacy_may_leave_out_what_it_never_looked_for() -> None:
    blind = analysis((), unreported=("cuts",))
    assert outside(compare(blind, analysis())) == {}
    hidden = outside(compare(analysis(), blind))
    assert hidden["cuts.f1"] is Severity.MISMATCH
