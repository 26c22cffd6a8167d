"""The journal's entries: everything a job remembers, one typed JSON object a line.

Field by field, with examples, in `docs/state.md`. An entry's meaning never changes; a new
meaning is a new entry. What the entries add up to is `core/state.py`'s business.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from drapto.core.analysis import VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing
from drapto.core.errors import StateError
from drapto.core.job import JobRequest, JobState
from drapto.core.media import Value
from drapto.core.routing import Route
from drapto.core.segments import EncodedSegment, Segment
from drapto.core.tracks import Assembled, AudioTrackFile


class SourceFingerprint(Value):
    """What tells that a source is still the same file. Made by `infrastructure/fingerprint.py`."""

    size_bytes: int
    mtime_ns: int  # nanoseconds since 1970-01-01 UTC
    sample_digest: str  # blake2b-128 over samples of the head, the middle and the tail, hex


class _Entry(Value):
    at: datetime | None = None  # UTC; set when the entry is recorded, for people only


class JobCreated(_Entry):
    """The first line of every journal: what the rest of it is about."""

    entry: Literal["job_created"] = "job_created"
    source: SourceFingerprint
    settings_hash: str  # of everything that decides the bytes: see `core.state.settings_hash`
    request: JobRequest
    drapto_version: str
    ffmpeg_version: str
    encode_revision: int


class JobResumed(_Entry):
    """Another run goes on with this journal; the stages are gone through again from created."""

    entry: Literal["job_resumed"] = "job_resumed"
    drapto_version: str


class Transition(_Entry):
    entry: Literal["transition"] = "transition"
    to: JobState
    reason: str = ""  # why, for failed and interrupted


class RoutesSettled(_Entry):
    """Who serves each stage of this job; holds for every later run of it."""

    entry: Literal["routes_settled"] = "routes_settled"
    routes: tuple[Route, ...]


class EncoderChosen(_Entry):
    """The encoder that `encoder` auto came to; holds for every later run. Another one than before
    drops every segment: those of two encoders are no valid stream together."""

    entry: Literal["encoder_chosen"] = "encoder_chosen"
    encoder: str  # as in --encoder
    reason: str  # in words


class Probed(_Entry):
    """The frame index the plan counts in. A different index drops what was built on the old one."""

    entry: Literal["probed"] = "probed"
    index_digest: str  # FrameIndex.digest()
    frames: int


class AnalysisDone(_Entry):
    """A different analysis drops the plan and the segments built on the old one."""

    entry: Literal["analysis_done"] = "analysis_done"
    analysis: VideoAnalysis


class DeinterlacingSettled(_Entry):
    """How fields are put together; segments count what that makes of the frames.

    Not written where frames are taken as they are decoded.
    """

    entry: Literal["deinterlacing_settled"] = "deinterlacing_settled"
    deinterlacing: Deinterlacing


class SegmentsPlanned(_Entry):
    """The whole plan, replacing an earlier one. Finished segments it still holds are kept."""

    entry: Literal["segments_planned"] = "segments_planned"
    segments: tuple[Segment, ...]


class SegmentsAdded(_Entry):
    """Segments that are final while detection still runs, in order after those before them."""

    entry: Literal["segments_added"] = "segments_added"
    segments: tuple[Segment, ...]


class SegmentDone(_Entry):
    """`kept` false: an earlier encode of the segment is better, and the file of this one goes."""

    entry: Literal["segment_done"] = "segment_done"
    encoded: EncodedSegment
    kept: bool = True


class AudioDone(_Entry):
    """One encoded audio track, under its `source_index`."""

    entry: Literal["audio_done"] = "audio_done"
    audio: AudioTrackFile
    size_bytes: int
    digest: str  # blake2b-128 of the whole file, hex


class AssemblyDone(_Entry):
    """The finished container, not yet validated."""

    entry: Literal["assembly_done"] = "assembly_done"
    assembled: Assembled
    size_bytes: int
    digest: str  # blake2b-128 of the whole file, hex


class Validated(_Entry):
    """`passed` false drops the assembled file: the next run assembles anew."""

    entry: Literal["validated"] = "validated"
    passed: bool
    failed_rows: int = 0


class Published(_Entry):
    """The output is in its place: from now on it is what the assembled file was."""

    entry: Literal["published"] = "published"
    output: Path
    size_bytes: int


class Discarded(_Entry):
    """A finished piece will be made again: it did not pass its recheck on resume, or what it was
    made for does not hold any more."""

    entry: Literal["discarded"] = "discarded"
    what: Literal["segment", "audio", "assembly"]
    key: int = 0  # segment index, or stream index of the audio track; 0 for the assembly
    reason: str


JournalEntry = Annotated[
    JobCreated
    | JobResumed
    | Transition
    | RoutesSettled
    | EncoderChosen
    | Probed
    | AnalysisDone
    | DeinterlacingSettled
    | SegmentsPlanned
    | SegmentsAdded
    | SegmentDone
    | AudioDone
    | AssemblyDone
    | Validated
    | Published
    | Discarded,
    Field(discriminator="entry"),
]

_ADAPTER: TypeAdapter[JournalEntry] = TypeAdapter(JournalEntry)


def parse_entry(raw: dict[str, Any]) -> JournalEntry:
    """One journal line as a typed entry. Errors: StateError."""
    try:
        return _ADAPTER.validate_python(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise StateError(
            f"A journal entry makes no sense: {where or 'entry'}: {problem['msg']}."
        ) from error
