"""Takes the packets of one track and keeps their times, their hash and what they decode to."""

from __future__ import annotations

import struct
from fractions import Fraction
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from drapto.core.color_codes import MATRICES, PRIMARIES, RANGES, TRANSFERS
from drapto.core.facts import DecodedFacts, PictureForm, TrackFacts
from drapto.core.media import Track, TrackKind

if TYPE_CHECKING:
    from av.stream import Stream

_SKIP_SAMPLES = struct.Struct("<II")  # AV_PKT_DATA_SKIP_SAMPLES: from the start, from the end


class TrackReader:
    """One track of an open container. Not thread-safe; lives as long as the container."""

    def __init__(self, stream: Stream, track: Track, decode: bool, threads: int) -> None:
        self.stream = stream
        self.kind = track.kind
        self._track = track
        self._packets: list[tuple[int, int, int]] = []  # pts, duration, size
        self._hash = sha256()
        self._payload_bytes = 0
        self._hidden = 0
        self._untimed = 0
        self._priming_samples = 0
        self._decoder = _decoder(stream, track, threads) if decode else None

    def take(self, packet: av.Packet[Any]) -> int:
        """Note one packet; returns how many frames it showed (the empty last one flushes)."""
        if packet.size:
            self._note(packet)
        if self._decoder is not None:
            return self._decoder.take(packet)
        return 1 if packet.size else 0

    def facts(self) -> TrackFacts:
        packets = np.array(self._packets, dtype=np.int64).reshape(-1, 3)
        if self.kind is TrackKind.VIDEO:
            packets = packets[np.argsort(packets[:, 0], kind="stable")]
        rate = self._track.sample_rate_hz or 0
        return TrackFacts(
            index=self._track.index,
            kind=self.kind,
            codec=self._track.codec,
            time_base=self._time_base,
            pts=packets[:, 0].copy(),
            duration=packets[:, 1].copy(),
            size_bytes=packets[:, 2].copy(),
            payload_sha256=self._hash.hexdigest(),
            payload_bytes=self._payload_bytes,
            hidden=self._hidden,
            untimed=self._untimed,
            priming_s=self._priming_samples / rate if rate else 0.0,
            decoded=self._decoder.facts() if self._decoder is not None else None,
        )

    @property
    def _time_base(self) -> Fraction:
        return self.stream.time_base or self._track.time_base

    def _note(self, packet: av.Packet[Any]) -> None:
        self._hash.update(packet)
        self._payload_bytes += packet.size
        if packet.is_discard:
            self._hidden += 1
            return
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            self._untimed += 1
            pts = self._packets[-1][0] if self._packets else 0
        if self.kind is TrackKind.AUDIO and packet.has_sidedata("skip_samples"):
            self._note_priming(packet)
        self._packets.append((pts, packet.duration or 0, packet.size))

    def _note_priming(self, packet: av.Packet[Any]) -> None:
        """Only what is skipped before anything was heard moves the start of the track."""
        data = packet.get_sidedata("skip_samples")
        if data and data.data_size >= _SKIP_SAMPLES.size and not self._packets:
            self._priming_samples, _ = _SKIP_SAMPLES.unpack_from(bytes(data))


class _Decoder:
    """Common part: feed packets, count what the decoder refuses."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.frames = 0
        self.errors = 0
        self.damaged = 0
        self.first_error = ""

    def take(self, packet: av.Packet[Any]) -> int:
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            self.errors += 1
            self.first_error = self.first_error or self._describe(packet, error)
            return 0
        for frame in frames:
            self.frames += 1
            self.damaged += int(frame.is_corrupt)
            self.note(frame)
        return len(frames)

    def note(self, frame: Any) -> None:
        raise NotImplementedError

    def facts(self) -> DecodedFacts:
        raise NotImplementedError

    @staticmethod
    def _describe(packet: av.Packet[Any], error: av.error.FFmpegError) -> str:
        where = "at the end" if packet.pts is None or packet.time_base is None else (
            f"at {float(packet.pts * packet.time_base):.3f} s"
        )  # fmt: skip
        return f"{error.strerror} {where}"


class _VideoDecoder(_Decoder):
    def __init__(self, stream: Stream, threads: int) -> None:
        super().__init__(stream)
        context = stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = threads
        self._pts: list[int] = []
        self._forms: dict[PictureForm, None] = {}

    def note(self, frame: VideoFrame) -> None:
        self._pts.append(frame.pts if frame.pts is not None else -1)
        self._forms[picture_form(frame)] = None

    def facts(self) -> DecodedFacts:
        return DecodedFacts(
            frames=self.frames,
            errors=self.errors,
            damaged=self.damaged,
            first_error=self.first_error,
            pts=np.array(self._pts, dtype=np.int64),
            first_pts=min(self._pts) if self._pts else None,
            forms=tuple(self._forms),
        )


class _AudioDecoder(_Decoder):
    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._first_pts: int | None = None
        self._samples = 0
        self._rate = 0
        self._end_s: float | None = None

    def note(self, frame: AudioFrame) -> None:
        if self._first_pts is None:
            self._first_pts = frame.pts
            self._rate = frame.sample_rate
        self._samples += frame.samples
        if frame.time is not None:
            self._end_s = frame.time + frame.samples / frame.sample_rate

    def facts(self) -> DecodedFacts:
        return DecodedFacts(
            frames=self.frames,
            errors=self.errors,
            damaged=self.damaged,
            first_error=self.first_error,
            first_pts=self._first_pts,
            samples=self._samples,
            sample_rate_hz=self._rate,
            end_s=self._end_s,
        )


def _decoder(stream: Stream, track: Track, threads: int) -> _Decoder | None:
    """The decoder to check `track` with; None for what is not decoded (text, cover, data)."""
    if track.kind is TrackKind.AUDIO:
        return _AudioDecoder(stream)
    if track.kind is TrackKind.VIDEO and not track.is_cover_art:
        return _VideoDecoder(stream, threads)
    return None


def picture_form(frame: VideoFrame) -> PictureForm:
    """The shape and colour of a decoded frame."""
    return PictureForm(
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        primaries=PRIMARIES.get(frame.color_primaries),
        transfer=TRANSFERS.get(frame.color_trc),
        matrix=MATRICES.get(frame.colorspace),
        range=RANGES.get(frame.color_range),
    )
