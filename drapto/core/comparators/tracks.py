"""Compares the tracks of two files: which are there, in which order, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from drapto.core.comparators.verdict import Sheet, loser
from drapto.core.output_summary import TrackSummary
from drapto.core.routing import Side

# How late sound may be: one frame of a film at 24 per second. Sound that comes 45 ms early or
# 125 ms late is noticed (ITU-R BT.1359-1).
SOUND_TOLERANCE_S = 0.045

_SAME_LANGUAGE, _SAME_TITLE, _SAME_CODEC, _SAME_CHANNELS = 3, 3, 2, 1
_DISPOSITIONS_APART = ("default", "forced")  # what a player acts upon without being asked

Tracks = Sequence[TrackSummary]
Pairs = dict[int, int]  # index in the one list -> index in the other


def compare_tracks(sheet: Sheet, legacy: Tracks, new: Tracks, source: Tracks | None) -> None:
    """Adds `tracks[i]`, `tracks[i].*` and `tracks.order`.

    `i` counts legacy's tracks from 0, then those that only new has. `source` is the referee:
    None if it was not read.
    """
    pairs = match_tracks(legacy, new)
    of_legacy = match_tracks(legacy, source) if source is not None else None
    of_new = match_tracks(new, source) if source is not None else None
    for i, track in enumerate(legacy):
        partner = pairs.get(i)
        if partner is None:
            invented = of_legacy is not None and i not in of_legacy
            lost_by = Side.LEGACY if invented else Side.NEW
            sheet.exact(f"tracks[{i}]", track, None, lost_by=lost_by, detail="New lacks it.")
            continue
        truth = None
        if source is not None and of_new is not None and partner in of_new:
            truth = source[of_new[partner]]
        sheet.exact(f"tracks[{i}]", track.kind.value, new[partner].kind.value)
        _compare_track(sheet, f"tracks[{i}]", track, new[partner], truth)
    extra = [j for j in range(len(new)) if j not in pairs.values()]
    for number, j in enumerate(extra, start=len(legacy)):
        in_source = of_new is not None and j in of_new
        lost_by = Side.LEGACY if in_source else Side.NEW
        detail = "Legacy lacks it." if in_source else "The source has no such track."
        sheet.exact(
            f"tracks[{number}]", None, new[j], lost_by=lost_by, detail=detail if source else ""
        )
    _compare_order(sheet, legacy, new, pairs, of_new)


def _compare_track(
    sheet: Sheet,
    name: str,
    legacy: TrackSummary,
    new: TrackSummary,
    truth: TrackSummary | None,
) -> None:
    sheet.exact(f"{name}.codec", legacy.codec, new.codec)
    sheet.exact(
        f"{name}.language",
        legacy.language,
        new.language,
        # In tuples, because to have no language is something that the source can say, too.
        lost_by=loser((legacy.language,), (new.language,), truth and (truth.language,)),
    )
    sheet.exact(f"{name}.title", legacy.title, new.title)
    for flag in _DISPOSITIONS_APART:
        of_legacy, of_new = flag in legacy.dispositions, flag in new.dispositions
        true = None if truth is None else flag in truth.dispositions
        sheet.exact(f"{name}.{flag}", of_legacy, of_new, lost_by=loser(of_legacy, of_new, true))
    rest = [_rest(track) for track in (legacy, new)]
    sheet.exact(f"{name}.dispositions", *rest)
    if legacy.channels is not None or new.channels is not None:
        lost_by = loser(legacy.channels, new.channels, truth and truth.channels)
        sheet.exact(f"{name}.channels", legacy.channels, new.channels, lost_by=lost_by)
    for which in ("start_s", "end_s"):
        if legacy.kind.value == "audio" or (legacy.kind.value == "subtitle" and which == "start_s"):
            _compare_time(sheet, name, which, legacy, new, truth)


def _compare_time(
    sheet: Sheet,
    name: str,
    which: str,
    legacy: TrackSummary,
    new: TrackSummary,
    truth: TrackSummary | None,
) -> None:
    left, right = getattr(legacy, which), getattr(new, which)
    if left is None or right is None:
        return
    true = getattr(truth, which, None)
    is_right = true is not None and abs(right - true) <= SOUND_TOLERANCE_S
    later = "later" if right > left else "earlier"
    verb = "begins" if which == "start_s" else "ends"
    sheet.measured(
        f"{name}.{which.removesuffix('_s')}",
        f"{left:.3f} s",
        f"{right:.3f} s",
        round(abs(right - left), 6),
        SOUND_TOLERANCE_S,
        lost_by=Side.LEGACY if is_right else Side.NEW,
        detail=f"New {verb} {abs(right - left):.3f} s {later}.",
    )


def _compare_order(
    sheet: Sheet, legacy: Tracks, new: Tracks, pairs: Pairs, of_new: Pairs | None
) -> None:
    """Whether the tracks that both have stand in the same order."""
    partners = [pairs[i] for i in sorted(pairs)]
    is_same = partners == sorted(partners)
    true = None if of_new is None else [of_new[j] for j in sorted(of_new)]
    like_source = true is not None and true == sorted(true)
    sheet.measured(
        "tracks.order",
        ", ".join(str(legacy[i]) for i in sorted(pairs)),
        ", ".join(str(new[j]) for j in sorted(pairs.values())),
        0.0 if is_same else 1.0,
        0.0,
        lost_by=Side.LEGACY if like_source else Side.NEW,
    )


def match_tracks(left: Tracks, right: Tracks) -> Pairs:
    """Pair tracks of a kind by what they say of themselves; position decides between equals."""
    likely = sorted(
        (-_likeness(a, b), abs(i - j), i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if a.kind is b.kind and a.is_cover_art == b.is_cover_art
    )
    pairs: Pairs = {}
    for _, _, i, j in likely:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


def _likeness(a: TrackSummary, b: TrackSummary) -> int:
    return (
        _SAME_LANGUAGE * (a.language == b.language)
        + _SAME_TITLE * (a.title == b.title)
        + _SAME_CODEC * (a.codec == b.codec)
        + _SAME_CHANNELS * (a.channels == b.channels)
    )


def _rest(track: TrackSummary) -> str:
    return ", ".join(sorted(track.dispositions - set(_DISPOSITIONS_APART))) or "none"
