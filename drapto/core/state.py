"""What a job remembers: legal transitions, the journal, and how to go on after a kill.

    state = StateManager(FileJournal(work_dir))
    opened = await state.open(identity, verify=check_file)
    await state.enter(JobState.PROBING)
    await state.record(SegmentDone(encoded=encoded))
    await state.enter(JobState.DONE)

Promised: every entry is on the disk before `record` returns; the journal replayed is the state
that wrote it; any prefix of it is a state the job was in; nothing finished earlier is trusted
before it has been rechecked.

Contract test: tests/core/test_state.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from drapto.core.checkpoint import ENDED, Checkpoint, apply, replay
from drapto.core.entries import (
    Discarded,
    JobCreated,
    JobResumed,
    JournalEntry,
    Published,
    SourceFingerprint,
    Transition,
    parse_entry,
)
from drapto.core.errors import StateError
from drapto.core.identity import ENCODE_REVISION, changes, settings_hash
from drapto.core.interfaces import Journal
from drapto.core.job import JobRequest, JobState

Verifier = Callable[[Path, int, str], Awaitable[str | None]]
"""(path, size in bytes, blake2b-128 in hex) -> None if the file is that, else why not.

`infrastructure/fingerprint.py: check_file` is one. It must not raise for a bad file.
"""


@dataclass(frozen=True)
class JobIdentity:
    """What must be unchanged for a job to go on with what an earlier run left."""

    request: JobRequest
    source: SourceFingerprint
    ffmpeg_version: str
    drapto_version: str

    @property
    def settings_hash(self) -> str:
        return settings_hash(self.request.options, ffmpeg_version=self.ffmpeg_version)


@dataclass(frozen=True)
class Fresh:
    """The job starts from nothing. `reasons`: why not with what was there; empty if nothing was.

    Files of an earlier run are no longer mentioned anywhere: remove them (`WorkDir.reset`).
    """

    checkpoint: Checkpoint
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resumed:
    """The job goes on: everything in `checkpoint` has passed its recheck.

    `discarded` says in plain words what has to be made again. `already_published`: the run
    before was killed between the rename and the note of it; the output is in its place, and
    `checkpoint.assembly` names it as the assembled file.
    """

    checkpoint: Checkpoint
    discarded: tuple[str, ...] = ()
    already_published: bool = False


class StateManager:
    """One job's state. All of it on one event loop; `record` may be called concurrently."""

    def __init__(self, journal: Journal, *, now: Callable[[], datetime] | None = None) -> None:
        self._journal = journal
        self._now = now or (lambda: datetime.now(UTC))
        self._checkpoint = Checkpoint()
        self._journal_is_behind = False

    @property
    def checkpoint(self) -> Checkpoint:
        return self._checkpoint

    @property
    def state(self) -> JobState:
        return self._checkpoint.state

    async def open(
        self, identity: JobIdentity, *, verify: Verifier, resume: bool = True
    ) -> Fresh | Resumed:
        """Take up the journal, or begin a new one. To be called once, before anything else."""
        try:
            earlier = replay([parse_entry(raw) for raw in await self._journal.read()])
        except StateError as error:
            return await self._begin(identity, (f"The journal cannot be used: {error.message}",))
        if earlier.created is None:
            return await self._begin(identity, ())
        if not resume:
            return await self._begin(identity, ("Starting afresh was asked for.",))
        reasons = changes(
            earlier.created, identity.request.options, identity.source, identity.ffmpeg_version
        )
        if reasons:
            return await self._begin(identity, reasons)
        return await self._go_on(earlier, identity, verify)

    async def _begin(self, identity: JobIdentity, reasons: tuple[str, ...]) -> Fresh:
        await self._journal.discard()
        await self.record(
            JobCreated(
                source=identity.source,
                settings_hash=identity.settings_hash,
                request=identity.request,
                drapto_version=identity.drapto_version,
                ffmpeg_version=identity.ffmpeg_version,
                encode_revision=ENCODE_REVISION,
            )
        )
        return Fresh(checkpoint=self._checkpoint, reasons=reasons)

    async def _go_on(self, earlier: Checkpoint, identity: JobIdentity, verify: Verifier) -> Resumed:
        self._checkpoint = earlier
        await self.record(JobResumed(drapto_version=identity.drapto_version))
        assembly = earlier.assembly
        if assembly is not None and earlier.publishing:
            output = identity.request.output
            if await verify(output, assembly.size_bytes, assembly.digest) is None:
                await self.record(Published(output=output, size_bytes=assembly.size_bytes))
                return Resumed(checkpoint=self._checkpoint, already_published=True)
        discarded = await _bad_pieces(earlier, verify)
        for entry in discarded:
            await self.record(entry)
        return Resumed(
            checkpoint=self._checkpoint,
            discarded=tuple(f"{_name(entry)}, because {entry.reason}." for entry in discarded),
        )

    @property
    def _is_under_way(self) -> bool:
        return self._checkpoint.created is not None and self.state not in ENDED

    async def enter(self, state: JobState, reason: str = "") -> None:
        """Go to `state`. Errors: StateError if that is not the next one."""
        await self.record(Transition(to=state, reason=reason))

    async def fail(self, reason: str) -> None:
        """Note why the job failed. Does nothing if it has ended already or was never opened."""
        if self._is_under_way:
            await self.enter(JobState.FAILED, reason)

    async def interrupt(self, reason: str) -> None:
        """Note that the job was stopped from outside. Otherwise as `fail`."""
        if self._is_under_way:
            await self.enter(JobState.INTERRUPTED, reason)

    async def record(self, entry: JournalEntry) -> Checkpoint:
        """Append one entry; returns once it is on the disk.

        The state changes at once and in the order of the calls, which is also the order in the
        journal. Errors: StateError for an entry that is illegal now (nothing is written), and
        for every entry but failed and interrupted after one could not be written.
        """
        is_end = isinstance(entry, Transition) and entry.to in ENDED - {JobState.DONE}
        if self._journal_is_behind and not is_end:
            raise StateError("An earlier entry could not be written to the journal.")
        entry = entry.model_copy(update={"at": self._now()})
        self._checkpoint = apply(self._checkpoint, entry)
        try:
            await self._journal.append(entry.model_dump(mode="json"))
        except Exception:
            self._journal_is_behind = True
            raise
        await self._journal.write_checkpoint(self._checkpoint.summary())
        return self._checkpoint


