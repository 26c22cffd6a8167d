"""Outcomes and reasons."""

from __future__ import annotations

from datetime import timedelta

from drapto.core.comparators.verdict import Sheet, Terms, family, verdict
from drapto.core.comparison import Outcome
from drapto.core.flag_policy import Ignore, Tolerances
from tests.core.comparators.examples import TODAY


def test_an_ignored_field_comes_back_the_day_after_it_expires() -> None:
    ignore = (Ignore(field="size.ratio", reason="r", expires=TODAY),)
    assert Terms(Tolerances(), ignore, TODAY).ignored("size.ratio") is not None
    assert Terms(Tolerances(), ignore, TODAY + timedelta(days=1)).ignored("size.ratio") is None


def test_only_a_star_stands_for_other_characters() -> None:
    ignore = (Ignore(field="cuts[0]", reason="r"), Ignore(field="tracks[*].title", reason="r"))
    by = Terms(Tolerances(), ignore, TODAY)
    assert by.ignored("cuts[0]") and by.ignored("tracks[12].title")
    assert not by.ignored("cuts0") and not by.ignored("cuts[01]")
    assert not by.ignored("tracks[1].titles")


def test_what_a_side_does_not_report_is_left_out_with_all_below_it() -> None:
    sheet = Sheet(Terms(Tolerances()), skip=("cuts", "color.range"))
    for name in ("cuts", "cuts.f1", "cuts[3]", "cutsy", "color.range", "color.matrix"):
        sheet.exact(name, 1, 2)
    assert [f.field for f in sheet.fields] == ["cutsy", "color.matrix"]


def test_nothing_to_compare_is_incomparable_and_no_agreement() -> None:
    assert verdict(())[0] is Outcome.INCOMPARABLE


def test_a_reason_names_the_first_fields_and_counts_the_rest() -> None:
    sheet = Sheet(Terms(Tolerances()))
    for number in range(5):
        sheet.exact(f"field{number}", 1, 2)
    outcome, reason = verdict(sheet.fields)
    assert outcome is Outcome.MISMATCH
    assert reason == (
        "5 of 5 fields outside their tolerances: field0 (legacy 1, new 2), field1 (legacy 1, new "
        "2), field2 (legacy 1, new 2) and 2 more."
    )


def test_fields_of_one_family_share_a_name() -> None:
    assert family("tracks[12].language") == "tracks[*].language"
    assert family("cuts.f1") == "cuts.f1"
