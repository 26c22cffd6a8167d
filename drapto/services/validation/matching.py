"""Which track of the output is which entry of the plan.

Position alone cannot tell a swapped pair from two wrong languages, so tracks are paired by what
they are: the same payload first, then language, title, codec and channels; position only decides
between equals. What stays without a partner is missing, or was never planned.
"""

from __future__ import annotations

from dataclasses import dataclass

from drapto.core.facts import FileFacts
from drapto.core.media import Track, TrackKind
from drapto.core.tracks import TrackPlan
from drapto.services.assembly.containers import canonical

_UNKNOWN_LANGUAGES = frozenset({None, "", "und"})

_SAME_PAYLOAD, _SAME_LANGUAGE, _SAME_TITLE, _SAME_CODEC, _SAME_CHANNELS = 8, 3, 3, 2, 1


@dataclass(frozen=True)
class Matched:
    """A plan entry and the output track that fulfils it; None if there is none."""

    plan: TrackPlan
    output: Track | None


@dataclass(frozen=True)
class Matching:
    video: Track | None
    tracks: tuple[Matched, ...]  # in plan order, every entry of the plan's `tracks`
    extra: tuple[Track, ...]  # in the output, but not in the plan


def match_tracks(
    tracks: tuple[TrackPlan, ...], source_facts: FileFacts, output_facts: FileFacts
) -> Matching:
    """Pair every entry of the plan with a track of the output of its kind."""
    outputs = output_facts.media.tracks
    video = next((t for t in outputs if is_picture(t)), None)
    candidates = [t for t in outputs if t is not video]
    pairs = [
        (-_likeness(plan, track, source_facts, output_facts), abs(p - o), p, o)
        for p, plan in enumerate(tracks)
        for o, track in enumerate(candidates)
        if _same_kind(plan.source, track)
    ]
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, p, o in sorted(pairs):
        if p not in partner and o not in taken:
            partner[p] = o
            taken.add(o)
    matched = tuple(
        Matched(plan, candidates[partner[p]] if p in partner else None)
        for p, plan in enumerate(tracks)
    )
    extra = tuple(track for o, track in enumerate(candidates) if o not in taken)
    return Matching(video, matched, extra)


def is_picture(track: Track) -> bool:
    """A video track that is not a cover."""
    return track.kind is TrackKind.VIDEO and not track.is_cover_art


def same_language(expected: str | None, actual: str | None) -> bool:
    """Equal, or both say nothing."""
    if expected in _UNKNOWN_LANGUAGES:
        return actual in _UNKNOWN_LANGUAGES
    return expected == actual


def planned_channels(plan: TrackPlan) -> int | None:
    return plan.audio.channels if plan.audio is not None else plan.source.channels


def _same_kind(planned: Track, found: Track) -> bool:
    return planned.kind is found.kind and planned.is_cover_art == found.is_cover_art


def _likeness(
    plan: TrackPlan, track: Track, source_facts: FileFacts, output_facts: FileFacts
) -> int:
    source = source_facts.track(plan.source.index)
    output = output_facts.track(track.index)
    score = 0
    if source is not None and output is not None and source.payload_bytes:
        score += _SAME_PAYLOAD * (source.payload_sha256 == output.payload_sha256)
    score += _SAME_LANGUAGE * same_language(plan.source.language, track.language)
    score += _SAME_TITLE * ((plan.source.title or "") == (track.title or ""))
    score += _SAME_CODEC * (canonical(plan.codec) == canonical(track.codec))
    score += _SAME_CHANNELS * (planned_channels(plan) == track.channels)
    return score
