"""Demuxes one video stream and notes, in decode order, what every packet is.

`read_packets` touches the decoder not at all: it reads as fast as the disk and the demuxer do.
`pictures` is the same walk with the packets themselves, for whoever copies them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drapto.core.dynamic_metadata import NONE_CARRIED, CarriedFrames, FrameMetadata
from drapto.core.errors import InputError
from drapto.core.media import BoolArray, Int64Array
from drapto.infrastructure.ffmpeg.frame_metadata import extractor
from drapto.infrastructure.ffmpeg.h264 import H264Pictures
from drapto.infrastructure.ffmpeg.opening import ELEMENTARY_FORMATS, open_input

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

NO_PTS = int(np.iinfo(np.int64).min)  # AV_NOPTS_VALUE

Check = Callable[[], None]
"""Called every so often from the reading thread; raises to stop it (cancellation)."""

PACKETS_PER_CHECK = 256

_VOP_START = b"\x00\x00\x01\xb6"
_PICTURE_START = b"\x00\x00\x01\x00"
_B_PICTURE_CODECS = frozenset({"mpeg1video", "mpeg2video", "mpeg4"})


def no_check() -> None:
    """The Check of a caller that is never cancelled."""


@dataclass(frozen=True)
class PacketTable:
    """One row a packet, in decode order. Arrays have shape (packets,); times in `time_base`."""

    format_name: str
    codec: str
    time_base: Fraction
    rate: Fraction | None  # nominal, frames per second, as far as the headers say
    pts: Int64Array  # NO_PTS where the container has none
    dts: Int64Array
    duration: Int64Array  # 0 where unknown
    key: BoolArray  # a decoder can start here and shows a whole picture
    shown: BoolArray  # a decoder yields a frame for it
    second_field: BoolArray  # completes the frame of the packet before it
    b_picture: BoolArray  # MPEG-1, -2 and -4: shown as soon as it is decoded
    corrupt: BoolArray  # the demuxer marks it as damaged
    fault: str  # why reading stopped before the end, or empty
    promised: int  # how many packets the container says it has, 0 if it does not
    size_bytes: int  # of all packets together
    carries: CarriedFrames = NONE_CARRIED  # dynamic metadata

    def __len__(self) -> int:
        return len(self.pts)


def read_packets(path: Path, stream_index: int, check: Check = no_check) -> PacketTable:
    """Walk the stream from end to end. Errors: InputError if there is nothing to read."""
    import av

    with open_input(path) as container:
        stream = video_stream(container, stream_index, path)
        notes = _Notes(stream)
        fault = ""
        try:
            for number, packet in enumerate(pictures(container, stream)):
                if number % PACKETS_PER_CHECK == 0:
                    check()
                notes.take(packet)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            fault = str(getattr(error, "strerror", None) or error)
        if not notes.rows:
            why = f": {fault}" if fault else ""
            raise InputError(
                f"No frame can be read from video stream {stream_index} of {path}{why}.",
                hint="The file is damaged or was cut off; copy it again.",
            )
        return notes.table(container.format.name, fault)


def video_stream(container: InputContainer, stream_index: int, path: Path) -> VideoStream:
    """The stream, all others told to be skipped. Errors: InputError."""
    from av.stream import Discard
    from av.video.stream import VideoStream

    for stream in container.streams:
        if stream.index != stream_index:
            stream.discard = Discard.all
    for stream in container.streams:
        if stream.index == stream_index and isinstance(stream, VideoStream):
            if stream.codec_context is None:
                raise InputError(f"{path}: the codec of video stream {stream_index} is unknown.")
            return stream
    raise InputError(f"{path} has no video stream with the index {stream_index}.")


def pictures(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets in decode order, one picture (or field) each.

    MPEG-4 in AVI may be 'packed': two pictures in a packet and an empty one after it. Such
    packets come out taken apart; others pass unchanged.
    """
    from av.bitstream import BitStreamFilterContext

    unpack = None
    if stream.codec_context.codec.canonical_name == "mpeg4":
        unpack = BitStreamFilterContext("mpeg4_unpack_bframes", stream)
    for packet in container.demux(stream):
        if unpack is None:
            if packet.size:
                yield packet
        else:
            yield from (p for p in unpack.filter(packet if packet.size else None) if p.size)


