"""What a container carries besides tracks: chapters, attachments, covers, global tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from drapto.core.facts import FileFacts
from drapto.core.manifest import ManifestRow
from drapto.core.media import Attachment, Chapter, MediaInfo
from drapto.core.tracks import Container, MuxPlan
from drapto.core.words import count
from drapto.services.validation.containers import holds_global_tag, lasting_tags
from drapto.services.validation.matching import Matching
from drapto.services.validation.rows import (
    equal,
    listing,
    milliseconds,
    named,
    or_none,
    row,
    seconds,
    subject_of,
)

CHAPTER_TOLERANCE_S = 0.001
_FILE = "file"


def chapter_rows(
    source: MediaInfo, output: MediaInfo, plan: MuxPlan, shift_s: float
) -> Iterator[ManifestRow]:
    """As many chapters, at the same moments, called the same."""
    # Those that are told are named with the dropped tracks.
    wanted = plan.chapters if _is_told(plan, "chapter") else source.chapters
    yield from _nesting_rows(source)
    yield equal("chapter_count", _FILE, len(wanted), len(output.chapters))
    if len(wanted) != len(output.chapters):
        return
    pairs = zip(wanted, output.chapters, strict=True)
    for number, (before, after) in enumerate(pairs, start=1):
        yield _chapter_row(number, before, after, plan.container, shift_s)
        title = or_none(before.title), or_none(after.title)
        yield equal("chapter_title", f"chapter {number}", *title)


def _nesting_rows(source: MediaInfo) -> Iterator[ManifestRow]:
    nested = sum(chapter.depth > 0 for chapter in source.chapters)
    if nested:
        shown = f"{count(nested, 'chapter')} within others", "all beside each other"
        yield named("chapter_nesting", _FILE, *shown, "libavformat writes no chapters in chapters")
    for words in source.unkept:
        yield named("unkept", _FILE, words, "not kept", "there is no place for it")


def attachment_rows(source: MediaInfo, output: MediaInfo, plan: MuxPlan) -> Iterator[ManifestRow]:
    """Every attachment by the hash of its bytes, and its name."""
    if source.attachments and not plan.attachments and _is_told(plan, "attachment"):
        return  # named with the dropped tracks
    left = Counter(_identity(found) for found in output.attachments)
    for wanted in source.attachments:
        there = left[_identity(wanted)] > 0
        left[_identity(wanted)] -= 1
        yield _attachment_row(wanted, there, output)
    unplanned = [key for key, count in left.items() for _ in range(max(count, 0))]
    unplanned = [key for key in unplanned if not _replaces(key, source)]
    yield equal("attachment_extra", _FILE, "none", listing(name for name, _ in unplanned))


def cover_rows(
    matching: Matching, source_facts: FileFacts, output_facts: FileFacts
) -> Iterator[ManifestRow]:
    """Every cover by the hash of its bytes. A missing one is told by the track list."""
    for matched in matching.tracks:
        if not matched.plan.source.is_cover_art or matched.output is None:
            continue
        before = source_facts.track(matched.plan.source.index)
        after = output_facts.track(matched.output.index)
        subject = subject_of(matched.plan.source)
        expected = before.payload_sha256 if before is not None else "not read"
        yield equal("cover", subject, expected, after.payload_sha256 if after else "not read")


def tag_rows(source: MediaInfo, output: MediaInfo, plan: MuxPlan) -> Iterator[ManifestRow]:
    """Global tags that are not made by the writer of the file."""
    keep = frozenset({"title"})
    expected = lasting_tags(source.tags, keep=keep)
    planned = lasting_tags(plan.tags, keep=keep)
    actual = {key.lower(): value for key, value in output.tags.items()}
    for key, value in sorted(expected.items()):
        found = or_none(actual.get(key))
        if value == actual.get(key) or not value:
            continue
        if not holds_global_tag(plan.container, key):
            yield named("global_tag", key, value, found, "this container has no such tag")
        elif key not in planned:
            yield named("global_tag", key, value, found, "left out by the plan")
        else:
            yield row("global_tag", key, value, found, False)
    kept = sum(value == actual.get(key) for key, value in expected.items())
    shown = f"{kept} of {len(expected)} equal"
    yield row("global_tags", _FILE, shown, shown, True, note="each tag that differs has its row")


def _is_told(plan: MuxPlan, word: str) -> bool:
    return any(word in outcome.kind.lower() for outcome in plan.dropped)


def _chapter_row(
    number: int, before: Chapter, after: Chapter, container: Container, shift_s: float
) -> ManifestRow:
    """Start, and in Matroska the end too: MP4 ends a chapter where the next begins."""
    expected_s = max(0.0, before.start_s + shift_s)
    expected_end_s = max(0.0, before.end_s + shift_s)
    passed = abs(after.start_s - expected_s) <= CHAPTER_TOLERANCE_S
    wanted, found = seconds(expected_s), seconds(after.start_s)
    if container is not Container.MP4 and before.end_s > before.start_s:
        passed &= abs(after.end_s - expected_end_s) <= CHAPTER_TOLERANCE_S
        wanted += f" to {seconds(expected_end_s)}"
        found += f" to {seconds(after.end_s)}"
    tolerance = f"± {milliseconds(CHAPTER_TOLERANCE_S)}"
    if not passed and container is Container.MP4 and number == 1 and after.start_s == 0.0:
        note = "MP4 chapters begin with the file, so the first one starts at 0"
        return named("chapter_time", "chapter 1", wanted, found, note, tolerance=tolerance)
    return row("chapter_time", f"chapter {number}", wanted, found, passed, tolerance=tolerance)


def _identity(attachment: Attachment) -> tuple[str, str]:
    return attachment.filename, attachment.sha256


def _attachment_row(wanted: Attachment, there: bool, output: MediaInfo) -> ManifestRow:
    expected = f"sha256 {wanted.sha256[:16]}, {wanted.size_bytes} bytes"
    subject = f"attachment {wanted.filename!r}"
    if there:
        return equal("attachment", subject, expected, expected)
    found = [a for a in output.attachments if a.filename == wanted.filename]
    actual = listing(f"sha256 {a.sha256[:16]}, {a.size_bytes} bytes" for a in found)
    return row("attachment", subject, expected, actual if found else "missing", False)


def _replaces(identity: tuple[str, str], source: MediaInfo) -> bool:
    """A changed attachment is told by its own row, not as an extra one as well."""
    return any(identity[0] == wanted.filename for wanted in source.attachments)
