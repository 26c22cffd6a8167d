"""The track list: every kept track there, in order, called what it was called; nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.manifest import ManifestRow
from drapto.core.media import MediaInfo, Track, TrackKind
from drapto.core.tracks import Container, MuxPlan, TrackPlan
from drapto.services.assembly.containers import canonical
from drapto.services.validation.containers import (
    dispositions_in,
    holds_language,
    holds_track_tags,
    is_chapter_track,
    keeps_payload,
    lasting_tags,
    same_roles,
)
from drapto.services.validation.matching import Matching, planned_channels, same_language
from drapto.services.validation.rows import equal, listing, named, or_none, row, subject_of

_TRACKS = "tracks"


def list_rows(source: FileFacts, plan: MuxPlan, matching: Matching) -> Iterator[ManifestRow]:
    """Rows about the list as a whole: complete, in order, nothing unplanned."""
    yield _accounted_row(source.media, plan)
    check, present = "track_present", "in the output"
    for entry, found in _entries(plan, matching):
        there = present if found is not None else "missing"
        subject, before = subject_of(entry.source), source.track(entry.source.index)
        if found is None and before is not None and not before.payload_bytes:
            note = "the source has no packets for it, and this container keeps no empty track"
            yield named(check, subject, present, there, note)
        else:
            yield equal(check, subject, present, there)
    yield _order_row(matching)
    extra = [t for t in matching.extra if not is_chapter_track(plan.container, t)]
    yield equal("track_extra", _TRACKS, "none", listing(_describe(t) for t in extra))
    for outcome in plan.dropped:
        about = "" if outcome.source_index is None else f" {outcome.source_index}"
        subject = f"{outcome.kind}{about}"
        yield named("track_dropped", subject, outcome.codec, "not kept", outcome.detail)


def track_rows(
    plan: MuxPlan, matching: Matching, source: FileFacts, output: FileFacts
) -> Iterator[ManifestRow]:
    """Rows about each track that is there: codec, names, marks, payload of the copied ones."""
    for entry, found in _entries(plan, matching):
        if found is None:
            continue
        subject = subject_of(entry.source)
        yield equal("codec", subject, canonical(entry.codec), canonical(found.codec))
        if entry.source.is_cover_art:
            continue  # covers are compared by their hash, with the attachments
        yield _language_row(plan.container, entry, found)
        yield from _language_tag_rows(plan.container, entry, found)
        yield equal("title", subject, or_none(entry.source.title), or_none(title_of(found)))
        yield _disposition_row(plan, entry, found)
        yield _tags_row(plan.container, entry, found)
        yield from _timecode_rows(entry, output.media)
        if entry.source.kind is TrackKind.AUDIO:
            yield equal("channels", subject, planned_channels(entry), found.channels)
        if entry.action == "copy":
            before, after = source.track(entry.source.index), output.track(found.index)
            if before is not None and after is not None:
                yield payload_row(entry, source.media, before, after)


def title_of(track: Track) -> str | None:
    """MP4 keeps a track's title as the tag 'name'."""
    return track.title or track.tags.get("name")


def payload_row(
    entry: TrackPlan, source: MediaInfo, before: TrackFacts, after: TrackFacts
) -> ManifestRow:
    """A copied track is byte for byte the source's, unless the containers pack it differently."""
    subject = subject_of(entry.source)
    same = before.payload_sha256 == after.payload_sha256
    if same or keeps_payload(source.format_name, entry.codec):
        expected = f"sha256 {before.payload_sha256[:16]}, {before.payload_bytes} bytes"
        actual = f"sha256 {after.payload_sha256[:16]}, {after.payload_bytes} bytes"
        return row("payload", subject, expected, actual, same)
    note = (
        f"{entry.codec} is packed differently in {source.format_name}, so its bytes cannot be "
        "compared; the packets are counted, and their times have their own rows"
    )
    if entry.codec == "mov_text":
        return named("payload", subject, "the same cues", "not compared as bytes", note)
    shown = f"{len(before)} packets", f"{len(after)} packets"
    return equal("payload", subject, *shown, note=note)


def _entries(plan: MuxPlan, matching: Matching) -> Iterator[tuple[TrackPlan, Track | None]]:
    yield plan.video, matching.video
    for matched in matching.tracks:
        yield matched.plan, matched.output


def _accounted_row(source: MediaInfo, plan: MuxPlan) -> ManifestRow:
    """Every track of the source is either kept or named as dropped."""
    told = {outcome.source_index for outcome in plan.outcomes}
    forgotten = [subject_of(t) for t in source.tracks if t.index not in told]
    return equal("tracks_accounted", _TRACKS, "none forgotten", _forgotten(forgotten))


