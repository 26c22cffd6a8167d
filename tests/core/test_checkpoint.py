"""What entries add up to, without a disk."""

from __future__ import annotations

from itertools import pairwise

import pytest

from drapto.core.checkpoint import ORDER, Checkpoint, apply, replay
from drapto.core.entries import (
    AnalysisDone,
    Discarded,
    EncoderChosen,
    JobCreated,
    JobResumed,
    JournalEntry,
    Probed,
    Published,
    RoutesSettled,
    SegmentDone,
    SegmentsPlanned,
    Transition,
    Validated,
    parse_entry,
)
from drapto.core.errors import StateError
from drapto.core.identity import ENCODE_REVISION
from drapto.core.job import JobState
from drapto.core.routing import Mode, Route, RoutedStage, Side
from tests.core.job_examples import (
    analysis,
    assembly_done,
    audio_done,
    encoded,
    identity,
    plan,
)

ROUTE = Route(
    stage=RoutedStage.DETECTION, primary=Side.LEGACY, mode=Mode.SHADOW, reason="The flag says so."
)


def created() -> JobCreated:
    who = identity()
    return JobCreated(
        source=who.source,
        settings_hash=who.settings_hash,
        request=who.request,
        drapto_version="0.1.0",
        ffmpeg_version="9.0",
        encode_revision=ENCODE_REVISION,
    )


def up_to(state: JobState) -> list[JournalEntry]:
    """A journal whose job has just reached `state`, with everything done on the way."""
    at_state: dict[JobState, list[JournalEntry]] = {
        JobState.PROBING: [RoutesSettled(routes=(ROUTE,)), Probed(index_digest="d1", frames=96)],
        JobState.DETECTING: [AnalysisDone(analysis=analysis())],
        JobState.SEGMENTING: [SegmentsPlanned(segments=plan(4))],
        JobState.ENCODING: [*(SegmentDone(encoded=encoded(i)) for i in range(4)), audio_done(1)],
        JobState.ASSEMBLING: [assembly_done()],
        JobState.VALIDATING: [Validated(passed=True)],
    }
    entries: list[JournalEntry] = [created()]
    for step in ORDER[1 : ORDER.index(state) + 1]:
        entries.append(Transition(to=step))
        if step is not state:
            entries += at_state.get(step, [])
    return entries


def test_who_serves_outlives_whatever_has_to_be_made_again() -> None:
    served = replay(up_to(JobState.ASSEMBLING))
    for entry in (JobResumed(drapto_version="0.1.0"), Transition(to=JobState.PROBING)):
        served = apply(served, entry)
    other_index = apply(served, Probed(index_digest="d2", frames=95))
    assert other_index.plan is None
    assert other_index.routes == (ROUTE,)


@pytest.mark.parametrize(("state", "following"), list(pairwise(ORDER)))
def test_every_state_leads_only_to_the_next_one_or_to_an_end(
    state: JobState, following: JobState
) -> None:
    checkpoint = replay(up_to(state))
    for to in JobState:
        if to in (following, JobState.FAILED, JobState.INTERRUPTED):
            assert apply(checkpoint, Transition(to=to)).state is to
        else:
            with pytest.raises(StateError, match=f"is {state} cannot become {to}"):
                apply(checkpoint, Transition(to=to))


@pytest.mark.parametrize("end", [JobState.DONE, JobState.FAILED, JobState.INTERRUPTED])
def test_an_ended_job_leads_nowhere_but_can_be_resumed(end: JobState) -> None:
    entries = [*up_to(JobState.PUBLISHING), Transition(to=end)]
    checkpoint = replay(entries)
    for to in JobState:
        with pytest.raises(StateError):
            apply(checkpoint, Transition(to=to))
    with pytest.raises(StateError, match="cannot be recorded"):
        apply(checkpoint, audio_done(1))
    resumed = apply(checkpoint, JobResumed(drapto_version="0.1.0"))
    assert (resumed.state, resumed.runs) == (JobState.CREATED, 2)
    assert len(resumed.segments) == 4


def test_a_journal_begins_with_job_created_and_has_it_once() -> None:
    with pytest.raises(StateError, match="job_created"):
        replay([Transition(to=JobState.PROBING)])
    with pytest.raises(StateError, match="job_created"):
        replay([created(), created()])


@pytest.mark.parametrize(
    ("entry", "too_early"),
    [
        (Probed(index_digest="d", frames=1), JobState.CREATED),
        (AnalysisDone(analysis=analysis()), JobState.PROBING),
        (SegmentsPlanned(segments=plan(1)), JobState.PROBING),
        (assembly_done(), JobState.ENCODING),
        (Validated(passed=True), JobState.ASSEMBLING),
    ],
)
def test_an_entry_is_refused_before_its_stage(entry: JournalEntry, too_early: JobState) -> None:
    with pytest.raises(StateError, match=f"{entry.entry} cannot be recorded"):
        apply(replay(up_to(too_early)), entry)


def test_a_segment_is_taken_only_as_the_plan_has_it() -> None:
    checkpoint = replay(up_to(JobState.ENCODING))
    with pytest.raises(StateError, match="Segment 4 is not in the plan"):
        apply(checkpoint, SegmentDone(encoded=encoded(4)))
    with pytest.raises(StateError, match="Segment 1 is not in the plan"):
        apply(checkpoint, SegmentDone(encoded=encoded(1, frames=25)))
    short = encoded(1).model_copy(update={"frames": 23})
    with pytest.raises(StateError, match="has 23 frames instead of 24"):
        apply(checkpoint, SegmentDone(encoded=short))
    assert apply(checkpoint, SegmentDone(encoded=encoded(1))).unfinished == (
        *plan(1),
        *plan(4)[2:],
    )


