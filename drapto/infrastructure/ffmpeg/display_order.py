"""In which order the pictures of a stream are shown, where the container does not say.

Bare streams carry no timestamps, AVI none that speak of display order, and some old files
only here and there. The order is then in the bitstream itself. Three ways to get at it, the
cheapest that is certain first:

- codecs without reordering are shown as they are decoded;
- MPEG-1, -2 and -4: a B picture is shown at once, any other when the next of its kind comes;
- H.264 and HEVC: by the picture order counts in their slice headers;
- all else, and streams whose counts make no order: decode everything once and look.

(libavcodec's `dts2pts` filter counts pictures, too, but loses some at the end of a GOP.)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drapto.core.media import Int64Array
from drapto.infrastructure.ffmpeg.h264 import H264Pictures, OrderCount
from drapto.infrastructure.ffmpeg.hevc import HevcPictures
from drapto.infrastructure.ffmpeg.opening import open_input
from drapto.infrastructure.ffmpeg.packets import (
    PACKETS_PER_CHECK,
    Check,
    PacketTable,
    no_check,
    pictures,
    video_stream,
)

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# Decoders of these never hold a frame back (libavcodec's descriptors lack AV_CODEC_PROP_REORDER,
# or the reordering is inside a packet, as in AV1 and VP9).
_IN_ORDER = frozenset({
    "vp8", "vp9", "av1", "mjpeg", "mjpegb", "jpeg2000", "png", "apng", "gif", "rawvideo",
    "huffyuv", "ffvhuff", "ffv1", "utvideo", "magicyuv", "prores", "dnxhd", "dvvideo",
    "theora", "cfhd", "hap", "h261", "h263", "h263p", "flv1", "msmpeg4v1", "msmpeg4v2",
    "msmpeg4v3", "wmv1", "wmv2", "cinepak", "msvideo1", "msrle", "indeo2", "indeo3",
    "rpza", "qtrle", "svq1", "vp3", "vp5", "vp6", "vp6f", "vp6a", "zmbv", "v210",
    "lagarith", "cllc", "snow",
})  # fmt: skip
_B_MARKED = frozenset({"mpeg1video", "mpeg2video", "mpeg4"})
_COUNTED = frozenset({"h264", "hevc"})


def never_reorders(codec: str) -> bool:
    return codec in _IN_ORDER


def display_order(
    path: Path, stream_index: int, table: PacketTable, check: Check = no_check
) -> Int64Array:
    """Rows of `table` that are shown, in display order."""
    shown = np.flatnonzero(table.shown)
    if never_reorders(table.codec):
        return shown
    if table.codec in _B_MARKED:
        return order_by_b_pictures(table)
    if table.codec in _COUNTED:
        order = _order_by_count(path, stream_index, table, check)
        if order is not None:
            return order
    return _order_by_decoding(path, stream_index, table, check)


def order_by_b_pictures(table: PacketTable) -> Int64Array:
    """Classic reordering by one: an I or P picture waits for the next I or P picture."""
    order: list[int] = []
    waiting: int | None = None
    for row in np.flatnonzero(table.shown).tolist():
        if table.b_picture[row]:
            order.append(row)
        else:
            if waiting is not None:
                order.append(waiting)
            waiting = row
    if waiting is not None:
        order.append(waiting)
    return np.array(order, dtype=np.int64)


def _order_by_count(
    path: Path, stream_index: int, table: PacketTable, check: Check
) -> Int64Array | None:
    """H.264 and HEVC: sort by picture order count. Counts start anew at an IDR picture, and no
    picture is shown across one. None if a count is missing or two pictures share one."""
    order: list[int] = []
    group: dict[int, int] = {}
    with open_input(path) as container:
        stream = video_stream(container, stream_index, path)
        counter = _counter(table.codec, stream.codec_context.extradata)
        for row, packet in enumerate(pictures(container, stream)):
            if row % PACKETS_PER_CHECK == 0:
                check()
            if row >= len(table):
                return None
            restarts, count = counter(bytes(packet))
            if restarts:
                order += [group[c] for c in sorted(group)]
                group = {}
            if not table.shown[row]:
                continue
            if count is None or count in group:
                return None
            group[count] = row
    order += [group[c] for c in sorted(group)]
    return np.array(order, dtype=np.int64)


def _counter(codec: str, extradata: bytes | None) -> Callable[[bytes], tuple[bool, int | None]]:
    """A function from each packet in turn to (counts start anew, its count)."""
    count = OrderCount()
    number = 0
    if codec == "hevc":
        hevc = HevcPictures(extradata)

        def of_hevc(packet: bytes) -> tuple[bool, int | None]:
            found = hevc.picture(packet)
            if found is None:
                return False, None
            return found.restarts, count.next(
                found.order_lsb,
                found.order_bits,
                restart=found.restarts,
                is_anchor=found.is_anchor,
            )

        return of_hevc
    h264 = H264Pictures(extradata)

    def of_h264(packet: bytes) -> tuple[bool, int | None]:
        nonlocal number
        slices = h264.slices(packet)
        if not slices or slices[0].sps.order_type == 1:
            return False, None
        first = slices[0]
        if first.sps.order_type == 2:  # shown in the order of decoding
            number += 1
            return False, number
        return first.is_idr, count.next(
            first.order_lsb,
            first.sps.order_bits,
            restart=first.is_idr,
            is_anchor=first.is_reference,
        )

    return of_h264


def _order_by_decoding(
    path: Path, stream_index: int, table: PacketTable, check: Check
) -> Int64Array:
    """Decode the stream, every packet marked with its row, and see in what order they come."""
    rows = decoded_rows(path, stream_index, check=check)
    firsts = np.arange(len(table)) - table.second_field  # a second field stands for its first
    seen: set[int] = set()
    order: list[int] = []
    for row in rows:
        first = int(firsts[row]) if row < len(table) else -1
        if first >= 0 and first not in seen and table.shown[first]:
            seen.add(first)
            order.append(first)
    return np.array(order, dtype=np.int64)


def decoded_rows(
    path: Path, stream_index: int, *, packets: int | None = None, check: Check = no_check
) -> list[int]:
    """For every frame that PyAV decodes, the row of its packet; from the first `packets` only.

    Damaged packets are skipped. Errors: InputError if the file cannot be opened.
    """
    import av
    from av.codec.context import Flags

    rows: list[int] = []
    with open_input(path) as container:
        stream = video_stream(container, stream_index, path)
        context = stream.codec_context
        context.thread_type = "AUTO"
        context.flags |= int(Flags.copy_opaque)
        source = pictures(container, stream)
        number = 0
        while packets is None or number < packets:
            packet = next(source, None)
            if packet is None:
                break
            if number % PACKETS_PER_CHECK == 0:
                check()
            packet.opaque = number
            number += 1
            try:
                rows += _marks(context.decode(packet))
            except (av.error.FFmpegError, ValueError):
                continue
        try:
            rows += _marks(context.decode(None))
        except (av.error.FFmpegError, ValueError):
            return rows
    return rows


def _marks(frames: list[VideoFrame]) -> list[int]:
    return [frame.opaque for frame in frames if isinstance(frame.opaque, int)]
