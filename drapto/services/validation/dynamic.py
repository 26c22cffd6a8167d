"""HDR10+ and Dolby Vision: the metadata of every frame of the output against the source's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from drapto.core.dynamic_metadata import ComparedMetadata, MetadataDigests
from drapto.core.manifest import ManifestRow
from drapto.core.media import DolbyVision, Track
from drapto.core.segments import VideoSettings
from drapto.core.source import SourceVideo
from drapto.core.words import count
from drapto.services.encoding.dynamic_metadata import (
    decide_metadata,
    has_dolby_vision,
    has_hdr10_plus,
)
from drapto.services.validation.rows import equal, listing, named, row
from drapto.services.validation.timestamps import VIDEO

_CROPPED = "places in the picture are counted from its new edges"


def dynamic_rows(
    video: SourceVideo,
    settings: VideoSettings,
    output: Track,
    metadata: ComparedMetadata | None,
) -> Iterator[ManifestRow]:
    """One row for each kind that either side has, and what a container says of it.

    A frame counts as equal where the bytes are: those of the source, after the changes that were
    announced.
    """
    decided = decide_metadata(video, settings.crop, output.codec)
    plan, compared = settings.dynamic_metadata, metadata or _NEITHER
    cropped = _CROPPED if plan.border is not None else ""
    if plan.hdr10_plus:
        sides = compared.source.hdr10_plus, compared.output.hdr10_plus
        yield _frames_row("hdr10_plus", *sides, _joined(decided.hdr10_plus_note, cropped))
    elif has_hdr10_plus(video) or output.color.hdr10_plus:
        sides_say = _said(has_hdr10_plus(video)), _said(output.color.hdr10_plus)
        yield _lost_row("hdr10_plus", *sides_say, decided.hdr10_plus_note)
    if plan.dolby_vision is not None:
        digests = compared.source.dolby_vision, compared.output.dolby_vision
        note = _joined(decided.dolby_vision_note, cropped)
        yield _frames_row("dolby_vision", *digests, note)
        found = output.color.dolby_vision
        yield equal("dolby_vision_record", VIDEO, _record(plan.dolby_vision), _record(found))
        if plan.drops_layer:
            yield named("dolby_vision_layer", VIDEO, "enhancement layer", "none", _NO_LAYERS)
    elif has_dolby_vision(video) or output.color.dolby_vision is not None:
        before, after = has_dolby_vision(video), output.color.dolby_vision is not None
        yield _lost_row("dolby_vision", _said(before), _said(after), decided.dolby_vision_note)


_NEITHER = ComparedMetadata()
_NO_LAYERS = "AV1 has no place for it"


def _frames_row(
    check: str, source: MetadataDigests, output: MetadataDigests, note: str
) -> ManifestRow:
    pairs = list(zip_longest(source.frames, output.frames))
    others = [frame for frame, (before, after) in enumerate(pairs) if before != after]
    same = sum(before is not None and before == after for before, after in pairs)
    expected = f"{source.count} of {count(len(source.frames), 'frame')}"
    actual = f"{same} of {count(source.count, 'frame')} equal"
    if others:
        actual += f"; different in frames {listing(others)}"
    elif not source.frames:
        return row(check, VIDEO, "metadata of every frame", "not read", False)
    elif lost := _unreadable(source):
        return named(check, VIDEO, expected, actual, _joined(note, lost))
    return row(check, VIDEO, expected, actual, not others, note=note)


def _unreadable(source: MetadataDigests) -> str:
    left_out = unplaced = ""
    if source.left_out:
        left_out = f"what frames {listing(source.left_out)} carry cannot be read and is left out"
    if source.unplaced:
        unplaced = f"metadata of {count(source.unplaced, 'packet')} belongs to no frame"
    return _joined(left_out, unplaced)


def _lost_row(check: str, before: str, after: str, note: str) -> ManifestRow:
    if before == after:
        return row(check, VIDEO, before, after, True, note="not compared frame by frame")
    return named(check, VIDEO, before, after, note) if note else equal(check, VIDEO, before, after)


def _said(present: bool) -> str:
    return "there" if present else "none"


def _record(record: DolbyVision | None) -> str:
    if record is None:
        return "none"
    base = "unknown" if record.compatibility_id is None else record.compatibility_id
    return f"profile {record.profile}, level {record.level}, compatibility {base}"


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
