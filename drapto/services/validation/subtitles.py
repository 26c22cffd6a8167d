"""Subtitles against the source: every cue, at its time, for as long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drapto.core.facts import TrackFacts
from drapto.core.manifest import ManifestRow
from drapto.core.media import Int64Array
from drapto.core.tracks import Container, TrackPlan
from drapto.services.validation.rows import equal, milliseconds, named, row, subject_of

FloatArray = npt.NDArray[np.float64]

_EMPTY_TX3G_BYTES = 2
"""3GPP timed text (ETSI TS 126 245) has a 16-bit text length first: a sample of two zero bytes
shows nothing. MP4 fills the time between cues with such samples."""


@dataclass(frozen=True)
class SubtitlePair:
    """One subtitle track in both files, with the moment of the first video frame of each."""

    plan: TrackPlan
    source: TrackFacts
    output: TrackFacts
    source_zero_s: float
    output_zero_s: float
    container: Container


def subtitle_rows(pair: SubtitlePair) -> tuple[ManifestRow, ...]:
    """The rows about one subtitle track that is in the output."""
    subject = subject_of(pair.plan.source)
    starts, ends = _cues(pair.source, pair.source_zero_s)
    found_starts, found_ends = _cues(pair.output, pair.output_zero_s)
    count = equal("cue_count", subject, len(starts), len(found_starts))
    if count.outcome == "fail":
        note = "the cue counts differ"
        times = named("cue_times", subject, "every cue at its time", "not compared", note)
        return (count, times)
    if not len(starts):
        return (count,)
    tolerance_s = 0.001 + pair.source.tick_s + pair.output.tick_s
    times = _times_row("cue_times", subject, starts, found_starts, tolerance_s)
    known = (pair.source.duration > 0)[_shown(pair.source)][_order(pair.source)]
    if not known.any():
        return (count, times)  # picture subtitles end when the next one clears the screen
    held = _cut_by_next(starts, ends) if pair.container is Container.MP4 else ends
    cut = int(np.count_nonzero((ends - held)[known] > tolerance_s))
    ends_row = _times_row("cue_ends", subject, held[known], found_ends[known], 2 * tolerance_s)
    if cut and ends_row.outcome == "pass":
        note = f"MP4 shows one cue at a time: {cut} end where the next begins"
        shown = ends_row.expected, f"{cut} cut short"
        ends_row = named("cue_ends", subject, *shown, note, tolerance=ends_row.tolerance)
    return (count, times, ends_row)


def _shown(track: TrackFacts) -> npt.NDArray[np.bool_]:
    if track.codec == "mov_text":
        return np.asarray(track.size_bytes > _EMPTY_TX3G_BYTES)
    return np.ones(len(track), dtype=np.bool_)


def _order(track: TrackFacts) -> npt.NDArray[np.intp]:
    """Cues by start, then by length: containers store cues of one moment in any order."""
    shown = _shown(track)
    return np.lexsort((track.duration[shown], track.pts[shown]))


def _cues(track: TrackFacts, zero_s: float) -> tuple[FloatArray, FloatArray]:
    """Start and end of every cue in seconds after `zero_s`, both of shape (cues,)."""
    shown, order = _shown(track), _order(track)
    pts = track.pts[shown][order]
    ends = pts + track.duration[shown][order]
    return _seconds(pts, track, zero_s), _seconds(ends, track, zero_s)


def _seconds(ticks: Int64Array, track: TrackFacts, zero_s: float) -> FloatArray:
    return np.asarray(ticks * track.tick_s - zero_s, dtype=np.float64)


def _cut_by_next(starts: FloatArray, ends: FloatArray) -> FloatArray:
    """MP4 shows one sample of a track at a time: a cue ends where the next one begins."""
    following = np.append(starts[1:], np.inf)
    return np.asarray(np.minimum(ends, following), dtype=np.float64)


def _times_row(
    check: str, subject: str, expected: FloatArray, actual: FloatArray, tolerance_s: float
) -> ManifestRow:
    errors = np.abs(actual - expected)
    worst_s = float(errors.max()) if len(errors) else 0.0
    off = int(np.count_nonzero(errors > tolerance_s))
    found = f"largest error {milliseconds(worst_s)}"
    if off:
        found += f" at cue {int(np.argmax(errors)) + 1}; {off} of {len(errors)} cues off"
    tolerance = f"± {milliseconds(tolerance_s)}"
    return row(check, subject, "the source's times", found, off == 0, tolerance=tolerance)
