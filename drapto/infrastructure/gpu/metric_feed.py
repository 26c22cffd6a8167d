"""Decoded luma of two videos, from ffmpeg into a metric that computes on a device.

    graph = stacked("[encoded]", "[original]", frame_rate)
    run = partial(run_process, [ffmpeg, …, "-lavfi", graph, *FEED], cwd=scratch, …)
    scores = await LumaFeed(vmaf, (1920, 1080), scratch).scores(run)

ffmpeg brings both sides to the same frames and the same picture, as it does for its own metrics,
and writes them one below the other into a named pipe; a thread reads them in batches and hands
those on. Cropping, fields and colours are so the same wherever is measured. A frame costs two
planes of luma on their way to the device.

Tests: tests/infrastructure/ffmpeg/test_quality_on_device.py.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np
import numpy.typing as npt

from drapto.core.errors import one_error
from drapto.infrastructure.gpu.metric_vmaf import TorchVmaf

_PIPE = "luma"
# What ffmpeg writes into its working directory; every frame, whatever its time.
FEED = ("-fps_mode", "passthrough", "-f", "rawvideo", "-y", _PIPE)

BATCH_PIXELS = 16 << 20  # 8 frames of 1080p
_PIPE_BYTES = 1 << 20  # as many as an ordinary user may have (pipe(7))
_LOOK_S = 0.1  # how often the thread looks whether ffmpeg is still there


def stacked(encoded: str, original: str, frame_rate: Fraction) -> str:
    """Filters: the 8-bit luma of both labelled streams, frame n above frame n, whatever their
    timestamps; ends with the shorter one."""
    numbered = f"settb={frame_rate.denominator}/{frame_rate.numerator},setpts=N,extractplanes=y"
    return f"{encoded}{numbered}[upper];{original}{numbered}[lower];[upper][lower]vstack=shortest=1"


class LumaFeed:
    """One stretch of frames, in one pass. `picture`: width and height; `directory`: that in which
    ffmpeg works."""

    def __init__(self, vmaf: TorchVmaf, picture: tuple[int, int], directory: Path) -> None:
        self._vmaf = vmaf
        width, self._height = picture
        frames = max(1, BATCH_PIXELS // (width * self._height))
        self._batch: npt.NDArray[np.uint8] = np.empty((frames, 2 * self._height, width), np.uint8)
        self._pipe = directory / _PIPE
        self._ended = threading.Event()
        self._given_up = threading.Event()

    async def scores(self, run: Callable[[], Awaitable[object]]) -> list[float]:
        """Of the frames that `run` writes. Errors: its own; ResourceError of the device."""
        os.mkfifo(self._pipe, 0o600)
        # Both ways, so that neither side waits for the other to open it.
        pipe = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK)
        try:
            with suppress(OSError):  # a user with many pipes may have no larger one; it is slower
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            with one_error():
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.to_thread.run_sync, self._take, pipe)
                    try:
                        await run()
                    except BaseException:
                        self._given_up.set()
                        raise
                    self._ended.set()
        finally:
            os.close(pipe)
        return await anyio.to_thread.run_sync(self._vmaf.scores)

    def _take(self, pipe: int) -> None:
        """Hand on what comes until ffmpeg has ended and the pipe is empty."""
        room = self._batch.reshape(-1).data
        filled = 0
        while not self._given_up.is_set():
            last = self._ended.is_set()  # asked before reading, or its last bytes would be missed
            try:
                filled += os.readv(pipe, [room[filled:]])
            except BlockingIOError:
                if last:
                    self._hand_on(filled // self._batch[0].size)
                    return
                select.select([pipe], [], [], _LOOK_S)
            if filled == len(room):
                self._hand_on(len(self._batch))
                filled = 0

    def _hand_on(self, frames: int) -> None:
        whole = self._batch[:frames]
        self._vmaf.add(whole[:, : self._height], whole[:, self._height :])
