"""Joins encoded segments into one video track with the source's own timestamps.

The frame index is the only authority on time. Inside a segment file timestamps are frame
numbers; here the packet that shows frame n of a segment gets `index.pts[segment.start + n]`,
looked up, never added up, so variable frame rates stay exact and nothing drifts.

The track file is MP4 whatever the final container is, because MP4 keeps any time base
exactly; it begins at 0 and its place on the source's clock is handed back as `start_s`.
Rounding to Matroska's millisecond happens once, when the final file is written.

Codecs with B-frames need decoding timestamps as well: the k-th packet in decoding order gets
the display time of frame k - D, where D is the largest reordering found, and times before
the first frame are continued backwards. So they strictly increase and never pass the
display time.

Tests: tests/infrastructure/ffmpeg/test_video_track.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio.from_thread
import anyio.to_thread
import numpy as np

from drapto.core.errors import SegmentFailedError
from drapto.core.media import DolbyVision, FrameIndex, Int64Array
from drapto.core.opening import file_url
from drapto.core.segments import EncodedSegment
from drapto.core.tracks import VideoTrackFile
from drapto.infrastructure.ffmpeg.dolby_vision_box import add_record
from drapto.infrastructure.ffmpeg.opening import open_container
from drapto.infrastructure.ffmpeg.parameter_sets import ParameterSets
from drapto.infrastructure.files import cleared, give_name, translate

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

_AGAIN_HINT = "Run the same command again: it makes that segment anew."
MAX_TIMESCALE = 2**31 - 1  # MP4 keeps it in 32 bits, libavformat in a signed int


@dataclass(frozen=True)
class _Part:
    """One segment file as it will be written.

    `shown[k]` is the frame of the segment that packet k in decoding order shows.
    """

    encoded: EncodedSegment
    extradata: bytes
    codec: str
    shown: Int64Array

    @property
    def start(self) -> int:
        return self.encoded.segment.start


async def write_video_track(
    segments: Sequence[EncodedSegment],
    index: FrameIndex,
    out: Path,
    *,
    sample_aspect_ratio: Fraction | None = None,
    late_s: Fraction = Fraction(0),
    dolby_vision: DolbyVision | None = None,
) -> VideoTrackFile:
    """Join `segments`, which cover `index` once and in order, into the MP4 file `out`.

    `sample_aspect_ratio` None: what the segment files say. `late_s` is how much later a frame
    is in `index` than on the source's own clock (SourceVideo.late_s). `dolby_vision` is the record
    of what the frames carry, for the containers to come.

    `out` appears only when it is whole. The work is done in a worker thread that stops when
    the caller is cancelled. Errors: SegmentFailedError, naming the segment, if one is missing,
    has another number of frames than it should, was encoded with other settings, or does not hold
    the packets any more that were decoded.
    """
    stop = threading.Event()
    try:
        work = partial(_write, segments, index, out, sample_aspect_ratio, dolby_vision, stop)
        track = await anyio.to_thread.run_sync(work)
        return track.model_copy(update={"start_s": track.start_s - late_s})
    finally:
        stop.set()  # a task cancelled from outside anyio leaves the thread: let it end


def decode_times(shown: Int64Array, pts: Int64Array) -> Int64Array:
    """Decoding timestamps for packets that show frames `shown` (a permutation of 0..n-1).

    `pts` are the display times by frame, shape (n,). The result strictly increases and is at
    most the display time of each packet; without reordering it is `pts` itself.
    """
    position = np.arange(len(shown), dtype=np.int64)
    delay = int(np.max(position - shown)) if len(shown) else 0
    if delay <= 0:
        return pts
    step = max(1, int(np.median(np.diff(pts)))) if len(pts) > 1 else 1
    before = pts[0] - step * np.arange(delay, 0, -1, dtype=np.int64)
    return np.concatenate([before, pts[: len(pts) - delay]])


def timescale_of(time_base: Fraction) -> int:
    """Ticks per second in which every multiple of `time_base` is exact. Errors: ValueError."""
    if not 0 < time_base.denominator <= MAX_TIMESCALE:
        raise ValueError(f"no MP4 time scale is exact for the time base {time_base}")
    return time_base.denominator


def _write(
    segments: Sequence[EncodedSegment],
    index: FrameIndex,
    out: Path,
    aspect: Fraction | None,
    dolby_vision: DolbyVision | None,
    stop: threading.Event,
) -> VideoTrackFile:
    parts = [_read_part(encoded, stop) for encoded in segments]
    _check_cover(parts, len(index))
    inline = _inline_parameter_sets(parts)
    timescale = timescale_of(index.time_base)
    ticks = index.time_base.numerator  # per unit of the index
    pts = (index.pts - index.pts[0]) * ticks
    shown = np.concatenate([part.shown + part.start for part in parts])
    dts = decode_times(shown, pts)
    partial_file = cleared(out.with_suffix(f".partial{out.suffix}"))
    try:
        times = _Times(pts, dts, index.duration * ticks, Fraction(1, timescale))
        _mux_parts(parts, times, partial_file, inline, aspect, stop)
        if dolby_vision is not None:
            add_record(partial_file, dolby_vision)
        give_name(partial_file, out)
    except InterruptedError:
        raise
    except OSError as error:  # libavformat's own errors among them
        raise translate(error, f"The joined video {partial_file} cannot be written") from error
    finally:
        partial_file.unlink(missing_ok=True)
    return VideoTrackFile(
        path=out,
        start_s=int(index.pts[0]) * index.time_base,
        frames=len(index),
        timescale=timescale,
        inline_parameter_sets=bool(inline),
        last_pts=int(pts[-1]),
        last_duration=int(index.duration[-1]) * ticks,
        dolby_vision=dolby_vision,
    )


@dataclass(frozen=True)
class _Times:
    """Everything in units of `time_base`; `dts` by packet, the others by frame."""

    pts: Int64Array
    dts: Int64Array
    duration: Int64Array
    time_base: Fraction


def _mux_parts(
    parts: Sequence[_Part],
    times: _Times,
    out: Path,
    inline: dict[int, ParameterSets],
    aspect: Fraction | None,
    stop: threading.Event,
) -> None:
    import av

    scale = {"video_track_timescale": str(times.time_base.denominator)}
    with av.open(file_url(out), "w", format="mp4", options=scale) as target:
        stream: VideoStream | None = None
        written = 0
        for number, part in enumerate(parts):
            with open_container(part.encoded.path) as source:
                template = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(template, opaque=True)
                    stream.time_base = times.time_base
                    shape = aspect or template.sample_aspect_ratio
                    if shape:  # AV1 has no place for it: the container's is the only one
                        stream.codec_context.sample_aspect_ratio = shape
                payload = sha256()
                for k, packet in enumerate(_packets(source, stop)):
                    if k == len(part.shown):
                        raise _changed(part.encoded)
                    payload.update(packet)
                    frame = part.start + int(part.shown[k])
                    if number in inline and packet.is_keyframe:
                        packet = _with_prefix(packet, inline[number])
                    packet.stream = stream
                    packet.time_base = times.time_base
                    packet.pts = int(times.pts[frame])
                    packet.dts = int(times.dts[written])
                    packet.duration = int(times.duration[frame])
                    target.mux_one(packet)
                    written += 1
                if part.encoded.payload_sha256 not in ("", payload.hexdigest()):
                    raise _changed(part.encoded)


def _changed(encoded: EncodedSegment) -> SegmentFailedError:
    return SegmentFailedError(
        f"Segment {encoded.segment.label} ({encoded.path}) is not what was encoded: somebody has "
        "changed the file since.",
        hint=_AGAIN_HINT,
    )


def _read_part(encoded: EncodedSegment, stop: threading.Event) -> _Part:
    import av

    segment = encoded.segment
    try:
        with open_container(encoded.path) as source:
            stream = source.streams.video[0]
            times = [packet.pts for packet in _packets(source, stop)]
            extradata = bytes(stream.codec_context.extradata or b"")
            codec = stream.codec_context.codec.canonical_name
    except (av.error.FFmpegError, IndexError) as error:
        raise SegmentFailedError(
            f"Segment {segment.label} ({encoded.path}) cannot be read back: {error}.",
            hint=_AGAIN_HINT,
        ) from error
    if len(times) != segment.frames or None in times or len(set(times)) != len(times):
        raise SegmentFailedError(
            f"Segment {segment.label} ({encoded.path}) shows {len(set(times) - {None})} frames "
            f"in {len(times)} packets; it should show {segment.frames}.",
            hint=_AGAIN_HINT,
        )
    shown = np.argsort(np.argsort(np.array(times, dtype=np.int64))).astype(np.int64)
    return _Part(encoded, extradata, codec, shown)


def _check_cover(parts: Sequence[_Part], frames: int) -> None:
    expected = 0
    for part in parts:
        segment = part.encoded.segment
        if segment.start != expected:
            raise SegmentFailedError(
                f"Segment {segment.label} starts at frame {segment.start}, but the segments "
                f"before it end at frame {expected}."
            )
        expected = segment.end
    if expected != frames or not parts:
        raise SegmentFailedError(f"The segments end at frame {expected} of {frames}.")


def _inline_parameter_sets(parts: Sequence[_Part]) -> dict[int, ParameterSets]:
    """Which parts need their parameter sets before every key frame, because they differ.

    AV1 has none to move: there a difference is an error.
    """
    first = parts[0]
    for part in parts:
        if part.codec != first.codec or (part.codec == "av1" and part.extradata != first.extradata):
            raise SegmentFailedError(
                f"Segment {part.encoded.segment.label} was encoded with other settings than "
                f"segment {first.encoded.segment.label}: their sequence headers differ.",
                hint="Run the command again with --no-resume.",
            )
    if all(part.extradata == first.extradata for part in parts):
        return {}
    return {n: ParameterSets.parse(p.codec, p.extradata) for n, p in enumerate(parts)}


def _with_prefix(packet: av.Packet[VideoStream], sets: ParameterSets) -> av.Packet[VideoStream]:
    import av

    changed = cast("av.Packet[VideoStream]", av.Packet(sets.prefixed(bytes(packet))))
    changed.is_keyframe = True
    return changed


def _packets(source: InputContainer, stop: threading.Event) -> Iterator[av.Packet[VideoStream]]:
    """Packets of the one video stream; ends early when nobody waits any more."""
    for packet in source.demux(video=0):
        if packet.dts is None and packet.size == 0:
            continue  # the flush packet at the end
        yield packet
    if stop.is_set():
        raise InterruptedError("joining the segments was given up")
    anyio.from_thread.check_cancelled()