class _Notes:
    """Collects the rows."""

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self._codec = str(context.codec.canonical_name)
        self._time_base = stream.time_base or Fraction(1, 1_000_000)
        bare = stream.container.format.name in ELEMENTARY_FORMATS
        # Of a bare stream the demuxer only assumes a rate; its headers may tell.
        told = context.framerate if bare else stream.guessed_rate or stream.average_rate
        self._rate = told or None
        self._promised = stream.frames
        self._h264 = H264Pictures(context.extradata) if self._codec == "h264" else None
        self._extract = extractor(self._codec, context.extradata)
        self._carries = Counter[str]()
        self._first_rpu: bytes | None = None
        self._size_bytes = 0
        self.rows: list[tuple[int | bool, ...]] = []

    def take(self, packet: Packet[VideoStream]) -> None:
        key = packet.is_keyframe
        shown = not packet.is_discard
        second = b_picture = False
        if self._h264 is not None:
            if key or self._h264.may_have_fields:
                slices = self._h264.slices(bytes(packet))
                second = self._h264.is_second_field(slices)
                key = key and not second and self._h264.is_clean_start(slices)
        elif self._codec in ("vp8", "vp9"):
            shown = shown and not _is_hidden(self._codec, memoryview(packet))
        elif self._codec in _B_PICTURE_CODECS:
            b_picture = _is_b_picture(self._codec, bytes(packet))
        if self._extract is not None:
            self._note_metadata(self._extract(bytes(packet)), shown)
        self._size_bytes += packet.size
        pts = NO_PTS if packet.pts is None else packet.pts
        dts = NO_PTS if packet.dts is None else packet.dts
        flags = (key, shown and not second, second, b_picture, packet.is_corrupt)
        self.rows.append((pts, dts, packet.duration or 0, *flags))

    def _note_metadata(self, frame: FrameMetadata, shown: bool) -> None:
        if not shown:
            return
        self._carries["hdr10_plus"] += frame.hdr10_plus is not None
        self._carries["dolby_vision"] += frame.dolby_vision is not None
        self._carries["inherited"] += frame.inherited
        self._first_rpu = self._first_rpu or frame.dolby_vision

    def table(self, format_name: str, fault: str) -> PacketTable:
        columns = list(zip(*self.rows, strict=True))
        numbers = [np.array(column, dtype=np.int64) for column in columns[:3]]
        flags = [np.array(column, dtype=np.bool_) for column in columns[3:]]
        return PacketTable(
            format_name=format_name,
            codec=self._codec,
            time_base=self._time_base,
            rate=self._rate,
            pts=numbers[0],
            dts=numbers[1],
            duration=numbers[2],
            key=flags[0],
            shown=flags[1],
            second_field=flags[2],
            b_picture=flags[3],
            corrupt=flags[4],
            fault=fault,
            promised=self._promised,
            size_bytes=self._size_bytes,
            carries=CarriedFrames(**self._carries, first_rpu=self._first_rpu),
        )


def _is_hidden(codec: str, packet: memoryview) -> bool:
    """A VP8 or VP9 packet that only updates references (an 'alternate reference frame')."""
    if not len(packet):
        return False
    first = packet[0]
    if codec == "vp8":  # RFC 6386, 9.1: bit 4 is show_frame
        return not first >> 4 & 1
    if packet[len(packet) - 1] >> 5 == 0b110:
        return False  # a superframe: hidden pictures with the one that is shown
    # VP9 bitstream specification, 6.2: marker (2), profile (2), reserved in profile 3 (1),
    # show_existing_frame (1), frame_type (1), show_frame (1).
    profile = (first >> 5 & 1) | (first >> 4 & 1) << 1
    shift = 3 if profile < 3 else 2
    show_existing = first >> shift & 1
    show_frame = first >> (shift - 2) & 1
    return not show_existing and not show_frame


def _is_b_picture(codec: str, packet: bytes) -> bool:
    if codec == "mpeg4":  # ISO/IEC 14496-2, 6.2.5: vop_coding_type, 2 is B
        at = packet.find(_VOP_START)
        return 0 <= at < len(packet) - 4 and packet[at + 4] >> 6 == 2
    at = packet.find(_PICTURE_START)  # ISO/IEC 13818-2, 6.2.3: temporal reference (10), type (3)
    return 0 <= at < len(packet) - 5 and packet[at + 5] >> 3 & 7 == 3
