"""Tries an encoder by use: a few frames of a test picture, in the way that segments are encoded.

    trial = await FfmpegTrials(binary, executor).of(encoder, settings)
    trial.problem    # 'Cannot load libcuda.so.1', or empty

Listed is not there: the bundled ffmpeg lists encoders for cards that few machines have, drivers
differ in what they take, and some cards decode a codec that they cannot encode. So an encoder works
if the frames come out, all of them, in the size that was asked for; a driver that hangs is ended.
One that got no memory or no session of the card is busy: it may work later.

Tests: tests/infrastructure/ffmpeg/test_encoder_trial.py.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from fractions import Fraction
from pathlib import Path

import anyio

from drapto.core.encoder_trial import EncoderTrial
from drapto.core.errors import OutOfMemoryError, ProcessFailedError
from drapto.core.interfaces import Encoder, SegmentExecutor
from drapto.core.opening import file_url, synthetic_input
from drapto.core.segments import EncodedSegment, Segment, SegmentTask, VideoSettings
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary
from drapto.infrastructure.ffmpeg.run import run_writer

FRAMES = 8
# A choice: a first CUDA context takes two or three seconds on a busy machine, and a job that would
# wait for a dead driver waits no longer than this.
DEADLINE_S = 20.0
_RATE = 25
# '[av1_nvenc @ 0x55efd8645f40] '
_SPEAKER = re.compile(r"^(?:\[[^]]*\] )+")


class FfmpegTrials:
    """`core/workshop.py: EncoderTrials`. `executor` runs what the encoder is told; `session` gives
    leave to encode on the card, where this program shares it among its jobs."""

    def __init__(
        self,
        binary: FfmpegBinary,
        executor: SegmentExecutor,
        *,
        session: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._binary = binary
        self._executor = executor
        self._session = session
        self._deadline_s = deadline_s

    async def of(self, encoder: Encoder, settings: VideoSettings) -> EncoderTrial:
        """Errors: ResourceError if the disk is full."""
        problem, said, is_busy = "", "", False
        if encoder.ffmpeg_encoder not in self._binary.encoders:
            problem = f"this ffmpeg has no {encoder.ffmpeg_encoder}"
        else:
            try:
                async with self._session():
                    problem = await self._problem(settings)
            except OutOfMemoryError as error:
                problem, said, is_busy = (
                    f"it is busy ({_first_line(error)})",
                    error.stderr_tail,
                    True,
                )
            except ProcessFailedError as error:
                problem, said = _first_line(error), error.stderr_tail
        return EncoderTrial(encoder=encoder.name, problem=problem, is_busy=is_busy, said=said)

    async def _problem(self, settings: VideoSettings) -> str:
        """Errors: ProcessFailedError."""
        with tempfile.TemporaryDirectory(prefix="drapto-trial-") as folder:
            source = Path(folder) / "picture.mkv"
            await self._draw(source, settings)
            done: EncodedSegment | None = None
            with anyio.move_on_after(self._deadline_s):
                done = await self._executor.run(_task(source, settings), lambda _frames: None)
        if done is None:
            return f"it has not encoded {FRAMES} frames within {self._deadline_s:g} s"
        if done.frames != FRAMES:
            return f"of {FRAMES} frames {done.frames} came out"
        sizes = {(form.width, form.height) for form in done.forms}
        if sizes != {(settings.width, settings.height)}:
            came = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
            return f"a picture of {settings.width}x{settings.height} came out as {came}"
        return ""

    async def _draw(self, out: Path, settings: VideoSettings) -> None:
        graph = f"testsrc2=s={settings.source_width}x{settings.source_height}:r={_RATE}"
        await run_writer(
            [
                *(self._binary.path, "-nostdin", "-hide_banner", "-v", "error"),
                *synthetic_input(graph),
                *("-frames:v", str(FRAMES), "-pix_fmt", "yuv420p", "-c:v", "ffv1"),
                *("-f", "matroska", "-y", file_url(out)),
            ],
            what="Drawing a test picture",
            out=out,
        )


def _task(source: Path, settings: VideoSettings) -> SegmentTask:
    settings = settings.model_copy(update={"frame_rate": Fraction(_RATE)})
    return SegmentTask(
        segment=Segment(index=0, start=0, end=FRAMES),
        source=source,
        stream_index=0,
        time_base=Fraction(1, 1000),
        first_pts=0,
        end_pts=None,
        settings=settings,
        output=source.with_name("encoded.mkv"),
        lp=settings.lp,
    )


def _first_line(error: ProcessFailedError) -> str:
    """What ffmpeg says first tells the cause; what follows says what did not come of it."""
    lines = [line.strip() for line in error.stderr_tail.splitlines() if line.strip()]
    return _SPEAKER.sub("", lines[0]).rstrip(".") if lines else error.brief.rstrip(".")
