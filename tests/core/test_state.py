"""The state manager over a real journal on a real disk."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drapto.core.checkpoint import ORDER, replay
from drapto.core.entries import (
    AnalysisDone,
    Probed,
    SegmentDone,
    SegmentsPlanned,
    Validated,
    parse_entry,
)
from drapto.core.errors import ResourceError, StateError
from drapto.core.identity import ENCODE_REVISION
from drapto.core.job import EncodeOptions, JobState, RunOptions
from drapto.core.segments import EncodedSegment
from drapto.core.state import Fresh, JobIdentity, Resumed, StateManager
from drapto.infrastructure.fingerprint import check_file, file_digest
from drapto.infrastructure.journal import FileJournal
from tests.core.job_examples import (
    analysis,
    assembly_done,
    identity,
    plan,
    segment,
    trust,
)


async def real_segment(folder: Path, index: int) -> EncodedSegment:
    path = folder / f"{index:05d}.mkv"
    path.write_bytes(b"frames of " + str(index).encode())
    return EncodedSegment(
        segment=segment(index),
        path=path,
        frames=24,
        size_bytes=path.stat().st_size,
        digest=await file_digest(path),
    )


async def encode_segments(folder: Path, who: JobIdentity, count: int) -> None:
    """A run that is killed while encoding, `count` of 4 segments done."""
    state = StateManager(FileJournal(folder))
    await state.open(who, verify=check_file)
    await state.enter(JobState.PROBING)
    await state.record(Probed(index_digest="d1", frames=96))
    await state.enter(JobState.DETECTING)
    await state.record(AnalysisDone(analysis=analysis()))
    await state.enter(JobState.SEGMENTING)
    await state.record(SegmentsPlanned(segments=plan(4)))
    await state.enter(JobState.ENCODING)
    for index in range(count):
        await state.record(SegmentDone(encoded=await real_segment(folder, index)))


async def assemble(folder: Path, who: JobIdentity) -> StateManager:
    """A run that is killed while publishing. The assembled file is `assembled.mkv`."""
    await encode_segments(folder, who, 4)
    state = StateManager(FileJournal(folder))
    await state.open(who, verify=check_file)
    for step in ORDER[1:6]:
        await state.enter(step)
    path = folder / "assembled.mkv"
    path.write_bytes(b"the whole film")
    done = assembly_done(path).model_copy(
        update={"size_bytes": path.stat().st_size, "digest": await file_digest(path)}
    )
    await state.record(done)
    await state.enter(JobState.VALIDATING)
    await state.record(Validated(passed=True))
    await state.enter(JobState.PUBLISHING)
    return state


async def test_a_job_without_a_journal_starts_afresh_without_a_reason(tmp_path: Path) -> None:
    opened = await StateManager(FileJournal(tmp_path)).open(identity(), verify=trust)
    assert isinstance(opened, Fresh)
    assert opened.reasons == ()
    assert opened.checkpoint.created is not None
    assert opened.checkpoint.created.encode_revision == ENCODE_REVISION


async def test_a_killed_job_goes_on_from_its_last_finished_segment(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 3)
    opened = await StateManager(FileJournal(tmp_path)).open(identity(), verify=check_file)
    assert isinstance(opened, Resumed)
    assert opened.discarded == ()
    assert opened.checkpoint.unfinished == (segment(3),)
    assert opened.checkpoint.state is JobState.CREATED
    assert opened.checkpoint.runs == 2
    assert opened.checkpoint.analysis == analysis()


async def test_a_segment_file_that_changed_is_encoded_again_and_named(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 4)
    (tmp_path / "00000.mkv").unlink()
    (tmp_path / "00001.mkv").write_bytes(b"cut")
    (tmp_path / "00002.mkv").write_bytes(b"frames of X")
    opened = await StateManager(FileJournal(tmp_path)).open(identity(), verify=check_file)
    assert isinstance(opened, Resumed)
    assert opened.discarded == (
        "segment 0, because 00000.mkv is missing.",
        "segment 1, because 00001.mkv has 3 bytes instead of 11.",
        "segment 2, because 00002.mkv has other content than when it was finished.",
    )
    assert opened.checkpoint.unfinished == plan(3)
    # and the third run knows it without looking
    again = await StateManager(FileJournal(tmp_path)).open(identity(), verify=check_file)
    assert isinstance(again, Resumed)
    assert (again.discarded, again.checkpoint.unfinished) == ((), plan(3))


async def test_changed_settings_start_afresh_and_say_so(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 2)
    changed = identity(options=EncodeOptions(crf=20))
    opened = await StateManager(FileJournal(tmp_path)).open(changed, verify=check_file)
    assert isinstance(opened, Fresh)
    assert opened.reasons == ("CRF was automatic, now 20.",)
    assert (opened.checkpoint.plan, opened.checkpoint.segments) == (None, {})
    entries = await FileJournal(tmp_path).read()
    assert [entry["entry"] for entry in entries] == ["job_created"]


async def test_how_a_job_is_run_does_not_start_it_afresh(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 2)
    other_run = identity(run=RunOptions(workers=1, memory_bytes=1, keep_work=True, overwrite=True))
    opened = await StateManager(FileJournal(tmp_path)).open(other_run, verify=check_file)
    assert isinstance(opened, Resumed)
    assert len(opened.checkpoint.segments) == 2


async def test_no_resume_starts_afresh(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 2)
    state = StateManager(FileJournal(tmp_path))
    opened = await state.open(identity(), verify=check_file, resume=False)
    assert isinstance(opened, Fresh)
    assert opened.reasons == ("Starting afresh was asked for.",)


async def test_a_journal_damaged_in_the_middle_starts_afresh_and_is_kept(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 2)
    journal = FileJournal(tmp_path)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:3], b"\0" * 20 + b"\n", *lines[4:]])
    journal.path.write_bytes(damaged)
    opened = await StateManager(journal).open(identity(), verify=check_file)
    assert isinstance(opened, Fresh)
    assert "Line 4" in opened.reasons[0]
    assert (tmp_path / "journal.discarded.jsonl").read_bytes() == damaged


async def test_a_journal_of_an_unknown_kind_starts_afresh(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 1)
    await FileJournal(tmp_path).append({"entry": "from_the_future"})
    await FileJournal(tmp_path).append({"entry": "transition", "to": "failed"})
    opened = await StateManager(FileJournal(tmp_path)).open(identity(), verify=check_file)
    assert isinstance(opened, Fresh)
    assert "from_the_future" in opened.reasons[0]


async def test_behind_a_sound_assembled_file_the_segments_may_be_gone(tmp_path: Path) -> None:
    await assemble(tmp_path, identity())
    for path in tmp_path.glob("0000*.mkv"):
        path.unlink()
    opened = await StateManager(FileJournal(tmp_path)).open(identity(), verify=check_file)
    assert isinstance(opened, Resumed)
    assert opened.discarded == ()
    assert opened.checkpoint.assembly is not None
    assert opened.checkpoint.validated
    assert not opened.already_published


async def test_a_damaged_assembled_file_is_made_again_from_its_segments(tmp_path: Path) -> None:
    await assemble(tmp_path, identity())
    (tmp_path / "assembled.mkv").write_bytes(b"the whole f")
    opened = await StateManager(FileJournal(tmp_path)).open(identity(), verify=check_file)
    assert isinstance(opened, Resumed)
    assert opened.discarded == (
        "the assembled file, because assembled.mkv has 11 bytes instead of 14.",
    )
    assert opened.checkpoint.assembly is None
    assert opened.checkpoint.unfinished == ()


async def test_a_job_killed_right_after_its_rename_knows_that_it_is_published(
    tmp_path: Path,
) -> None:
    who = identity(output=tmp_path / "out.mkv")
    await assemble(tmp_path, who)
    (tmp_path / "assembled.mkv").rename(tmp_path / "out.mkv")
    opened = await StateManager(FileJournal(tmp_path)).open(who, verify=check_file)
    assert isinstance(opened, Resumed)
    assert opened.already_published
    assert opened.checkpoint.assembly is not None
    assert opened.checkpoint.assembly.assembled.path == tmp_path / "out.mkv"
    again = await StateManager(FileJournal(tmp_path)).open(who, verify=check_file)
    assert isinstance(again, Resumed)
    assert again.already_published
    (tmp_path / "out.mkv").unlink()  # and if it is taken away, it is made again
    last = await StateManager(FileJournal(tmp_path)).open(who, verify=check_file)
    assert isinstance(last, Resumed)
    assert not last.already_published
    assert last.discarded == ("the assembled file, because out.mkv is missing.",)
    assert last.checkpoint.unfinished == ()


async def test_a_strangers_file_in_the_outputs_place_is_not_taken_for_ours(tmp_path: Path) -> None:
    who = identity(output=tmp_path / "out.mkv")
    await assemble(tmp_path, who)
    (tmp_path / "out.mkv").write_bytes(b"somebody else!")
    opened = await StateManager(FileJournal(tmp_path)).open(who, verify=check_file)
    assert isinstance(opened, Resumed)
    assert not opened.already_published
    assert opened.checkpoint.assembly is not None


async def test_an_illegal_entry_changes_nothing(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    state = StateManager(journal)
    await state.open(identity(), verify=trust)
    before, written = state.checkpoint, journal.path.read_bytes()
    with pytest.raises(StateError):
        await state.enter(JobState.ENCODING)
    assert state.checkpoint == before
    assert journal.path.read_bytes() == written


async def test_the_end_of_a_job_is_noted_once_with_its_reason(tmp_path: Path) -> None:
    state = StateManager(FileJournal(tmp_path))
    await state.open(identity(), verify=trust)
    await state.fail("the disk is full")
    await state.interrupt("SIGINT")
    assert (state.state, state.checkpoint.reason) == (JobState.FAILED, "the disk is full")
    opened = await StateManager(FileJournal(tmp_path)).open(identity(), verify=trust)
    assert isinstance(opened, Resumed)


async def test_entries_carry_the_time_of_their_writing(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    await StateManager(journal, now=lambda: noon).open(identity(), verify=trust)
    assert (await journal.read())[0]["at"] == "2026-01-02T12:00:00Z"


async def test_paths_that_are_no_unicode_come_back_as_they_were(tmp_path: Path) -> None:
    odd = identity(output=Path("/films/caf\udce9 ☕\n.mkv"))
    await StateManager(FileJournal(tmp_path)).open(odd, verify=trust)
    opened = await StateManager(FileJournal(tmp_path)).open(odd, verify=trust)
    assert isinstance(opened, Resumed)
    assert opened.checkpoint.created is not None
    assert opened.checkpoint.created.request.output == odd.request.output


class FullDisk(FileJournal):
    """A journal whose disk is full for a while: no test can fill one at the right moment."""

    is_full = False

    async def append(self, entry: dict[str, Any]) -> None:
        if self.is_full:
            raise ResourceError("no space left")
        await super().append(entry)


async def test_after_a_lost_entry_only_the_end_of_the_job_is_noted(tmp_path: Path) -> None:
    journal = FullDisk(tmp_path)
    state = StateManager(journal)
    await state.open(identity(), verify=trust)
    await state.enter(JobState.PROBING)
    journal.is_full = True
    with pytest.raises(ResourceError):
        await state.enter(JobState.DETECTING)
    journal.is_full = False
    with pytest.raises(StateError, match="could not be written"):
        await state.record(AnalysisDone(analysis=analysis()))
    await state.fail("no space left")
    replayed = replay(parse_entry(raw) for raw in await FileJournal(tmp_path).read())
    assert replayed.state is JobState.FAILED


async def test_the_checkpoint_file_follows_the_journal(tmp_path: Path) -> None:
    await encode_segments(tmp_path, identity(), 2)
    assert '"segments_done": 2' in (tmp_path / "checkpoint.json").read_text()