def _forgotten(subjects: list[str]) -> str:
    return f"forgotten: {listing(subjects)}" if subjects else "none forgotten"


def _order_row(matching: Matching) -> ManifestRow:
    """Video first, then the plan's order. Covers and data have no place in the order."""
    ordered = [
        m for m in matching.tracks
        if m.output is not None
        and m.plan.source.kind in (TrackKind.AUDIO, TrackKind.SUBTITLE)
    ]  # fmt: skip
    planned = [subject_of(m.plan.source) for m in ordered]
    found = sorted(ordered, key=lambda m: m.output.index if m.output else 0)
    actual = [subject_of(m.plan.source) for m in found]
    expected_text, actual_text = ", ".join(planned) or "none", ", ".join(actual) or "none"
    if matching.video is not None and matching.video.index != 0:
        actual_text += f"; the video is track {matching.video.index}, not the first"
    return equal("track_order", _TRACKS, expected_text, actual_text)


def _describe(track: Track) -> str:
    return f"{subject_of(track)} {track.codec}"


def _language_row(container: Container, entry: TrackPlan, found: Track) -> ManifestRow:
    check, subject = "language", subject_of(entry.source)
    expected, actual = entry.source.language, found.language
    passed = same_language(expected, actual)
    if not passed and expected and not holds_language(container, expected):
        note = "this container takes three-letter codes only"
        return named(check, subject, expected, or_none(actual), note)
    return row(check, subject, expected or "und", actual or "und", passed)


def _language_tag_rows(
    container: Container, entry: TrackPlan, found: Track
) -> Iterator[ManifestRow]:
    """A tag of one part, such as 'pt', says no more than the language."""
    check, subject, expected = "language_tag", subject_of(entry.source), entry.source.language_tag
    if expected is None or (container is Container.MP4 and "-" not in expected):
        return
    actual = or_none(found.language_tag)
    if container is Container.MP4:
        yield named(
            check, subject, expected, actual, "this container takes three-letter codes only"
        )
    else:
        yield equal(check, subject, expected, actual)


def _disposition_row(plan: MuxPlan, entry: TrackPlan, found: Track) -> ManifestRow:
    check, subject = "dispositions", subject_of(entry.source)
    expected, lost = dispositions_in(plan.container, entry.source)
    actual = same_roles(plan.container, found.dispositions)
    shown = listing(sorted(expected)), listing(sorted(actual))
    if actual - expected == {"default"} and _enabled_by_writer(plan, entry):
        note = "MP4 enables one track of each kind, and this one is the first"
        passed = expected == actual - {"default"}
        return row(check, subject, *shown, passed, note=note)
    if lost and expected == actual:
        note = f"this container cannot say {listing(sorted(lost))}"
        return named(check, subject, listing(sorted(expected | lost)), shown[1], note)
    return equal(check, subject, *shown)


def _enabled_by_writer(plan: MuxPlan, entry: TrackPlan) -> bool:
    """libavformat enables the first track of a kind in MP4 if none of that kind is a default."""
    alike = [t for t in (plan.video, *plan.tracks) if t.source.kind is entry.source.kind]
    none_default = not any("default" in t.source.dispositions for t in alike)
    return plan.container is Container.MP4 and none_default and alike[0] is entry


def _tags_row(container: Container, entry: TrackPlan, found: Track) -> ManifestRow:
    check, subject = "track_tags", subject_of(entry.source)
    expected = lasting_tags(entry.source.tags)
    actual = {key.lower(): value for key, value in found.tags.items()}
    lost = {key: value for key, value in expected.items() if actual.get(key) != value}
    if not lost:
        shown = listing(sorted(expected))
        return equal(check, subject, shown, shown)
    wanted = listing(f"{key}={value!r}" for key, value in sorted(lost.items()))
    there = listing(f"{key}={actual.get(key)!r}" for key in sorted(lost))
    if not holds_track_tags(container):
        return named(check, subject, wanted, there, "this container keeps no tags of tracks")
    if not set(lost) & {key.lower() for key in entry.tags}:
        return named(check, subject, wanted, there, "left out by the plan")
    return row(check, subject, wanted, there, False)


def _timecode_rows(entry: TrackPlan, output: MediaInfo) -> Iterator[ManifestRow]:
    """A timecode that the plan keeps with the track; MP4 makes a track of its own of it."""
    wanted = {v for k, v in entry.tags.items() if k.lower() == "timecode"}
    for timecode in wanted:
        tags = (tag for track in output.tracks for tag in track.tags.items())
        found = {value for key, value in tags if key.lower() == "timecode"}
        there = timecode if timecode in found else listing(sorted(found))
        yield equal("timecode", subject_of(entry.source), timecode, there)
