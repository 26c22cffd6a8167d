"""An audio track that turns out otherwise: copied, dropped or mended, and always named."""

from __future__ import annotations

import pytest

from drapto.core.audio_clock import Leap
from drapto.core.errors import InputError
from drapto.core.media import TrackKind
from drapto.core.tracks import Container
from drapto.services.assembly.changes import can_hold, copy_instead, drop_instead, mend_leaps
from tests.services.assembly.test_plan import VIDEO, media, plan, track

SOURCE = media(VIDEO, track(1, TrackKind.AUDIO, "aac"), track(2, TrackKind.SUBTITLE, "subrip"))


def test_failed_audio_encoding_falls_back_to_a_copy_that_says_why() -> None:
    changed = copy_instead(plan(SOURCE), 1, "it is damaged")
    copied = changed.tracks[0]
    assert (copied.action, copied.codec, copied.audio) == ("copy", "aac", None)
    assert changed.audio_encodings == ()
    assert copied.outcome.action == "copied"
    assert "it is damaged" in copied.outcome.detail


def test_copy_after_a_failure_is_the_copy_that_was_asked_for() -> None:
    asked = plan(SOURCE, audio="copy").tracks[0]
    fallen_back = copy_instead(plan(SOURCE), 1, "it is damaged").tracks[0]
    assert fallen_back.model_copy(update={"outcome": asked.outcome}) == asked


def test_dropped_track_is_named_and_the_others_stay() -> None:
    made = plan(SOURCE, Container.WEBM)
    assert not can_hold(made, made.tracks[0])
    changed = drop_instead(made, 1, "it is damaged", strict=False)
    assert [t.source.index for t in changed.tracks] == [2]
    assert [(o.source_index, o.action) for o in changed.dropped] == [(1, "dropped")]
    assert "it is damaged" in changed.dropped[0].detail
    assert len(changed.outcomes) == len(made.outcomes)


def test_dropping_a_track_is_refused_with_strict_tracks() -> None:
    with pytest.raises(InputError, match=r"would lose audio track 1 .*it is damaged"):
        drop_instead(plan(SOURCE), 1, "it is damaged", strict=True)


def test_mended_leap_is_named_with_its_time() -> None:
    leap = Leap(packet=70, packets=1, ticks=32_400_000, at_s=1.472, said_s=32401.472)
    mended = mend_leaps(plan(SOURCE), {1: (leap,)}).tracks[0]
    assert mended.leaps == (leap,)
    assert "1 leap in its timestamps mended" in mended.outcome.detail
    assert "packet 70, at 1.472 s, timed 32401.472 s" in mended.outcome.detail
    assert mend_leaps(plan(SOURCE), {1: ()}) == plan(SOURCE)
