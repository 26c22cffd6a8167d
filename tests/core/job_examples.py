"""Small, whole values of the state's words, for the tests of state and journal."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.entries import AssemblyDone, AudioDone, SourceFingerprint
from drapto.core.job import EncodeOptions, JobRequest, RunOptions
from drapto.core.segments import EncodedSegment, Segment
from drapto.core.state import JobIdentity
from drapto.core.tracks import Assembled, AudioTrackFile

SOURCE = SourceFingerprint(size_bytes=1000, mtime_ns=5_000_000_000, sample_digest="ab" * 16)


def identity(
    *,
    options: EncodeOptions | None = None,
    source: SourceFingerprint = SOURCE,
    ffmpeg_version: str = "9.0",
    run: RunOptions | None = None,
    output: Path = Path("/films/out.mkv"),
) -> JobIdentity:
    return JobIdentity(
        request=JobRequest(
            source=Path("/films/in.mkv"),
            output=output,
            options=options or EncodeOptions(),
            run=run or RunOptions(),
        ),
        source=source,
        ffmpeg_version=ffmpeg_version,
        drapto_version="0.1.0",
    )


def segment(index: int, frames: int = 24) -> Segment:
    return Segment(index=index, start=index * frames, end=(index + 1) * frames)


def plan(count: int, frames: int = 24) -> tuple[Segment, ...]:
    return tuple(segment(index, frames) for index in range(count))


def encoded(index: int, frames: int = 24, folder: Path = Path("/work/segments")) -> EncodedSegment:
    return EncodedSegment(
        segment=segment(index, frames),
        path=folder / f"{index:05d}.mkv",
        frames=frames,
        size_bytes=100 + index,
        digest=f"{index:032x}",
    )


def analysis(frames: int = 96) -> VideoAnalysis:
    return VideoAnalysis(scenes=(Scene(start=0, end=frames),), decoded_frames=frames)


def audio_done(track: int, folder: Path = Path("/work/audio")) -> AudioDone:
    file = AudioTrackFile(
        path=folder / f"{track}.mka", source_index=track, start_s=Fraction(1, 3), duration_s=4.0
    )
    return AudioDone(audio=file, size_bytes=50, digest=f"{track:032x}")


def assembly_done(path: Path = Path("/work/assembly/out.mkv"), mark: int = 0) -> AssemblyDone:
    return AssemblyDone(
        assembled=Assembled(path=path, shift_s=Fraction(-1, 24000)),
        size_bytes=500,
        digest=f"{mark:032x}",
    )


async def trust(_path: Path, _size_bytes: int, _digest: str) -> str | None:
    """A verifier that finds nothing wrong."""
    return None
