"""What the journal's entries add up to. Pure: `replay(entries)` is the state that wrote them.

An entry that replaces an earlier fact by a different one drops what was built on the old one:
a different frame index drops the analysis, a different analysis drops the plan and how fields are
put together, which drops the plan, too; a different encoder drops the segments, a different plan
those it no longer holds, a new segment or audio track drops the assembled file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from drapto.core.analysis import VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing
from drapto.core.entries import (
    AnalysisDone,
    AssemblyDone,
    AudioDone,
    DeinterlacingSettled,
    Discarded,
    EncoderChosen,
    JobCreated,
    JobResumed,
    JournalEntry,
    Probed,
    Published,
    RoutesSettled,
    SegmentDone,
    SegmentsAdded,
    SegmentsPlanned,
    Transition,
    Validated,
)
from drapto.core.errors import StateError
from drapto.core.job import JobState
from drapto.core.routing import Route
from drapto.core.segments import EncodedSegment, Segment

ORDER = (
    JobState.CREATED,
    JobState.PROBING,
    JobState.DETECTING,
    JobState.SEGMENTING,
    JobState.ENCODING,
    JobState.ASSEMBLING,
    JobState.VALIDATING,
    JobState.PUBLISHING,
    JobState.DONE,
)
ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.INTERRUPTED})

# Segments may be planned and encoded, and audio encoded, while detection still runs.
_EARLIEST: Mapping[type, JobState] = {
    RoutesSettled: JobState.CREATED,
    EncoderChosen: JobState.PROBING,
    Probed: JobState.PROBING,
    AudioDone: JobState.PROBING,
    AnalysisDone: JobState.DETECTING,
    DeinterlacingSettled: JobState.DETECTING,
    SegmentsPlanned: JobState.DETECTING,
    SegmentsAdded: JobState.DETECTING,
    SegmentDone: JobState.DETECTING,
    AssemblyDone: JobState.ASSEMBLING,
    Validated: JobState.VALIDATING,
    Published: JobState.CREATED,  # once publishing has begun, also by the run that finds it done
    Discarded: JobState.CREATED,
}


@dataclass(frozen=True)
class Checkpoint:
    """Everything a job remembers. None: not known yet."""

    created: JobCreated | None = None
    state: JobState = JobState.CREATED
    reason: str = ""  # why the last run failed or was interrupted
    runs: int = 0  # how often the job was started or resumed
    entries: int = 0
    routes: tuple[Route, ...] | None = None
    encoder: str | None = None  # None: it was asked for by name
    probed: Probed | None = None
    analysis: VideoAnalysis | None = None
    deinterlacing: Deinterlacing | None = None
    plan: tuple[Segment, ...] | None = None
    plan_is_whole: bool = False  # False while segments are still being added to it
    segments: Mapping[int, EncodedSegment] = field(default_factory=dict)  # by segment index
    attempts: tuple[EncodedSegment, ...] = ()  # all encodes of `segments`, also those not kept
    audio: Mapping[int, AudioDone] = field(default_factory=dict)  # by source stream index
    assembly: AssemblyDone | None = None
    validated: bool = False
    publishing: bool = False  # publishing of this assembly has begun: the output may be there
    published: Published | None = None

    @property
    def unfinished(self) -> tuple[Segment, ...]:
        """Segments of the plan that still have to be encoded."""
        return tuple(s for s in self.plan or () if s.index not in self.segments)

    def summary(self) -> dict[str, Any]:
        """What `checkpoint.json` says: small, for people and programs that look from outside."""
        request = self.created.request if self.created else None
        return {
            "state": self.state.value,
            "reason": self.reason,
            "runs": self.runs,
            "entries": self.entries,
            "source": str(request.source) if request else None,
            "output": str(request.output) if request else None,
            "settings_hash": self.created.settings_hash if self.created else None,
            "frames": self.probed.frames if self.probed else None,
            "frames_done": sum(s.frames for s in self.segments.values()),
            "segments": len(self.plan) if self.plan is not None else None,
            "segments_done": len(self.segments),
            "video_bytes": sum(s.size_bytes for s in self.segments.values()),
            "audio_tracks_done": sorted(self.audio),
            "assembled": self.assembly is not None,
            "validated": self.validated,
            "published": self.published is not None,
        }


def replay(entries: Iterable[JournalEntry]) -> Checkpoint:
    """The state that wrote these entries. Errors: StateError for an entry that is illegal."""
    checkpoint = Checkpoint()
    for entry in entries:
        checkpoint = apply(checkpoint, entry)
    return checkpoint


def apply(checkpoint: Checkpoint, entry: JournalEntry) -> Checkpoint:
    """The state after one more entry. Errors: StateError if it is illegal in this state."""
    _check_legal(checkpoint, entry)
    counted = replace(checkpoint, entries=checkpoint.entries + 1)
    match entry:
        case JobCreated():
            return replace(counted, created=entry, runs=1)
        case JobResumed():
            return replace(counted, state=JobState.CREATED, reason="", runs=counted.runs + 1)
        case Transition():
            return _transition(counted, entry)
        case RoutesSettled():
            return replace(counted, routes=entry.routes)
        case EncoderChosen():
            return _encoder_chosen(counted, entry)
        case Probed() if counted.probed is None or _same_index(counted.probed, entry):
            return replace(counted, probed=entry)
        case Probed():
            return replace(_without_video(counted), probed=entry, analysis=None, deinterlacing=None)
        case AnalysisDone() if counted.analysis == entry.analysis:
            return counted
        case AnalysisDone() if counted.analysis is None:
            return replace(counted, analysis=entry.analysis)
        case AnalysisDone():
            return replace(_without_video(counted), analysis=entry.analysis, deinterlacing=None)
        case DeinterlacingSettled() if counted.deinterlacing == entry.deinterlacing:
            return counted
        case DeinterlacingSettled():
            return replace(_without_video(counted), deinterlacing=entry.deinterlacing)
        case SegmentsPlanned():
            return _planned(counted, entry)
        case SegmentsAdded():
            return _added(counted, entry)
        case SegmentDone():
            return _segment_done(counted, entry.encoded, kept=entry.kept)
        case AudioDone():
            audio = {**counted.audio, entry.audio.source_index: entry}
            return replace(_without_assembly(counted), audio=audio)
        case AssemblyDone():
            return replace(_without_assembly(counted), assembly=entry)
        case Validated():
            return _validated(counted, entry)
        case Published():
            return _published(counted, entry)
        case Discarded():
            return _discarded(counted, entry)


def _check_legal(checkpoint: Checkpoint, entry: JournalEntry) -> None:
    if isinstance(entry, JobCreated) != (checkpoint.created is None):
        raise StateError("A journal begins with job_created, once.")
    earliest = _EARLIEST.get(type(entry))
    if earliest is None:
        return
    state = checkpoint.state
    if state in ENDED or ORDER.index(state) < ORDER.index(earliest):
        raise StateError(f"{entry.entry} cannot be recorded while the job is {state}.")


def _transition(checkpoint: Checkpoint, entry: Transition) -> Checkpoint:
    state = checkpoint.state
    if entry.to in (JobState.FAILED, JobState.INTERRUPTED):
        legal = state not in ENDED
    else:
        legal = state not in ENDED and ORDER[ORDER.index(state) + 1] is entry.to
    if not legal:
        raise StateError(f"A job that is {state} cannot become {entry.to}.")
    publishing = checkpoint.publishing or entry.to is JobState.PUBLISHING
    return replace(checkpoint, state=entry.to, reason=entry.reason, publishing=publishing)


def _encoder_chosen(checkpoint: Checkpoint, entry: EncoderChosen) -> Checkpoint:
    if checkpoint.encoder not in (None, entry.encoder):
        checkpoint = replace(_without_assembly(checkpoint), segments={}, attempts=())
    return replace(checkpoint, encoder=entry.encoder)


def _planned(checkpoint: Checkpoint, entry: SegmentsPlanned) -> Checkpoint:
    if [segment.index for segment in entry.segments] != list(range(len(entry.segments))):
        raise StateError("The segments of a plan must be numbered from 0, in order.")
    kept = {
        segment.index: checkpoint.segments[segment.index]
        for segment in entry.segments
        if segment.index in checkpoint.segments
        and checkpoint.segments[segment.index].segment == segment
    }
    if entry.segments != checkpoint.plan:
        checkpoint = _without_assembly(checkpoint)
    attempts = _attempts_of(checkpoint, kept)
    return replace(
        checkpoint, plan=entry.segments, plan_is_whole=True, segments=kept, attempts=attempts
    )


def _added(checkpoint: Checkpoint, entry: SegmentsAdded) -> Checkpoint:
    """The plan up to the first of the added ones, and these. A rerun adds the same ones again."""
    first = entry.segments[0].index if entry.segments else 0
    before = checkpoint.plan or ()
    if not 0 <= first <= len(before):
        raise StateError(f"Segment {first} is added to a plan of {len(before)}.")
    plan = SegmentsPlanned(segments=(*before[:first], *entry.segments))
    if before[: len(plan.segments)] == plan.segments:
        return checkpoint
    return replace(_planned(checkpoint, plan), plan_is_whole=False)


def _segment_done(checkpoint: Checkpoint, encoded: EncodedSegment, *, kept: bool) -> Checkpoint:
    index = encoded.segment.index
    plan = checkpoint.plan or ()
    if not 0 <= index < len(plan) or plan[index] != encoded.segment:
        raise StateError(f"Segment {index} is not in the plan as it was encoded.")
    if encoded.frames != encoded.segment.frames:
        raise StateError(
            f"Segment {index} has {encoded.frames} frames instead of {encoded.segment.frames}."
        )
    checkpoint = replace(checkpoint, attempts=(*checkpoint.attempts, encoded))
    if not kept:
        return checkpoint
    segments = {**checkpoint.segments, index: encoded}
    return replace(_without_assembly(checkpoint), segments=segments)


def _validated(checkpoint: Checkpoint, entry: Validated) -> Checkpoint:
    if checkpoint.assembly is None:
        raise StateError("Nothing has been assembled that could be validated.")
    if not entry.passed:
        return _without_assembly(checkpoint)
    return replace(checkpoint, validated=True)


def _published(checkpoint: Checkpoint, entry: Published) -> Checkpoint:
    """From now on the assembled file is the output."""
    if checkpoint.assembly is None or not checkpoint.publishing:
        raise StateError("Nothing was being published.")
    file = checkpoint.assembly.assembled.model_copy(update={"path": entry.output})
    assembly = checkpoint.assembly.model_copy(update={"assembled": file})
    return replace(checkpoint, published=entry, assembly=assembly)


def _discarded(checkpoint: Checkpoint, entry: Discarded) -> Checkpoint:
    without = _without_assembly(checkpoint)
    if entry.what == "segment":
        segments = {k: v for k, v in checkpoint.segments.items() if k != entry.key}
        return replace(without, segments=segments, attempts=_attempts_of(without, segments))
    if entry.what == "audio":
        audio = {k: v for k, v in checkpoint.audio.items() if k != entry.key}
        return replace(without, audio=audio)
    return without


def _same_index(before: Probed, now: Probed) -> bool:
    return (before.index_digest, before.frames) == (now.index_digest, now.frames)


def _without_assembly(checkpoint: Checkpoint) -> Checkpoint:
    return replace(checkpoint, assembly=None, validated=False, publishing=False, published=None)


def _without_video(checkpoint: Checkpoint) -> Checkpoint:
    return replace(
        _without_assembly(checkpoint), plan=None, plan_is_whole=False, segments={}, attempts=()
    )


def _attempts_of(
    checkpoint: Checkpoint, segments: Mapping[int, EncodedSegment]
) -> tuple[EncodedSegment, ...]:
    return tuple(done for done in checkpoint.attempts if done.segment.index in segments)
