"""Copies one audio track by itself, to see whether a container can carry it."""

from __future__ import annotations

from pathlib import Path

from drapto.core.media import MediaInfo
from drapto.core.opening import file_url
from drapto.core.tracks import Container, TrackPlan
from drapto.infrastructure.ffmpeg.audio import source_arguments
from drapto.infrastructure.ffmpeg.run import run_writer
from drapto.infrastructure.files import cleared
from drapto.infrastructure.stalling import STALL_S


async def copy_audio(
    media: MediaInfo,
    plan: TrackPlan,
    out: Path,
    container: Container,
    *,
    ffmpeg: Path,
    stall_s: float = STALL_S,
) -> None:
    """Write `out` with the packets of `plan.source` in it, beginning at 0.

    Errors: ProcessFailedError if the container refuses them; ResourceError.
    """
    what = f"Copying audio track {plan.source.index} of {media.path}"
    arguments = copy_arguments(media.path, plan, out, container)
    await run_writer([ffmpeg, *arguments], what=what, out=cleared(out), stall_s=stall_s)


def copy_arguments(source: Path, plan: TrackPlan, out: Path, container: Container) -> list[str]:
    """Everything after the program's name."""
    return [
        *("-nostdin", "-hide_banner", "-v", "error"),
        *source_arguments(source, plan),
        *("-map_metadata", "-1", "-map_chapters", "-1"),
        *("-c", "copy", "-copyinkf", "-avoid_negative_ts", "make_zero"),
        *("-f", str(container), "-y", file_url(out)),
    ]
