"""Encoding: two finished files, track by track, frame count, size and quality."""

from __future__ import annotations

from drapto.core.comparators.color import compare_color
from drapto.core.comparators.tracks import compare_tracks
from drapto.core.comparators.verdict import Sheet, Terms, loser
from drapto.core.comparison import FieldResult
from drapto.core.output_summary import OutputSummary, Quality
from drapto.core.routing import Side
from drapto.core.words import size

_TIMESTAMP_STEP_S = 0.001  # Matroska rounds the time of a frame to this


def why_incomparable(legacy: OutputSummary, new: OutputSummary) -> str:
    """One plain sentence if the two files do not show the same picture; empty if they do.

    Each side did what it was told, but they were told to cut out different pictures: neither
    sizes nor qualities say anything about the encoders then.
    """
    if legacy.crop == new.crop:
        return ""
    return (
        f"The two sides were told to cut out different pictures (legacy {legacy.crop or 'whole'}, "
        f"new {new.crop or 'whole'}), so their files cannot be set side by side."
    )


def compare_encoding(
    legacy: OutputSummary,
    new: OutputSummary,
    terms: Terms,
    *,
    source: OutputSummary | None = None,
) -> tuple[FieldResult, ...]:
    """`source`: the file that both were made from, as the referee; None if it was not read."""
    sheet = Sheet(terms)
    _compare_frames(sheet, legacy, new, source)
    _compare_length(sheet, legacy, new)
    same_picture = _compare_picture(sheet, legacy, new)
    compare_color(sheet, legacy.color, new.color, source.color if source is not None else None)
    compare_tracks(sheet, legacy.tracks, new.tracks, source.tracks if source is not None else None)
    for name in ("chapters", "attachments"):
        left, right = getattr(legacy, name), getattr(new, name)
        sheet.exact(name, left, right, lost_by=loser(left, right, getattr(source, name, None)))
    _compare_size(sheet, legacy, new)
    if same_picture and legacy.frames == new.frames:
        _compare_quality(sheet, legacy.quality, new.quality)
    return sheet.fields


def encoding_measures(legacy: OutputSummary, new: OutputSummary) -> dict[str, float]:
    """The `measures` of a comparison, for its distributions. See `core/comparison.py`."""
    measures = {"size_ratio": new.size_bytes / legacy.size_bytes} if legacy.size_bytes else {}
    if legacy.quality is not None and new.quality is not None:
        measures["vmaf_mean_difference"] = new.quality.mean - legacy.quality.mean
        measures["vmaf_p1_difference"] = new.quality.p1 - legacy.quality.p1
    return {name: round(value, 6) for name, value in measures.items()}


def _compare_frames(
    sheet: Sheet, legacy: OutputSummary, new: OutputSummary, source: OutputSummary | None
) -> None:
    true = source.frames if source is not None else None
    sheet.measured(
        "frames",
        str(legacy.frames),
        str(new.frames),
        abs(new.frames - legacy.frames),
        0,
        lost_by=loser(legacy.frames, new.frames, true),
        detail="" if true is None else f"The source has {true}.",
    )
    sheet.measured(
        "damaged",
        str(legacy.damaged),
        str(new.damaged),
        max(legacy.damaged, new.damaged),
        0,
        lost_by=Side.NEW if new.damaged else Side.LEGACY,
        detail="A decoder refused these frames.",
    )
    sheet.measured(
        "readable",
        legacy.fault or "to the end",
        new.fault or "to the end",
        1.0 if legacy.fault or new.fault else 0.0,
        0,
        lost_by=Side.NEW if new.fault else Side.LEGACY,
    )


def _compare_length(sheet: Sheet, legacy: OutputSummary, new: OutputSummary) -> None:
    rate = float(legacy.frame_rate) or 25.0
    apart_s = abs(new.duration_s - legacy.duration_s)
    sheet.measured(
        "duration",
        f"{legacy.duration_s:.3f} s",
        f"{new.duration_s:.3f} s",
        round(apart_s * rate, 3),
        sheet.terms.tolerances.duration_frames + _TIMESTAMP_STEP_S * rate,
        detail=f"{apart_s * rate:.2f} frames apart.",
    )
    sheet.exact("frame_rate", legacy.frame_rate, new.frame_rate)


def _compare_picture(sheet: Sheet, legacy: OutputSummary, new: OutputSummary) -> bool:
    """Both were told the same crop, so a smaller picture is picture that was cut away."""
    for name in ("width", "height"):
        left, right = getattr(legacy, name), getattr(new, name)
        sheet.measured(
            f"picture.{name}",
            f"{left} px",
            f"{right} px",
            abs(right - left),
            0,
            lost_by=Side.NEW if right < left else None,
            detail=f"New is {abs(right - left)} px {'smaller' if right < left else 'larger'}.",
        )
    return (legacy.width, legacy.height) == (new.width, new.height)


def _compare_size(sheet: Sheet, legacy: OutputSummary, new: OutputSummary) -> None:
    if not legacy.size_bytes:
        return
    low, high = sheet.terms.tolerances.size_ratio
    ratio = new.size_bytes / legacy.size_bytes
    sheet.measured(
        "size.ratio",
        size(legacy.size_bytes),
        size(new.size_bytes),
        abs(ratio - 1),
        max(0.0, high - 1 if ratio >= 1 else 1 - low),
        detail=f"New is {ratio:.3f} times as large.",
    )


def _compare_quality(sheet: Sheet, legacy: Quality | None, new: Quality | None) -> None:
    """One-sided: new may be better by any amount."""
    if legacy is None or new is None or legacy.frames != new.frames:
        return
    tolerances = sheet.terms.tolerances
    for name, left, right, tolerance in (
        ("vmaf.mean", legacy.mean, new.mean, tolerances.vmaf_mean),
        ("vmaf.p1", legacy.p1, new.p1, tolerances.vmaf_p1),
    ):
        sheet.measured(
            name,
            f"{left:.2f}",
            f"{right:.2f}",
            max(0.0, round(left - right, 6)),
            tolerance,
            detail=" ".join(filter(None, (f"New is {left - right:.2f} lower.", new.note))),
        )
