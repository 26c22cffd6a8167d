"""Reads a finished file from end to end and says what is really in it.

Every packet of the tracks that are asked for is timed and hashed, and, where `decode` names its
kind, given to the decoder at once. Nothing but timestamps and counts is kept. Audio is decoded
beside the video in a pass of its own, so that the video decoder never waits for it. The work is
done in worker threads that stop when the caller is cancelled; libav releases the interpreter
lock while it reads and decodes.

    facts = await collect_facts(output)                                # everything, decoded
    facts = await collect_facts(source, decode=(), streams=(1, 2))     # audio and subtitles

Tests: tests/infrastructure/ffmpeg/test_facts.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
import anyio.to_thread

from drapto.core.errors import InputError
from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.interfaces import ProgressCallback
from drapto.core.media import MediaInfo, Track, TrackKind
from drapto.infrastructure.ffmpeg.opening import open_input
from drapto.infrastructure.ffmpeg.probe import probe_file

if TYPE_CHECKING:
    from av.container import InputContainer

    from drapto.infrastructure.ffmpeg.track_reader import TrackReader

DECODABLE = frozenset({TrackKind.VIDEO, TrackKind.AUDIO})
_PACKETS_PER_CHECK = 16  # how often a reading thread asks whether it is still wanted


async def collect_facts(
    path: Path,
    *,
    decode: Collection[TrackKind] = DECODABLE,
    streams: Collection[int] | None = None,
    media: MediaInfo | None = None,
    threads: int = 0,
    on_progress: ProgressCallback | None = None,
) -> FileFacts:
    """Read `path` from end to end.

    `streams` limits the reading to these stream indices (None: all of them; empty: nothing is
    read, only what `media` says). `media` saves probing again. `threads` is the number of
    decoding threads for each video track, 0 for one a core. `on_progress` gets the number of
    video frames decoded (or packets read, without `decode`) and is called from a worker
    thread. A file that cannot be opened or breaks off comes back with `fault` set: that is a
    finding, not an error of the reader.
    """
    stop = threading.Event()
    progress = _Progress(on_progress, stop)
    try:
        if media is None:
            media = await anyio.to_thread.run_sync(probe_file, path)
        passes = _passes(media, streams, decode)
        read: list[_Pass] = [_Pass() for _ in passes]
        async with anyio.create_task_group() as group:
            for tracks, result in zip(passes, read, strict=True):
                work = partial(_read, path, tracks, decode, threads, progress, result)
                group.start_soon(anyio.to_thread.run_sync, work)
        found = sorted((f for one in read for f in one.tracks), key=lambda track: track.index)
        return FileFacts(media, tuple(found), "; ".join(one.fault for one in read if one.fault))
    except InputError as error:
        return FileFacts(media or _unreadable(path), (), f"the file cannot be opened: {error}")
    finally:
        stop.set()  # a task cancelled from outside anyio leaves its threads: let them end


class _Pass:
    """What one reading of the file found; filled in by its thread."""

    def __init__(self) -> None:
        self.tracks: tuple[TrackFacts, ...] = ()
        self.fault = ""


def _passes(
    media: MediaInfo, streams: Collection[int] | None, decode: Collection[TrackKind]
) -> list[Sequence[Track]]:
    """Which tracks are read together: all, or the sound by itself where it is decoded."""
    wanted = [track for track in media.tracks if streams is None or track.index in streams]
    if TrackKind.AUDIO not in decode:
        return [wanted] if wanted else []
    sound = [track for track in wanted if track.kind is TrackKind.AUDIO]
    rest = [track for track in wanted if track.kind is not TrackKind.AUDIO]
    return [tracks for tracks in (rest, sound) if tracks]


def _read(
    path: Path,
    tracks: Sequence[Track],
    decode: Collection[TrackKind],
    threads: int,
    progress: _Progress,
    result: _Pass,
) -> None:
    from drapto.infrastructure.ffmpeg.track_reader import TrackReader

    try:
        container = open_input(path)
    except InputError as error:
        result.fault = str(error)
        return
    with container:
        readers = {
            track.index: TrackReader(
                container.streams[track.index], track, track.kind in decode, threads
            )
            for track in tracks
        }
        result.fault = _read_all(container, readers, progress)
        result.tracks = tuple(reader.facts() for reader in readers.values())


def _unreadable(path: Path) -> MediaInfo:
    size_bytes = path.stat().st_size if path.is_file() else 0
    return MediaInfo(path=path, format_name="", size_bytes=size_bytes)


def _read_all(
    container: InputContainer, readers: dict[int, TrackReader], progress: _Progress
) -> str:
    """Feed every packet to its reader; the reason if the demuxer gave up, else empty."""
    import av

    video = {i for i, reader in readers.items() if reader.kind is TrackKind.VIDEO}
    packets = 0
    try:
        for packet in container.demux([reader.stream for reader in readers.values()]):
            packets += 1
            index = packet.stream.index  # the last, empty packets say 0 in `stream_index`
            shown = readers[index].take(packet)
            if index in video and shown:
                progress.add(shown)
            if packets % _PACKETS_PER_CHECK == 0:
                progress.check()
    except av.error.FFmpegError as error:
        return f"reading stopped after {packets} packets: {error}"
    return ""


class _Progress:
    """Tells how far the pass is, and ends it when nobody waits for it any more."""

    def __init__(self, on_progress: Callable[[int], None] | None, stop: threading.Event) -> None:
        self._on_progress = on_progress
        self._stop = stop
        self._frames = 0

    def add(self, frames: int) -> None:
        self._frames += frames
        if self._on_progress is not None:
            self._on_progress(self._frames)

    def check(self) -> None:
        """Raise the cancellation of the waiting task, or stop if that task is gone."""
        anyio.from_thread.check_cancelled()
        if self._stop.is_set():
            raise InterruptedError("reading was given up")
