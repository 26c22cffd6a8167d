"""Decodes a file from end to end and counts what comes out."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread

CANCEL_POLL_FRAMES = 16


async def count_frames(path: Path, *, threads: int = 0) -> int:
    """Frames of the first video stream that decode without an error.

    A file that cannot be read to its end gives the frames before the damage: the caller knows
    how many there must be. `threads` 0 uses all cores. Cancellable.
    """
    return await anyio.to_thread.run_sync(_count, path, threads)


def _count(path: Path, threads: int) -> int:
    import av

    frames = 0
    try:
        with av.open(f"file:{path}") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = threads
            stream.codec_context.options = {"err_detect": "explode"}
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    break
                frames += 1
                if frames % CANCEL_POLL_FRAMES == 0:
                    anyio.from_thread.check_cancelled()
    except (av.error.FFmpegError, IndexError):
        return frames
    return frames
