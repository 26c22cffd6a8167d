"""Every frame of the source at its time: count, timestamps, duration, decoding."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from drapto.core.deinterlacing import done_by
from drapto.core.facts import DecodedFacts, TrackFacts
from drapto.core.manifest import ManifestRow
from drapto.core.media import FrameIndex, Track
from drapto.core.source import SourceVideo
from drapto.core.tracks import Container
from drapto.core.words import count
from drapto.services.validation.rows import equal, milliseconds, named, near, row, seconds

FloatArray = npt.NDArray[np.float64]

VIDEO = "video"


def relative_times_s(pts: npt.NDArray[np.int64], time_base: Fraction) -> FloatArray:
    """Seconds since the first entry. Subtracted as integers, so nothing is lost in a long file."""
    if not len(pts):
        return np.zeros(0)
    return np.asarray((pts - pts[0]) * float(time_base), dtype=np.float64)


def shift_s(index: FrameIndex, output: TrackFacts) -> float:
    """Output time minus index time of the same frame; 0 if either has no frames.

    With equal counts the median, so that one bad frame is no matter. Otherwise frames are
    missing or doubled, nobody knows which: then whichever of aligning the first frames and
    aligning the last frames brings more frames together.
    """
    if not len(index) or not len(output):
        return 0.0
    source: FloatArray = index.pts.astype(np.float64) * float(index.time_base)
    found: FloatArray = output.pts.astype(np.float64) * output.tick_s
    if len(index) == len(output):
        return float(np.median(found - source))
    by_start, by_end = float(found[0] - source[0]), float(found[-1] - source[-1])
    near_s = 0.001 + output.tick_s
    met = [_frames_met(source + shift, found, near_s) for shift in (by_start, by_end)]
    return by_end if met[1] > met[0] else by_start


def _frames_met(expected: FloatArray, found: FloatArray, near_s: float) -> int:
    """How many entries of `expected` have one of `found` within `near_s`. Both are sorted."""
    after = np.clip(np.searchsorted(found, expected), 1, max(len(found) - 1, 1))
    after = np.minimum(after, len(found) - 1)
    nearest = np.minimum(np.abs(found[after] - expected), np.abs(found[after - 1] - expected))
    return int(np.count_nonzero(nearest <= near_s))


def video_rows(
    index: FrameIndex, output: TrackFacts, container: Container
) -> tuple[ManifestRow, ...]:
    """The rows about frames and their times. `output` is the encoded video track."""
    return (
        _count_row(index, output),
        _timestamp_row(index, output),
        _duration_row(index, output, container),
        *_decoding_rows(output),
    )


def deinterlacing_rows(video: SourceVideo, output: Track) -> Iterator[ManifestRow]:
    """Only where pictures were made of fields: what was done, and that no field is left."""
    work = video.deinterlacing
    if work.is_off:
        return
    check, coded, made = "deinterlacing", len(video.coded), len(video.index)
    found = "interlaced" if output.interlaced else "progressive"
    before, after = count(coded, "frame") + " of fields", f"{count(made, 'frame')}, {found}"
    if output.interlaced:
        yield row(check, VIDEO, f"{count(made, 'frame')}, progressive", after, False)
        return
    yield named(check, VIDEO, before, after, done_by(work, coded))


def _tolerance_s(index: FrameIndex, output: TrackFacts) -> float:
    """One tick of the output: half for rounding a frame, half for rounding the shift itself.

    Matroska's tick is 1 ms. Where the source's own tick is the coarser one, up to 1 ms, that
    is taken: its frames are not known any better.
    """
    tick_s = max(output.tick_s, min(float(index.time_base), 0.001))
    return tick_s * 1.000_001  # float noise of the multiplication, far below a tick


def _count_row(index: FrameIndex, output: TrackFacts) -> ManifestRow:
    note = ""
    if len(index) != len(output):
        note = f"the timestamps first part ways at frame {_first_difference(index, output)}"
    return equal("frame_count", VIDEO, len(index), len(output), note=note)


def _first_difference(index: FrameIndex, output: TrackFacts) -> int:
    common = min(len(index), len(output))
    source = relative_times_s(index.pts[:common], index.time_base)
    found = relative_times_s(output.pts[:common], output.time_base)
    tolerance_s = max(0.002, 2 * output.tick_s)  # ends are not aligned here, so twice as wide
    apart = np.flatnonzero(np.abs(source - found) > tolerance_s)
    return int(apart[0]) if len(apart) else common


def _timestamp_row(index: FrameIndex, output: TrackFacts) -> ManifestRow:
    check, expected = "timestamps", "every frame at the source's time"
    if len(index) != len(output) or not len(index):
        return named(check, VIDEO, expected, "not compared", "the frame counts differ")
    source = relative_times_s(index.pts, index.time_base)
    found = relative_times_s(output.pts, output.time_base)
    errors = found - source
    errors = errors - np.median(errors)  # the one global shift
    worst = int(np.argmax(np.abs(errors)))
    tolerance_s = _tolerance_s(index, output)
    off = int(np.count_nonzero(np.abs(errors) > tolerance_s))
    actual = f"largest error {milliseconds(float(abs(errors[worst])))}"
    if off:
        at = seconds(float(source[worst]))
        actual += f" at frame {worst} ({at} after the first); {off} frames off"
    tolerance = f"± {milliseconds(tolerance_s)} after one shift for the whole file"
    return row(check, VIDEO, expected, actual, off == 0, tolerance=tolerance)


def _duration_row(index: FrameIndex, output: TrackFacts, container: Container) -> ManifestRow:
    """From the first frame shown to the end of the last one.

    Some files cannot say how long a frame is shown: a block of Matroska carries no duration as
    libavformat writes it (the track's default frame is taken), and MP4 gives durations in
    decoding order, which is another one where B-frames have uneven times. There the last frame
    of the source may last longer or shorter than the output tells: the row is `named`.
    """
    check, expected_s = "video_duration", index.duration_s
    if len(index) != len(output) or not len(index):
        shown = seconds(expected_s), "not compared"
        return named(check, VIDEO, *shown, "the frame counts differ")
    # Of the frame shown last: in decoding order the duration of another may reach beyond it.
    actual_s = float(output.pts[-1] + output.duration[-1] - output.pts[0]) * output.tick_s
    tolerance_s = 2 * output.tick_s + float(index.time_base)  # a start, an end and the index's own
    compared = near(check, VIDEO, expected_s, actual_s, tolerance_s)
    tells = container is Container.MP4 and _durations_are_of_display(output)
    last_s = float(int(index.duration[-1]) * index.time_base)
    tail_s = max(last_s, output.frame_s) + tolerance_s
    if compared.outcome == "fail" and not tells and abs(actual_s - expected_s) <= tail_s:
        note = "this file cannot say how long its last frame is shown"
        shown = compared.expected, compared.actual
        return named(check, VIDEO, *shown, note, tolerance=compared.tolerance)
    return compared


def _durations_are_of_display(track: TrackFacts) -> bool:
    """True if every frame but the last lasts until the next one is shown."""
    return bool(np.all(np.abs(track.duration[:-1] - np.diff(track.pts)) <= 1))


def _decoding_rows(output: TrackFacts) -> tuple[ManifestRow, ...]:
    decoded = output.decoded
    if decoded is None:
        note = "decoding was not asked for"
        return (named("video_decode", VIDEO, f"{len(output)} frames", "not decoded", note),)
    whole = decode_row("video_decode", VIDEO, len(output), decoded)
    return (whole, _order_row(output, decoded)) if len(decoded.pts) else (whole,)


def decode_row(check: str, subject: str, packets: int, decoded: DecodedFacts) -> ManifestRow:
    """Every packet decodes, one frame each, none refused and none patched up."""
    passed = decoded.frames == packets and not decoded.errors and not decoded.damaged
    expected = f"{packets} frames without an error"
    found = [f"{decoded.frames} frames"]
    if decoded.errors:
        found.append(f"{decoded.errors} packets refused")
    if decoded.damaged:
        found.append(f"{decoded.damaged} frames damaged")
    actual = expected if passed else ", ".join(found)
    return row(check, subject, expected, actual, passed, note=decoded.first_error or decoded.note)


def _order_row(output: TrackFacts, decoded: DecodedFacts) -> ManifestRow:
    """What the decoder shows comes at the times of the packets, in order."""
    check, expected = "decoded_timestamps", "the frames' times are the packets' times, in order"
    if decoded.frames != len(output):
        return named(check, VIDEO, expected, "not compared", "not every packet gave a frame")
    same = bool(np.array_equal(decoded.pts, output.pts))
    return row(check, VIDEO, expected, expected if same else "they differ", same)