async def may_be_published(journal: Journal) -> bool:
    """True if an earlier run got as far as publishing. Changes nothing."""
    try:
        return replay([parse_entry(raw) for raw in await journal.read()]).publishing
    except StateError:
        return False


async def _bad_pieces(checkpoint: Checkpoint, verify: Verifier) -> list[Discarded]:
    """Whatever does not pass its recheck. Behind a sound assembled file nothing else is needed."""
    bad = []
    assembly = checkpoint.assembly
    if assembly is not None:
        reason = await verify(assembly.assembled.path, assembly.size_bytes, assembly.digest)
        if reason is None:
            return []
        bad.append(Discarded(what="assembly", reason=reason))
    for index, segment in sorted(checkpoint.segments.items()):
        reason = await verify(segment.path, segment.size_bytes, segment.digest)
        if reason is not None:
            bad.append(Discarded(what="segment", key=index, reason=reason))
    for index, done in sorted(checkpoint.audio.items()):
        reason = await verify(done.audio.path, done.size_bytes, done.digest)
        if reason is not None:
            bad.append(Discarded(what="audio", key=index, reason=reason))
    return bad


def _name(entry: Discarded) -> str:
    return {
        "segment": f"segment {entry.key}",
        "audio": f"audio track {entry.key}",
        "assembly": "the assembled file",
    }[entry.what]
