"""Validation: proves that the output is the source, re-encoded. Pure comparison of facts.

Promised: everything is judged from what was read back from the finished file, never from what
the writer was told; every track, chapter and attachment of the source is either compared or
named with the reason why not; a row that fails says what was expected and what was found.

    source_facts = await collect_facts(
        source, streams=tracks_to_read(plan), media=media)
    output_facts = await collect_facts(finished)
    manifest = Validator().validate(
        video=video, plan=plan, settings=settings,
        source_facts=source_facts, output_facts=output_facts, segments=encoded)
    manifest.raise_if_failed()

Tests: tests/services/validation/, on real files, one broken on purpose for every check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from drapto._version import __version__
from drapto.core.analysis import ShapeChange
from drapto.core.dynamic_metadata import ComparedMetadata
from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.manifest import Manifest, ManifestRow, SegmentRecord
from drapto.core.media import Track, TrackKind
from drapto.core.segments import EncodedSegment, VideoSettings
from drapto.core.source import SourceVideo
from drapto.core.tracks import MuxPlan
from drapto.services.validation.dynamic import dynamic_rows
from drapto.services.validation.extras import (
    attachment_rows,
    chapter_rows,
    cover_rows,
    tag_rows,
)
from drapto.services.validation.matching import Matching, match_tracks
from drapto.services.validation.picture import colour_rows, picture_rows, shape_rows
from drapto.services.validation.rows import equal, named, row, seconds, subject_of
from drapto.services.validation.sound import SoundPair, sound_rows
from drapto.services.validation.subtitles import SubtitlePair, subtitle_rows
from drapto.services.validation.timestamps import deinterlacing_rows, shift_s, video_rows
from drapto.services.validation.tracks import list_rows, track_rows


def tracks_to_read(plan: MuxPlan) -> tuple[int, ...]:
    """The source's stream indices whose packets `validate` compares: all kept but the video."""
    return tuple(entry.source.index for entry in plan.tracks)


class Validator:
    """Compares what the source is with what the output was found to be."""

    def validate(
        self,
        *,
        video: SourceVideo,
        plan: MuxPlan,
        settings: VideoSettings,
        source_facts: FileFacts,
        output_facts: FileFacts,
        metadata: ComparedMetadata | None = None,
        segments: Sequence[EncodedSegment] = (),
        shape_changes: Sequence[ShapeChange] = (),
        output: Path | None = None,
        created: datetime | None = None,
    ) -> Manifest:
        """Every row of the manifest. Raises nothing: look at `ok` or call `raise_if_failed`.

        `source_facts` must hold the tracks that `tracks_to_read` names. `output` is the final
        name, where the checked file still has another one. `metadata` is what both sides' frames
        carry; it may be None only where `settings` let nothing be carried.
        """
        comparison = _Comparison(
            video, plan, settings, source_facts, output_facts, metadata, tuple(shape_changes)
        )
        return Manifest(
            drapto_version=__version__,
            created=(created or datetime.now(UTC)).isoformat(timespec="seconds"),
            source=video.origin.path,
            output=output or output_facts.media.path,
            source_bytes=video.origin.size_bytes,
            output_bytes=output_facts.media.size_bytes,
            settings=settings,
            shift_s=comparison.shift_s,
            rows=tuple(comparison.rows()),
            tracks=plan.outcomes,
            segments=tuple(SegmentRecord.of(segment) for segment in segments),
        )


class _Comparison:
    """One validation: the facts of both sides, and the moment from which times are counted."""

    def __init__(
        self,
        video: SourceVideo,
        plan: MuxPlan,
        settings: VideoSettings,
        source: FileFacts,
        output: FileFacts,
        metadata: ComparedMetadata | None,
        shape_changes: tuple[ShapeChange, ...],
    ) -> None:
        self.video, self.plan, self.settings = video, plan, settings
        self.source, self.output, self.metadata = source, output, metadata
        self.shape_changes = shape_changes
        self.matching: Matching = match_tracks(plan.tracks, source, output)
        self.picture = self._facts_of(self.matching.video)
        late_s = float(video.late_s)
        self.source_zero_s = _start_s(video) - late_s
        shift = shift_s(video.index, self.picture) if self.picture is not None else 0.0
        self.shift_s = shift + late_s
        self.output_zero_s = self.source_zero_s + self.shift_s

    def rows(self) -> Iterator[ManifestRow]:
        yield from self._reading_rows()
        yield from self._clock_rows()
        if not self.output.media.tracks:
            return  # nothing could be read, and that has been said
        yield from self._video_rows()
        yield from list_rows(self.source, self.plan, self.matching)
        yield from track_rows(self.plan, self.matching, self.source, self.output)
        yield from self._timing_rows()
        origin, found = self.video.origin, self.output.media
        yield from chapter_rows(origin, found, self.plan, self.shift_s)
        yield from attachment_rows(origin, found, self.plan)
        yield from cover_rows(self.matching, self.source, self.output)
        yield from tag_rows(origin, found, self.plan)

    def _reading_rows(self) -> Iterator[ManifestRow]:
        """A source that breaks off is compared up to there; an output may not break off."""
        check, whole = "readable", "read to the end"
        yield equal(check, "output", whole, self.output.fault or whole)
        if self.source.fault:
            yield named(check, "source", whole, self.source.fault, "compared as far as it goes")
        for entry in self.plan.tracks:
            if self.source.track(entry.source.index) is None:
                yield row(check, subject_of(entry.source), "packets read", "not read", False)

    def _clock_rows(self) -> Iterator[ManifestRow]:
        """Times are compared with those of the mended source; here stands how it was mended."""
        for change in self.video.clock_changes:
            note = f"all tracks were moved by {seconds(change.moved_s)} from there on"
            yield named("clock", "file", "one clock", change, note)

    def _video_rows(self) -> Iterator[ManifestRow]:
        output, facts = self.matching.video, self.picture
        if output is None or facts is None:
            return  # the track list says that it is missing
        yield from video_rows(self.video.index, facts, self.plan.container)
        yield from deinterlacing_rows(self.video, output)
        yield from picture_rows(self.video.track, output, facts, self.settings)
        yield from shape_rows(output, self.shape_changes)
        yield from colour_rows(self.video.track.color, output, facts, self.settings)
        yield from dynamic_rows(self.video, self.settings, output, self.metadata)

    def _timing_rows(self) -> Iterator[ManifestRow]:
        for matched in self.matching.tracks:
            before = self.source.track(matched.plan.source.index)
            after = self._facts_of(matched.output)
            if before is None or after is None:
                continue
            plan, zeros = matched.plan, (self.source_zero_s, self.output_zero_s)
            if plan.source.kind is TrackKind.AUDIO:
                yield from sound_rows(SoundPair(plan, before, after, *zeros))
            elif plan.source.kind is TrackKind.SUBTITLE:
                container = self.plan.container
                yield from subtitle_rows(SubtitlePair(plan, before, after, *zeros, container))

    def _facts_of(self, track: Track | None) -> TrackFacts | None:
        return None if track is None else self.output.track(track.index)


def _start_s(video: SourceVideo) -> float:
    """When the first frame is shown, in seconds of the file that the index belongs to."""
    index = video.index
    return float(int(index.pts[0]) * index.time_base) if len(index) else 0.0
