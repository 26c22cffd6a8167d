"""Reads sources: `PyAvReader` implements `MediaReader` of core/interfaces.py.

`open_video` promises a video whose frames the ffmpeg program finds by the timestamps of the
index (`-copyts -ss KEY -vf trim=start_pts=A:end_pts=B`). Containers in which that was measured
to hold for every key frame are used as they are; from all others the video packets are copied
once into the work directory (rewrap.py), or, where no container takes them, used as they are:
the encoder then starts further back.

    reader = PyAvReader()
    media = await reader.probe(path)
    video = await reader.open_video(media, main_video(media), work_dir)

Blocking work runs in a worker thread and stops when the caller is cancelled.
Tests: tests/infrastructure/ffmpeg/test_reader.py.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import anyio.from_thread
import anyio.to_thread
import numpy as np

from drapto.core.analysis import FieldOrder
from drapto.core.errors import InputError
from drapto.core.interfaces import ProgressCallback
from drapto.core.media import MediaInfo, Track, TrackKind
from drapto.core.source import FieldSeries, SourceVideo
from drapto.infrastructure.ffmpeg.decoded_times import decoded_times
from drapto.infrastructure.ffmpeg.fields import field_series
from drapto.infrastructure.ffmpeg.frames import (
    IndexedPackets,
    index_from_decoded,
    index_packets,
)
from drapto.infrastructure.ffmpeg.label import Label
from drapto.infrastructure.ffmpeg.mending import mend
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.ffmpeg.rewrap import read_rewrapped, rewrap, rewrapped_name

# Measured with ffmpeg 9.0 by tests/infrastructure/ffmpeg/test_reader.py: a seek ends at or
# before the key frame that was asked for. In MPEG-TS and FLV it often ends behind it.
ADDRESSABLE_FORMATS = frozenset({"matroska", "webm", "mov", "mp4", "mxf", "nut"})

# Formats of key frames only are searched by frame number and so are addressable, too.
ADDRESSABLE_IF_ALL_KEY = frozenset({"avi", "yuv4mpegpipe", "dv"})


class PyAvReader:
    """See the module's text. `ffmpeg` None: as find_ffmpeg decides."""

    def __init__(self, ffmpeg: Path | None = None) -> None:
        self._ffmpeg = ffmpeg

    async def probe(self, path: Path) -> MediaInfo:
        """What the file says about itself. Errors: InputError."""
        return await anyio.to_thread.run_sync(partial(probe_file, path, self._ffmpeg))

    async def open_video(self, media: MediaInfo, track: Track, work_dir: Path) -> SourceVideo:
        """Build the frame index by demuxing; rewrap into `work_dir` only where it must.

        A copy that an earlier run finished is used again if it still matches the source.
        Errors: InputError, ResourceError.
        """
        return await anyio.to_thread.run_sync(partial(_open_video, media, track, work_dir))

    def main_video(self, media: MediaInfo, wanted: int | None = None) -> Track:
        """The video track to encode. Errors: InputError."""
        return main_video(media, wanted)

    async def corrected(self, video: SourceVideo) -> SourceVideo:
        """The same video with the index that decoding shows to be true.

        Decodes once more, by the encoders' decoder: another one, or one that runs ahead on several
        frames at once, makes other frames of a damaged place. Errors: InputError,
        ProcessFailedError, MissingToolError.
        """
        base = video.index.time_base
        pts = await decoded_times(video.path, video.stream_index, base, self._ffmpeg)
        if np.array_equal(pts, video.index.pts):
            return video
        index = index_from_decoded(video.index, pts)
        return replace(video, index=index)

    async def field_series(
        self, video: SourceVideo, order: FieldOrder, on_progress: ProgressCallback
    ) -> FieldSeries:
        """Decode all of it once more and compare its fields. Errors: InputError."""
        check = anyio.from_thread.check_cancelled
        work = partial(field_series, video, order, on_progress, check)
        return await anyio.to_thread.run_sync(work)


def is_addressable(media: MediaInfo, indexed: IndexedPackets) -> bool:
    """Whether ffmpeg finds every frame of the index in the source itself."""
    names = set(media.format_name.split(","))
    if not indexed.faithful:
        return False
    if names & ADDRESSABLE_FORMATS:
        return True
    return bool(names & ADDRESSABLE_IF_ALL_KEY) and bool(indexed.index.key.all())


def _refuse_joined(media: MediaInfo) -> None:
    """The picture alone can go on where it stopped; sound would have to follow it exactly, and
    only an MPEG-TS tells what of it belongs to which recording (mending.py)."""
    others = [t for t in media.tracks if t.kind in (TrackKind.AUDIO, TrackKind.SUBTITLE)]
    if others:
        raise InputError(
            f"{media.path} holds several recordings one after the other, each with a clock of its "
            f"own, so its {len(others)} other track(s) cannot be kept in step with the picture.",
            hint="Give it one clock first: ffmpeg -i INPUT -map 0 -c copy OUTPUT.mkv",
        )


def _open_video(media: MediaInfo, track: Track, work_dir: Path) -> SourceVideo:
    check = anyio.from_thread.check_cancelled
    indexed = index_packets(media.path, track.index, check)
    path = media.path
    mended = mend(path, track.index, indexed, work_dir, check)
    if mended is not None:
        path, indexed = mended.path, mended.indexed
    if indexed.restarts:
        _refuse_joined(media)
    doubtful = np.unique(indexed.row_frame[indexed.table.corrupt])
    direct = SourceVideo(
        *(media, track, path, track.index, indexed.index),
        carries=indexed.table.carries,
        doubtful=tuple(doubtful[doubtful >= 0].tolist()),
    )
    if mended is not None:
        direct = replace(direct, mended=path, clock_changes=mended.changes)
    if is_addressable(media, indexed):
        return direct
    name = rewrapped_name(path, track.index)
    if name is None and indexed.faithful:
        return direct
    if name is None:
        raise InputError(
            f"The timestamps of video stream {track.index} of {media.path} cannot be used, and no "
            f"other container here takes its codec ({track.codec}).",
            hint="Convert the source to Matroska with another tool first.",
        )
    out = work_dir / name
    made_with = {"stream_index": track.index, "frame_index": indexed.index.digest()}
    label = Label(out, path, made_with)
    index = read_rewrapped(out, indexed, check) if label.holds() else None
    if index is None:
        work_dir.mkdir(exist_ok=True)
        index = rewrap(path, track.index, indexed.index, out, indexed=indexed, check=check)
        label.write()
    first_s = int(indexed.index.pts[0]) * indexed.index.time_base
    late_s = max(Fraction(0), -first_s)
    return replace(direct, path=out, stream_index=0, index=index, late_s=late_s)
