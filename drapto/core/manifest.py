"""The manifest: the source against the output, row by row. Field by field in `docs/manifest.md`."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from drapto.core.errors import ValidationFailedError
from drapto.core.job import TrackOutcome
from drapto.core.json_text import dumps, loads
from drapto.core.media import Value
from drapto.core.quality import FilmQuality, SegmentQuality
from drapto.core.segments import EncodedSegment, VideoSettings
from drapto.core.words import count

MANIFEST_VERSION = 1
"""Goes up when a field changes its meaning or goes away; not when one is added."""

_ROWS_IN_MESSAGE = 8


class RowOutcome(StrEnum):
    """`named`: a difference that is known, allowed and told to the user; it fails nothing."""

    PASS = "pass"
    FAIL = "fail"
    NAMED = "named"


class ManifestRow(Value):
    """One comparison. `check` is one of the names in `docs/manifest.md`."""

    check: str
    subject: str  # 'video', 'audio 1 (eng)', 'chapter 2', 'file'
    expected: str
    actual: str
    tolerance: str = ""  # empty: exact
    outcome: RowOutcome
    note: str = ""

    def __str__(self) -> str:
        allowed = f" (allowed: {self.tolerance})" if self.tolerance else ""
        note = f"; {self.note}" if self.note else ""
        return (
            f"{self.check} of {self.subject}: expected {self.expected}{allowed}, "
            f"found {self.actual}{note}"
        )


class SegmentRecord(Value):
    """How one segment of the output came about."""

    index: int
    start_frame: int
    end_frame: int  # exclusive
    frames: int  # counted by decoding
    size_bytes: int
    digest: str
    attempt: int
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    crf: float | None = None  # None: that of `settings`
    quality: SegmentQuality | None = None  # None: not measured

    @classmethod
    def of(cls, encoded: EncodedSegment) -> SegmentRecord:
        return cls(
            index=encoded.segment.index,
            start_frame=encoded.segment.start,
            end_frame=encoded.segment.end,
            frames=encoded.frames,
            size_bytes=encoded.size_bytes,
            digest=encoded.digest,
            attempt=encoded.attempt,
            wall_s=encoded.wall_s,
            cpu_s=encoded.cpu_s,
            peak_rss_bytes=encoded.peak_rss_bytes,
            crf=encoded.crf,
            quality=encoded.quality,
        )


class StageTime(Value):
    """How long one stage took in the run that finished the job; stages may overlap."""

    stage: str
    wall_s: float


class Manifest(Value):
    """What `manifest.json` holds."""

    manifest_version: int = MANIFEST_VERSION
    drapto_version: str
    created: str  # UTC, ISO 8601
    source: Path
    output: Path
    source_bytes: int
    output_bytes: int
    settings: VideoSettings
    shift_s: float  # output time minus source time of the same moment, one for the whole file
    rows: tuple[ManifestRow, ...]
    tracks: tuple[TrackOutcome, ...] = ()
    segments: tuple[SegmentRecord, ...] = ()
    quality: FilmQuality | None = None  # None: not measured
    stages: tuple[StageTime, ...] = ()
    cuts: tuple[int, ...] = ()  # first frame of every scene but the first
    frame_rate: Fraction | None = None  # nominal, of the output

    @property
    def ok(self) -> bool:
        """True if no row failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[ManifestRow, ...]:
        return self._with(RowOutcome.FAIL)

    @property
    def named(self) -> tuple[ManifestRow, ...]:
        return self._with(RowOutcome.NAMED)

    def to_json(self) -> str:
        """The text of `manifest.json`, with `ok` added for those who only want to know that."""
        data = {"ok": self.ok, **self.model_dump(mode="json")}
        return dumps(data, indent=2, ascii_only=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The manifest that `to_json` wrote. Errors: ValueError."""
        data = loads(text)
        if isinstance(data, dict):
            data.pop("ok", None)
        return cls.model_validate(data)

    def raise_if_failed(self) -> None:
        """Raise ValidationFailedError, naming the failed rows, if there are any."""
        if self.ok:
            return
        shown = "; ".join(str(row) for row in self.failed[:_ROWS_IN_MESSAGE])
        more = len(self.failed) - _ROWS_IN_MESSAGE
        rest = f"; and {more} more" if more > 0 else ""
        raise ValidationFailedError(
            f"The output for {self.source} does not match it in {len(self.failed)} of "
            f"{count(len(self.rows), 'check')}: {shown}{rest}.",
            hint="The file was kept in the work directory and nothing was published.",
        )

    def _with(self, outcome: RowOutcome) -> tuple[ManifestRow, ...]:
        return tuple(row for row in self.rows if row.outcome is outcome)