def test_a_different_frame_index_drops_all_that_was_built_on_the_old_one() -> None:
    checkpoint = replay([*up_to(JobState.PUBLISHING), JobResumed(drapto_version="0.1.0")])
    probing = apply(checkpoint, Transition(to=JobState.PROBING))
    same = apply(probing, Probed(index_digest="d1", frames=96))
    assert len(same.segments) == 4
    assert same.assembly is not None
    other = apply(probing, Probed(index_digest="d2", frames=96))
    assert (other.analysis, other.plan, other.segments, other.assembly) == (None, None, {}, None)
    assert set(other.audio) == {1}  # sound does not hang on the frame index


def test_a_different_analysis_drops_the_plan_and_its_segments() -> None:
    checkpoint = replay(up_to(JobState.ASSEMBLING))
    assert apply(checkpoint, AnalysisDone(analysis=analysis())).plan == plan(4)
    other = apply(checkpoint, AnalysisDone(analysis=analysis(95)))
    assert (other.plan, other.segments) == (None, {})


def test_another_encoder_drops_the_segments_of_the_one_before_and_the_same_keeps_them() -> None:
    def chosen(name: str) -> EncoderChosen:
        return EncoderChosen(encoder=name, reason="the first that works here")

    checkpoint = apply(replay(up_to(JobState.ASSEMBLING)), chosen("av1-nvenc"))
    again = apply(checkpoint, chosen("av1-nvenc"))
    assert (again.encoder, len(again.segments)) == ("av1-nvenc", 4)
    other = apply(checkpoint, chosen("svt-av1"))
    assert (other.encoder, other.segments, other.attempts) == ("svt-av1", {}, ())
    assert other.plan == plan(4)
    assert other.analysis == checkpoint.analysis
    assert set(other.audio) == {1}
    assert apply(other, JobResumed(drapto_version="0.1.0")).encoder == "svt-av1"


def test_a_new_plan_keeps_the_finished_segments_that_it_still_holds() -> None:
    checkpoint = replay(up_to(JobState.ASSEMBLING))
    longer = apply(checkpoint, SegmentsPlanned(segments=plan(6)))
    assert set(longer.segments) == {0, 1, 2, 3}
    assert [s.index for s in longer.unfinished] == [4, 5]
    moved = apply(checkpoint, SegmentsPlanned(segments=plan(4, frames=20)))
    assert moved.segments == {}
    with pytest.raises(StateError, match="numbered from 0"):
        apply(checkpoint, SegmentsPlanned(segments=plan(4)[1:]))


@pytest.mark.parametrize(
    "entry",
    [
        SegmentDone(encoded=encoded(0)),
        audio_done(1),
        Discarded(what="segment", key=2, reason="missing"),
        Discarded(what="assembly", reason="missing"),
    ],
)
def test_a_new_or_lost_piece_drops_the_assembled_file(entry: JournalEntry) -> None:
    checkpoint = replay(up_to(JobState.PUBLISHING))
    assert checkpoint.assembly is not None
    assert checkpoint.publishing
    after = apply(checkpoint, entry)
    assert (after.assembly, after.validated, after.publishing) == (None, False, False)


def test_a_discarded_piece_alone_has_to_be_made_again() -> None:
    checkpoint = replay(up_to(JobState.ASSEMBLING))
    without = apply(checkpoint, Discarded(what="segment", key=2, reason="missing"))
    assert without.unfinished == (plan(4)[2],)
    assert set(without.audio) == {1}
    silent = apply(checkpoint, Discarded(what="audio", key=1, reason="missing"))
    assert (silent.audio, silent.unfinished) == ({}, ())


def test_a_failed_validation_drops_the_assembled_file() -> None:
    checkpoint = replay(up_to(JobState.VALIDATING))
    failed = apply(checkpoint, Validated(passed=False, failed_rows=2))
    assert (failed.assembly, len(failed.segments)) == (None, 4)
    with pytest.raises(StateError, match="Nothing has been assembled"):
        apply(failed, Validated(passed=True))


def test_what_is_published_is_the_assembled_file_from_then_on() -> None:
    output = identity().request.output
    published = Published(output=output, size_bytes=500)
    with pytest.raises(StateError, match="Nothing was being published"):
        apply(replay(up_to(JobState.VALIDATING)), published)
    checkpoint = apply(replay(up_to(JobState.PUBLISHING)), published)
    assert checkpoint.assembly is not None
    assert checkpoint.assembly.assembled.path == output
    assert checkpoint.published == published


def test_entries_survive_the_way_through_json() -> None:
    entries = up_to(JobState.DONE)
    assert [parse_entry(entry.model_dump(mode="json")) for entry in entries] == entries


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"entry": "job_paused"}, "job_paused"),
        ({}, "entry"),
        ({"entry": "probed", "index_digest": "d"}, "frames"),
        ({"entry": "probed", "index_digest": "d", "frames": 1, "mood": "good"}, "mood"),
    ],
)
def test_an_entry_of_another_shape_is_refused_with_its_place(
    raw: dict[str, object], said: str
) -> None:
    with pytest.raises(StateError, match=said):
        parse_entry(raw)


def test_the_summary_is_small_and_says_how_far_the_job_is() -> None:
    entries = up_to(JobState.ENCODING)
    summary = replay([*entries, SegmentDone(encoded=encoded(2))]).summary()
    assert summary["state"] == "encoding"
    assert (summary["segments"], summary["segments_done"]) == (4, 1)
    assert (summary["frames"], summary["frames_done"]) == (96, 24)
    assert summary["source"] == "/films/in.mkv"
    assert Checkpoint().summary()["settings_hash"] is None
