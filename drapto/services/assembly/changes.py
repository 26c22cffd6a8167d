"""What becomes of the plan when an audio track turns out other than its stream says.

Promised, as by the plan itself: a track is never lost in silence. What cannot be encoded is
copied; what cannot be copied either is dropped and named, or refused with strict tracks.

Tests: tests/services/assembly/test_changes.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from drapto.core.audio_clock import Leap
from drapto.core.errors import InputError
from drapto.core.tracks import MuxPlan, TrackPlan
from drapto.core.words import count
from drapto.services.assembly.containers import holds_audio
from drapto.services.assembly.tags import track_tags
from drapto.services.encoding.audio import describe


def can_hold(plan: MuxPlan, track: TrackPlan) -> bool:
    """Whether the output's container takes an audio track as it is in the source."""
    return holds_audio(plan.container, track.source.codec)


def copy_instead(plan: MuxPlan, source_index: int, reason: str) -> MuxPlan:
    """The plan with one audio track copied because encoding it failed. Errors: KeyError."""
    track = _track(plan, source_index)
    detail = f"{describe(track.source)}: encoding it failed ({reason})"
    copied = track.model_copy(
        update={
            "action": "copy",
            "codec": track.source.codec,
            "audio": None,
            "tags": track_tags(track.source, encoded=False),
            "outcome": track.outcome.model_copy(update={"action": "copied", "detail": detail}),
        }
    )
    return _with(plan, copied)


def drop_instead(plan: MuxPlan, source_index: int, reason: str, *, strict: bool) -> MuxPlan:
    """The plan without one audio track. Errors: InputError if `strict`; KeyError."""
    track = _track(plan, source_index)
    detail = f"{describe(track.source)}: {reason}"
    if strict:
        raise InputError(
            f"The {plan.container} output would lose audio track {source_index} ({detail}).",
            hint="Leave out --strict-tracks to go on without it, or use --audio none.",
        )
    lost = track.outcome.model_copy(update={"action": "dropped", "detail": detail})
    kept = tuple(t for t in plan.tracks if t is not track)
    return plan.model_copy(update={"tracks": kept, "dropped": (*plan.dropped, lost)})


def mend_leaps(plan: MuxPlan, leaps: Mapping[int, tuple[Leap, ...]]) -> MuxPlan:
    """The plan with the leaps found in its audio tracks, by stream index; each is named."""
    for index, found in leaps.items():
        if not found:
            continue
        track = _track(plan, index)
        outcome = track.outcome.model_copy(
            update={"detail": f"{track.outcome.detail}; {leaps_said(found)}"}
        )
        plan = _with(plan, track.model_copy(update={"leaps": found, "outcome": outcome}))
    return plan


def leaps_said(leaps: tuple[Leap, ...]) -> str:
    """'1 leap in its timestamps mended (packet 70, at 1.472 s, timed 32401.472 s)'."""
    more = "" if len(leaps) == 1 else f" and {len(leaps) - 1} more"
    return f"{count(len(leaps), 'leap')} in its timestamps mended ({leaps[0]}{more})"


def _track(plan: MuxPlan, source_index: int) -> TrackPlan:
    for track in plan.tracks:
        if track.source.index == source_index:
            return track
    raise KeyError(source_index)


def _with(plan: MuxPlan, changed: TrackPlan) -> MuxPlan:
    """The plan with the entry for one track replaced."""
    index = changed.source.index
    tracks = tuple(changed if t.source.index == index else t for t in plan.tracks)
    return plan.model_copy(update={"tracks": tracks})
