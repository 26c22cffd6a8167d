"""How many bytes every frame, and every track, of a source takes: by demuxing alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio.from_thread
import anyio.to_thread
import numpy as np

from drapto.core.estimate import PacketSizes
from drapto.core.media import Int64Array, MediaInfo
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.opening import open_input

_PACKETS_PER_CHECK = 256


class PyAvPacketSizes:
    """`core/estimate.py: PacketSizer`, in a worker thread."""

    async def of(self, media: MediaInfo, video: SourceVideo) -> PacketSizes:
        """Reads the source from end to end. Errors: InputError."""
        check = anyio.from_thread.check_cancelled
        return await anyio.to_thread.run_sync(partial(_sizes, media, video, check))

    async def first_packet(self, path: Path) -> int:
        """Bytes of the first packet of a segment file: its key frame. Errors: InputError."""
        return await anyio.to_thread.run_sync(_first_packet, path)


def _sizes(media: MediaInfo, video: SourceVideo, check: Callable[[], None]) -> PacketSizes:
    by_stream: Counter[int] = Counter()
    by_pts: Counter[int] = Counter()
    for path in dict.fromkeys((media.path, video.path)):  # mostly one and the same
        for stream, pts, size in _packets(path, check):
            if path == media.path:
                by_stream[stream] += size
            if path == video.path and stream == video.stream_index and pts is not None:
                by_pts[pts] += size
    return PacketSizes(dict(by_stream), _per_frame(video, by_pts))


def _packets(path: Path, check: Callable[[], None]) -> Iterator[tuple[int, int | None, int]]:
    """Stream, timestamp and bytes of every packet, as far as the file can be read."""
    import av

    with open_input(path) as container, suppress(av.error.FFmpegError):
        for number, packet in enumerate(container.demux()):
            if number % _PACKETS_PER_CHECK == 0:
                check()
            if packet.size:
                yield packet.stream_index, packet.pts, packet.size


def _per_frame(video: SourceVideo, by_pts: Mapping[int, int]) -> Int64Array | None:
    """None where timestamps of packets are not those of frames, as in an elementary stream."""
    pts = video.coded.pts
    sizes = np.array([by_pts.get(int(at), 0) for at in pts], dtype=np.int64)
    return sizes if np.count_nonzero(sizes) >= 0.9 * len(pts) else None


def _first_packet(path: Path) -> int:
    with open_input(path) as container:
        for packet in container.demux(video=0):
            if packet.size:
                return int(packet.size)
    return 0
