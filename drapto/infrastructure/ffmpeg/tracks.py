"""Makes tracks and joins them with one ffmpeg program (`core/workshop.py: TrackMaker`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

from drapto.core.audio_clock import Leap, Picture
from drapto.core.errors import ProcessFailedError
from drapto.core.media import ColorInfo, DolbyVision, FrameIndex, MediaInfo
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.core.tracks import (
    Assembled,
    AudioTrackFile,
    Container,
    MuxPlan,
    TrackPlan,
    VideoTrackFile,
)
from drapto.infrastructure.ffmpeg import audio as audio_encoding
from drapto.infrastructure.ffmpeg import mux as muxing
from drapto.infrastructure.ffmpeg.audio_clock import read_leaps
from drapto.infrastructure.ffmpeg.copied_track import copy_audio
from drapto.infrastructure.ffmpeg.video_track import write_video_track
from drapto.infrastructure.stalling import STALL_S


class FfmpegTracks:
    """`segment_command` is the executor's, so that a dry run shows what would really run."""

    def __init__(
        self,
        ffmpeg: Path,
        segment_command: Callable[[SegmentTask], list[str]],
        *,
        stall_s: float = STALL_S,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._stall_s = stall_s
        self.segment_command = segment_command

    async def audio_leaps(
        self, media: MediaInfo, streams: Collection[int], picture: Picture
    ) -> Mapping[int, tuple[Leap, ...]]:
        return await read_leaps(media.path, streams, picture)

    async def copy_audio(
        self, media: MediaInfo, plan: TrackPlan, out: Path, container: Container
    ) -> None:
        await copy_audio(media, plan, out, container, ffmpeg=self._ffmpeg, stall_s=self._stall_s)

    async def encode_audio(
        self,
        media: MediaInfo,
        plan: TrackPlan,
        out: Path,
        on_progress: Callable[[float], None],
    ) -> AudioTrackFile:
        return await audio_encoding.encode_audio(
            media,
            plan,
            out,
            ffmpeg=self._ffmpeg,
            stall_s=self._stall_s,
            on_progress=on_progress,
        )

    async def write_video_track(
        self,
        segments: Sequence[EncodedSegment],
        index: FrameIndex,
        out: Path,
        sample_aspect_ratio: Fraction | None,
        late_s: Fraction = Fraction(0),
        dolby_vision: DolbyVision | None = None,
    ) -> VideoTrackFile:
        return await write_video_track(
            segments,
            index,
            out,
            sample_aspect_ratio=sample_aspect_ratio,
            late_s=late_s,
            dolby_vision=dolby_vision,
        )

    async def mux(
        self,
        plan: MuxPlan,
        *,
        source: MediaInfo,
        video: VideoTrackFile,
        audio: Mapping[int, AudioTrackFile],
        out: Path,
        temp: Path,
        color: ColorInfo,
    ) -> Assembled:
        assemble = partial(
            muxing.mux,
            plan,
            source=source,
            video=video,
            audio=audio,
            out=out,
            ffmpeg=self._ffmpeg,
            work_dir=temp,
            stall_s=self._stall_s,
            color=color,
        )
        try:
            return await assemble()
        except ProcessFailedError:  # a second attempt: a program may also be killed from outside
            return await assemble()

    def audio_command(self, media: MediaInfo, plan: TrackPlan, out: Path) -> list[str]:
        """As `encode_audio` runs it, but for a start that only decoding can tell exactly."""
        if plan.audio is None:
            raise ValueError("the plan does not encode this track")
        track = plan.source
        start_s = (track.start_pts or 0) * track.time_base
        arguments = audio_encoding.encode_arguments(
            audio_encoding.source_arguments(media.path, plan), plan.audio, Fraction(start_s), out
        )
        return [str(self._ffmpeg), *arguments]
