"""In which order the pictures of a stream are shown, where the container does not say.

Bare streams carry no timestamps, AVI none that speak of display order, and some old files
only here and there. The order is then in the bitstream itself. Three ways to get at it, the
cheapest that is certain first:

- codecs without reordering are shown as they are decoded;
- MPEG-1, -2 and -4: a B picture is shown at once, any other when the next of its kind comes;
- H.264 and HEVC: picture order counts, which libavcodec's `dts2pts` filter turns into times;
- all else, and what that filter cannot make sense of: decode everything once and look.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drapto.core.media import Int64Array
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
    from av.bitstream import BitStreamFilterContext
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

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

_STEP = 16  # distance of the stand-in timestamps given to dts2pts: room for field offsets


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
    if table.codec in _COUNTED and not table.second_field.any():
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
    """H.264 and HEVC. Counts start anew at every IDR picture, and no picture is shown across
    one, so each such group is filtered on its own. None if the filter's answer is no order."""
    from av.bitstream import BitStreamFilterContext

    order: list[int] = []
    with open_input(path) as container:
        stream = video_stream(container, stream_index, path)
        dts2pts = BitStreamFilterContext("dts2pts", stream)
        group: list[int] = []
        times: list[int | None] = []
        for row, packet in enumerate(pictures(container, stream)):
            if row % PACKETS_PER_CHECK == 0:
                check()
            if row >= len(table):
                return None
            if table.idr[row] and group:
                times += _rest(dts2pts)
                ranked = _ranked(group, times, table)
                if ranked is None:
                    return None
                order += ranked
                group, times = [], []
            times += _times(dts2pts, packet, len(group))
            group.append(row)
        times += _rest(dts2pts)
        ranked = _ranked(group, times, table)
    if ranked is None:
        return None
    return np.array(order + ranked, dtype=np.int64)


def _times(
    dts2pts: BitStreamFilterContext, packet: Packet[VideoStream], number: int
) -> list[int | None]:
    packet.pts = None
    packet.dts = number * _STEP
    packet.duration = _STEP
    return [out.pts for out in dts2pts.filter(packet)]


def _rest(dts2pts: BitStreamFilterContext) -> list[int | None]:
    """What the filter still holds, after which it is ready for a new group."""
    held = [out.pts for out in dts2pts.filter(None)]
    dts2pts.flush()
    return held


def _ranked(group: list[int], times: list[int | None], table: PacketTable) -> list[int] | None:
    """The rows of one group by time. The filter leaves a few times out: those are the holes in
    an otherwise unbroken sequence, filled in the order of decoding."""
    if len(times) != len(group):
        return None
    known = [time for time in times if time is not None]
    if not known or len(set(known)) != len(known):
        return None
    first = min(known)
    expected = range(first, first + len(times) * _STEP, _STEP)
    holes = sorted(set(expected) - set(known))
    if len(known) < len(times) and len(holes) != len(times) - len(known):
        return None
    fill = iter(holes)
    filled = [next(fill) if time is None else time for time in times]
    rows = [group[i] for i in np.argsort(np.array(filled), kind="stable").tolist()]
    return [row for row in rows if table.shown[row]]


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
