"""Two finished files, side by side."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from drapto.core.comparators.encoding import (
    compare_encoding,
    encoding_measures,
    why_incomparable,
)
from drapto.core.comparators.verdict import verdict
from drapto.core.comparison import Outcome, Severity
from drapto.core.media import CropRect
from drapto.core.output_summary import OutputSummary, Quality
from tests.core.comparators.examples import (
    ENGLISH,
    FRAMES,
    FRENCH,
    GERMAN,
    HDR10,
    SDR,
    TRACKS,
    VIDEO,
    output,
    outside,
    terms,
)


def differing(new: OutputSummary, legacy: OutputSummary | None = None) -> dict[str, Severity]:
    return outside(compare_encoding(legacy or output(), new, terms(), source=output()))


def quality(mean: float, p1: float, **changes: Any) -> Quality:
    return Quality(mean=mean, p1=p1, frames=FRAMES, **changes)


def test_equal_files_match() -> None:
    fields = compare_encoding(output(), output(), terms(), source=output())
    assert outside(fields) == {}
    assert {"frames", "duration", "size.ratio", "vmaf.mean", "vmaf.p1", "tracks[3].forced"} <= {
        f.field for f in fields
    }


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (output(frames=FRAMES - 1), "frames"),
        (output(frames=FRAMES + 1), "frames"),
        (output(damaged=1), "damaged"),
        (output(fault="cut off"), "readable"),
        (output(color=SDR.model_copy(update={"transfer": None}), width=1916), "picture.width"),
        (output(TRACKS[:3]), "tracks[3]"),
        (output((*TRACKS, GERMAN)), "tracks[4]"),
        (output((VIDEO, ENGLISH, FRENCH.model_copy(update={"language": "eng"}), GERMAN)),
         "tracks[2].language"),
        (output((VIDEO, ENGLISH, FRENCH, GERMAN.model_copy(update={"language": None}))),
         "tracks[3].language"),
        (output((VIDEO, ENGLISH, FRENCH, GERMAN.model_copy(update={"dispositions": frozenset()}))),
         "tracks[3].forced"),
        (output((VIDEO, ENGLISH.model_copy(update={"dispositions": frozenset()}), FRENCH, GERMAN)),
         "tracks[1].default"),
        (output((VIDEO, FRENCH, ENGLISH, GERMAN)), "tracks.order"),
        (output((VIDEO, GERMAN, ENGLISH, FRENCH)), "tracks.order"),
        (output((VIDEO, ENGLISH.model_copy(update={"start_s": 0.2}), FRENCH, GERMAN)),
         "tracks[1].start"),
        (output((VIDEO, ENGLISH.model_copy(update={"end_s": 9.5}), FRENCH, GERMAN)),
         "tracks[1].end"),
        (output((VIDEO, ENGLISH.model_copy(update={"channels": 1}), FRENCH, GERMAN)),
         "tracks[1].channels"),
        (output(chapters=1), "chapters"),
        (output(attachments=0), "attachments"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_new_loses_or_invents_is_critical(new: OutputSummary, field: str) -> None:
    assert differing(new)[field] is Severity.CRITICAL


@pytest.mark.parametrize(
    "legacy",
    [
        output(frames=FRAMES - 1),
        output(TRACKS[:3]),
        output((VIDEO, ENGLISH, FRENCH, GERMAN.model_copy(update={"dispositions": frozenset()}))),
        output((VIDEO, FRENCH, ENGLISH, GERMAN)),
        output((VIDEO, ENGLISH.model_copy(update={"start_s": 0.2}), FRENCH, GERMAN)),
        output((VIDEO, ENGLISH, FRENCH, GERMAN.model_copy(update={"language": "eng"}))),
        output((*TRACKS, GERMAN)),
        output(chapters=0),
        output(damaged=3),
    ],
    ids=["frame", "track", "forced", "order", "late", "language", "doubled", "chapters", "damage"],
)
def test_what_legacy_loses_is_legacys_error_if_the_source_agrees_with_new(
    legacy: OutputSummary,
) -> None:
    fields = compare_encoding(legacy, output(), terms(), source=output())
    assert verdict(fields)[0] is Outcome.LEGACY_ERROR


def test_without_a_source_a_difference_counts_against_new() -> None:
    fields = compare_encoding(output(TRACKS[:3]), output(), terms())
    assert verdict(fields)[0] is Outcome.CRITICAL


def test_losing_hdr_is_critical() -> None:
    hdr = output(color=HDR10)
    fields = compare_encoding(hdr, output(), terms(), source=hdr)
    assert outside(fields)["dynamic_range"] is Severity.CRITICAL
    assert outside(fields)["color.content_light"] is Severity.CRITICAL


def test_sound_within_one_frame_of_film_is_in_time() -> None:
    late = ENGLISH.model_copy(update={"start_s": 0.04, "end_s": 10.04})
    assert differing(output((VIDEO, late, FRENCH, GERMAN))) == {}


@pytest.mark.parametrize(
    ("mean", "p1", "expected"),
    [
        (92.5, 84.0, {}),
        (99.0, 99.0, {}),
        (92.4, 84.0, {"vmaf.mean"}),
        (93.0, 83.9, {"vmaf.p1"}),
    ],
)
def test_quality_may_be_higher_but_not_much_lower(
    mean: float, p1: float, expected: set[str]
) -> None:
    assert differing(output(quality=quality(mean, p1))) == dict.fromkeys(
        expected, Severity.MISMATCH
    )


@pytest.mark.parametrize(("size", "is_fine"), [(970_000, True), (1_030_000, True),
                                               (960_000, False), (1_040_000, False)])  # fmt: skip
def test_size_is_held_on_both_sides(size: int, is_fine: bool) -> None:
    assert (differing(output(size_bytes=size)) == {}) is is_fine


def test_length_may_be_one_frame_off() -> None:
    assert differing(output(duration_s=10 + 1 / 24)) == {}
    assert differing(output(duration_s=10 + 2 / 24)) == {"duration": Severity.MISMATCH}
    assert "frame_rate" in differing(output(frame_rate=Fraction(25)))


def test_quality_is_not_compared_where_the_pictures_differ() -> None:
    fields = compare_encoding(output(), output(width=1916, quality=quality(1, 1)), terms())
    assert not [f for f in fields if f.field.startswith("vmaf")]


def test_different_crops_cannot_be_compared() -> None:
    other = output(crop=CropRect(width=1920, height=800, x=0, y=140))
    reason = why_incomparable(output(), other)
    assert "1920:800:0:140" in reason
    assert verdict(compare_encoding(output(), other, terms()), reason) == (
        Outcome.INCOMPARABLE, reason,
    )  # fmt: skip
    assert why_incomparable(output(), output()) == ""


def test_a_star_ignores_a_whole_family_and_the_reason_is_kept() -> None:
    fields = compare_encoding(
        output(), output(TRACKS[:2]), terms("tracks[*]", "tracks.*"), source=output()
    )
    assert set(outside(fields).values()) == {Severity.IGNORED}
    assert all("Ignored: known" in f.detail for f in fields if f.severity is Severity.IGNORED)
    outcome, reason = verdict(fields)
    assert outcome is Outcome.IGNORED
    assert "tracks[2]" in reason


def test_measures_are_of_new_against_legacy() -> None:
    new = output(size_bytes=900_000, quality=quality(92, 86))
    assert encoding_measures(output(), new) == {
        "size_ratio": 0.9, "vmaf_mean_difference": -1.0, "vmaf_p1_difference": 1.0,
    }  # fmt: skip
