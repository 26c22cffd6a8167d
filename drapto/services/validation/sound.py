"""Audio against the source: where it begins, how long it lasts, where it ends, gaps, decoding.

All times are taken relative to the first video frame of the same file, so the rows say what a
viewer would notice. Sound begins at the first packet's timestamp plus the priming samples that
the container marks (AAC encoder delay in an edit list, Opus pre-skip in CodecDelay): those are
decoded and thrown away, nobody hears them. A priming that the container does not mark
(AAC in MPEG-TS) is heard as silence, is part of the source's sound and stays so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from drapto.core.audio_clock import Leap, on_clock
from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.manifest import ManifestRow
from drapto.core.tracks import TrackPlan
from drapto.services.validation.rows import (
    equal,
    milliseconds,
    named,
    near,
    row,
    seconds,
    subject_of,
)
from drapto.services.validation.timestamps import decode_row
from drapto.services.validation.tracks import payload_row

SYNC_TOLERANCE_S = 0.025
"""ITU-R BT.1359-1 puts the threshold of noticing at 45 ms (sound early) and 125 ms (late). One
Opus frame is 20 ms, and a Matroska timestamp is off by up to 0.5 ms at either end."""

DURATION_TOLERANCE_S = 0.060
"""The last frame of a lossy codec is padded to its length and may or may not be trimmed by the
container: AAC 21 ms, HE-AAC 43 ms, AC-3 32 ms, MP3 26 ms, plus one Opus frame of 20 ms."""


@dataclass(frozen=True)
class SoundPair:
    """One audio track in both files, with the moment of the first video frame of each."""

    plan: TrackPlan
    source: TrackFacts
    output: TrackFacts
    source_zero_s: float
    output_zero_s: float

    @property
    def subject(self) -> str:
        return subject_of(self.plan.source)

    @property
    def frame_s(self) -> float:
        """A codec frame of one side and of the other."""
        return self.source.frame_s + self.output.frame_s


def sound_rows(pair: SoundPair) -> tuple[ManifestRow, ...]:
    """The rows about one audio track that is in the output."""
    pair = replace(pair, source=mended(pair.source, pair.plan.leaps))
    if not len(pair.source):
        passed = not len(pair.output)
        shown = f"{len(pair.output)} packets"
        return (row("audio_duration", pair.subject, "no packets, as the source", shown, passed),)
    if not len(pair.output):
        shown = seconds(pair.source.span_s)
        return (row("audio_duration", pair.subject, shown, "no packets", False),)
    duration = _duration_row(pair)
    return (
        *_leap_rows(pair),
        _start_row(pair),
        duration,
        _end_row(pair, judged=duration.outcome == "pass"),
        _continuity_row(pair),
        _decode_row(pair),
    )


def mended(facts: TrackFacts, leaps: tuple[Leap, ...]) -> TrackFacts:
    """A source's track without the leaps in its timestamps. What an edit list hides stands
    before the rest: it is the priming."""
    if not leaps or not len(facts):
        return facts
    pts, decoded, last = on_clock(facts.pts, leaps, facts.hidden), facts.decoded, leaps[-1]
    if decoded is not None and decoded.end_s is not None and pts[-1] != facts.pts[-1]:
        decoded = replace(decoded, end_s=decoded.end_s - last.ticks * facts.tick_s)
    return replace(facts, pts=pts, decoded=decoded)


def copy_rows(plan: TrackPlan, source: FileFacts, copy: FileFacts) -> Iterator[ManifestRow]:
    """The rows that tell whether a track, copied into a file of its own, is whole and readable."""
    before, after = source.track(plan.source.index), copy.track(0)
    if before is not None and not len(before):
        return  # no sound can be lost; not every container keeps an empty track
    if before is None or after is None:
        yield row("readable", subject_of(plan.source), "a copy", copy.fault or "no track", False)
        return
    yield payload_row(plan, source.media, before, after)
    yield _decode_row(SoundPair(plan, before, after, 0.0, 0.0))


def _leap_rows(pair: SoundPair) -> Iterator[ManifestRow]:
    for leap in pair.plan.leaps:
        last = leap.packet + leap.packets - 1
        which = f"packet {leap.packet}" + (f" to {last}" if leap.packets > 1 else "")
        note = "the timestamp cannot be true; the sound stays where it stands in the file"
        said, put = f"{which} at {seconds(leap.said_s)}", f"placed at {seconds(leap.at_s)}"
        yield named("audio_leap", pair.subject, said, put, note)


def _start_row(pair: SoundPair) -> ManifestRow:
    expected_s = pair.source.start_s - pair.source_zero_s
    actual_s = pair.output.start_s - pair.output_zero_s
    note = "start of the sound after the first video frame"
    return near("audio_start", pair.subject, expected_s, actual_s, SYNC_TOLERANCE_S, note=note)


def _duration_row(pair: SoundPair) -> ManifestRow:
    tolerance_s = max(DURATION_TOLERANCE_S, pair.frame_s)
    spans = pair.source.span_s, pair.output.span_s
    return near("audio_duration", pair.subject, *spans, tolerance_s)


def _end_row(pair: SoundPair, *, judged: bool) -> ManifestRow:
    """Sync at the end; a track that is too short or long is told so once, by its duration."""
    expected_s = pair.source.end_s - pair.source_zero_s
    actual_s = pair.output.end_s - pair.output_zero_s
    if not judged:
        shown = seconds(expected_s), seconds(actual_s)
        return named("audio_end", pair.subject, *shown, "not judged: the duration differs")
    # A last frame that is padded on one side and trimmed on the other moves the end, not the
    # sound: where a frame of the codecs is longer than the tolerance, it takes its place.
    tolerance_s = max(SYNC_TOLERANCE_S, pair.source.frame_s, pair.output.frame_s)
    tolerance_s += pair.source.tick_s + pair.output.tick_s
    note = "end of the sound after the first video frame"
    return near("audio_end", pair.subject, expected_s, actual_s, tolerance_s, note=note)


def _continuity_row(pair: SoundPair) -> ManifestRow:
    """No sound lost or pushed about between start and end.

    Where both sides have the same packets, each packet's time is compared. Otherwise the
    seconds of sound are: at least as much as the source has, at most that with its gaps filled
    with silence.
    """
    if pair.plan.action == "copy" and len(pair.source) == len(pair.output):
        return _packet_times_row(pair)
    check, subject = "audio_continuity", pair.subject
    source_s, output_s = pair.source.sound_s, pair.output.sound_s
    if source_s is None or output_s is None:
        note = "the container does not say how long a packet lasts"
        return named(check, subject, "the source's seconds of sound", "not compared", note)
    low, high = sorted((source_s, pair.source.span_s))
    # A tail that is missing altogether is the business of the duration row.
    missing_s = max(0.0, pair.source.span_s - pair.output.span_s)
    extra_s = max(0.0, pair.output.span_s - pair.source.span_s)
    tolerance_s = max(DURATION_TOLERANCE_S, 2 * pair.frame_s)
    passed = low - missing_s - tolerance_s <= output_s <= high + extra_s + tolerance_s
    expected = f"{seconds(low)} to {seconds(high)} of sound"
    note = "counted in decoded samples" if pair.output.decoded else "counted in packets"
    return row(
        check, subject, expected, f"{seconds(output_s)} of sound", passed,
        tolerance=f"± {milliseconds(tolerance_s)}", note=note,
    )  # fmt: skip


def _packet_times_row(pair: SoundPair) -> ManifestRow:
    source_s = pair.source.pts * pair.source.tick_s
    output_s = pair.output.pts * pair.output.tick_s
    errors = output_s - source_s
    errors = errors - np.median(errors)  # a constant shift is the business of the start row
    worst = int(np.argmax(np.abs(errors)))
    worst_s = float(abs(errors[worst]))
    return row(
        "audio_continuity", pair.subject, "every packet at the source's time",
        f"largest error {milliseconds(worst_s)}", worst_s <= SYNC_TOLERANCE_S,
        tolerance=f"± {milliseconds(SYNC_TOLERANCE_S)} after one shift for the track",
        note=f"packet {worst} of {len(errors)} is the furthest off",
    )  # fmt: skip


def _decode_row(pair: SoundPair) -> ManifestRow:
    """Every packet decodes. A copied track may keep the faults it has in the source."""
    check, expected = "audio_decode", f"{len(pair.output)} packets without an error"
    decoded = pair.output.decoded
    if decoded is None:
        return named(check, pair.subject, expected, "not decoded", "decoding was not asked for")
    # Most codecs give a frame for a packet; a packet that is priming throughout gives none.
    whole = abs(len(pair.output) - decoded.frames) <= 1 or pair.plan.action == "copy"
    if whole and not decoded.errors and not decoded.damaged:
        return equal(check, pair.subject, expected, expected)
    if pair.plan.action == "copy" and pair.output.payload_sha256 == pair.source.payload_sha256:
        note = f"the source's own packets, byte for byte; {decoded.first_error}".rstrip("; ")
        actual = f"{decoded.errors} packets refused, {decoded.damaged} frames damaged"
        return named(check, pair.subject, expected, actual, note)
    return decode_row(check, pair.subject, len(pair.output), decoded)
