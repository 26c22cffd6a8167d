"""Takes a clip through everything that assembly needs, with quick real encodes."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from drapto.core.job import EncodeOptions
from drapto.core.media import FrameIndex, MediaInfo, TrackKind
from drapto.core.segments import EncodedSegment, Segment
from drapto.core.tracks import Assembled, MuxPlan
from drapto.infrastructure.ffmpeg.audio import encode_audio
from drapto.infrastructure.ffmpeg.mux import mux
from drapto.infrastructure.ffmpeg.probe import probe_file
from drapto.infrastructure.ffmpeg.video_track import write_video_track
from drapto.services.assembly.service import container_for, plan_mux

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
AV1 = ("-c:v", "libsvtav1", "-preset", "13", "-crf", "55", "-pix_fmt", "yuv420p10le")


def frame_index(path: Path, stream: int = 0) -> FrameIndex:
    """The timestamps of the shown packets, sorted: good enough for clips that tests make."""
    with av.open(str(path)) as container:
        video = container.streams.video[stream]
        rows = [
            (packet.pts, packet.duration or 1, packet.is_keyframe)
            for packet in container.demux(video)
            if packet.pts is not None and not packet.is_discard
        ]
        time_base = video.time_base
    assert time_base is not None
    rows.sort()
    pts, duration, key = zip(*rows, strict=True)
    return FrameIndex(time_base, np.array(pts), np.array(duration), np.array(key))


def encode_segment(
    source: Path,
    index: FrameIndex,
    number: int,
    frames: tuple[int, int],
    out: Path,
    encoder: tuple[str, ...] = AV1,
) -> EncodedSegment:
    """Frames [start, end) of the first video stream as a segment file."""
    start, end = frames
    until = f":end_pts={index.pts[end]}" if end < len(index) else ""
    graph = f"trim=start_pts={index.pts[start]}{until},settb=1/24,setpts=N:strip_fps=1"
    argv = [str(FFMPEG), "-nostdin", "-v", "error", "-y", "-copyts", "-noautorotate"]
    argv += ["-i", f"file:{source}", "-map", "0:v:0", "-vf", graph]
    argv += ["-fps_mode", "passthrough", "-enc_time_base", "filter", *encoder]
    argv += ["-fflags", "+bitexact", f"file:{out}"]
    environment = {**os.environ, "SVT_LOG": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return EncodedSegment(
        segment=Segment(index=number, start=start, end=end),
        path=out,
        frames=end - start,
        size_bytes=out.stat().st_size,
        digest="",
    )


def encode_all(
    source: Path,
    index: FrameIndex,
    directory: Path,
    *,
    cuts: tuple[int, ...] | None = None,
    encoder: tuple[str, ...] = AV1,
) -> list[EncodedSegment]:
    """Every frame, in segments that begin at 0 and at `cuts` (default: one cut in the middle)."""
    edges = [0, *((len(index) // 2,) if cuts is None else cuts), len(index)]
    return [
        encode_segment(source, index, n, (start, end), directory / f"segment{n}.mkv", encoder)
        for n, (start, end) in enumerate(itertools.pairwise(edges))
    ]


@dataclass(frozen=True)
class Result:
    source: MediaInfo
    index: FrameIndex
    plan: MuxPlan
    done: Assembled
    output: MediaInfo

    def expected_s(self) -> list[Fraction]:
        """When each frame should be shown, in seconds of the output's clock, exact."""
        base = self.index.time_base
        return [int(pts) * base + self.done.shift_s for pts in self.index.pts]


async def assemble(source: Path, out: Path, options: EncodeOptions | None = None) -> Result:
    """Plan, encode and mux `source` into `out`; work files lie beside `out`."""
    options = options or EncodeOptions()
    media = probe_file(source)
    picture = media.of_kind(TrackKind.VIDEO)[0]
    plan = plan_mux(
        media, picture, video_codec="av1", container=container_for(out), options=options
    )
    work_dir = out.parent / f"{out.name}.work"
    work_dir.mkdir()
    index = frame_index(source)
    segments = encode_all(source, index, work_dir)
    video = await write_video_track(segments, index, work_dir / "video.mp4")
    audio = {
        track.source.index: await encode_audio(
            media, track, work_dir / f"{track.source.index}.opus", ffmpeg=FFMPEG
        )
        for track in plan.audio_encodings
    }
    done = await mux(
        plan, source=media, video=video, audio=audio, out=out, ffmpeg=FFMPEG, work_dir=work_dir
    )
    return Result(media, index, plan, done, probe_file(out))


def packet_times_s(path: Path, stream: int = 0) -> list[Fraction]:
    """Presentation times of the packets of stream `stream`, sorted, exact."""
    with av.open(str(path)) as container:
        chosen = container.streams[stream]
        base = chosen.time_base
        assert base is not None
        times = [p.pts for p in container.demux(chosen) if p.pts is not None]
    return sorted(pts * base for pts in times)
