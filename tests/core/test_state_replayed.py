"""A journal replayed is the state that wrote it; any prefix of it is a state the job was in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from drapto.core.checkpoint import ORDER, Checkpoint, replay
from drapto.core.entries import (
    AnalysisDone,
    Discarded,
    JournalEntry,
    Probed,
    Published,
    SegmentDone,
    SegmentsPlanned,
    Transition,
    Validated,
    parse_entry,
)
from drapto.core.errors import StateError
from drapto.core.job import JobState
from drapto.core.state import Fresh, Resumed, StateManager
from drapto.infrastructure.journal import FileJournal
from tests.core.job_examples import (
    analysis,
    assembly_done,
    audio_done,
    encoded,
    identity,
    plan,
    trust,
)

ENTRIES: st.SearchStrategy[JournalEntry] = st.one_of(
    st.sampled_from([Transition(to=state) for state in ORDER[1:]]),
    st.sampled_from([Transition(to=state) for state in ORDER[1:]]),  # so that jobs get further
    st.sampled_from([JobState.FAILED, JobState.INTERRUPTED]).map(
        lambda state: Transition(to=state, reason="why\n"),
    ),
    st.builds(Probed, index_digest=st.sampled_from("ab"), frames=st.just(96)),
    st.sampled_from([95, 96]).map(lambda frames: AnalysisDone(analysis=analysis(frames))),
    st.integers(0, 4).map(lambda count: SegmentsPlanned(segments=plan(count))),
    st.integers(0, 4).map(lambda index: SegmentDone(encoded=encoded(index))),
    st.integers(1, 2).map(audio_done),
    st.integers(0, 1).map(lambda mark: assembly_done(mark=mark)),
    st.booleans().map(lambda passed: Validated(passed=passed)),
    st.just(Published(output=Path("/films/out.mkv"), size_bytes=500)),
    st.builds(
        Discarded,
        what=st.sampled_from(["segment", "audio", "assembly"]),
        key=st.integers(0, 4),
        reason=st.text(max_size=5),
    ),
)


async def write_job(folder: Path, runs: list[list[JournalEntry]]) -> list[Checkpoint]:
    """Try every entry, run by run; the state after each that was legal."""
    history = [Checkpoint()]
    for run in runs:
        state = StateManager(FileJournal(folder))
        await state.open(identity(), verify=trust)
        history.append(state.checkpoint)
        for entry in run:
            # A job that gets nowhere tests little: make room for the entry where it has one.
            if isinstance(entry, Transition) and entry.to in ORDER[2:] and state.state in ORDER:
                entry = Transition(to=ORDER[min(ORDER.index(state.state) + 1, len(ORDER) - 1)])
            try:
                history.append(await state.record(entry))
            except StateError:
                continue
    return history


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(st.lists(ENTRIES, max_size=30), min_size=1, max_size=2),
    cut=st.floats(0, 1),
)
def test_a_journal_replayed_is_the_state_that_wrote_it_and_a_torn_one_an_earlier_state(
    runs: list[list[JournalEntry]], cut: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        history = anyio.run(write_job, folder, runs)
        journal = FileJournal(folder)
        assert replay(map(parse_entry, anyio.run(journal.read))) == history[-1]

        data = journal.path.read_bytes()
        torn = data[: round(cut * len(data))]
        journal.path.write_bytes(torn)
        assert replay(map(parse_entry, anyio.run(journal.read))) == history[torn.count(b"\n")]

        # And the next run goes on from there as if nothing had been torn.
        opened = anyio.run(lambda: StateManager(journal).open(identity(), verify=trust))
        assert isinstance(opened, Resumed if torn.count(b"\n") else Fresh)


def test_the_property_reaches_every_state(tmp_path: Path) -> None:
    """Guards the property above against a generator that never gets a job done."""
    steps: list[JournalEntry] = [
        Transition(to=JobState.PROBING),
        Probed(index_digest="a", frames=96),
        *(Transition(to=state) for state in ORDER[2:]),
    ]
    history = anyio.run(write_job, tmp_path, [steps])
    assert {checkpoint.state for checkpoint in history} == set(ORDER)
