"""Runs one segment task on this machine: one ffmpeg process, then a decode that counts.

The segment file appears under its name only when it is whole: written under another name, then
taken over by a SegmentInspector, which decodes it once from end to end.

Contract suite: tests/services/test_encoding_contract.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.abc

from drapto.core.errors import ProcessFailedError
from drapto.core.interfaces import ProgressCallback, SegmentInspector
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.infrastructure.ffmpeg.inspector import DecodingInspector
from drapto.infrastructure.ffmpeg.progress import PROGRESS_OPTIONS, frame_watcher
from drapto.infrastructure.ffmpeg.run import QUIET_ENCODERS, run_writer
from drapto.infrastructure.files import cleared
from drapto.infrastructure.process import ProcessResult
from drapto.infrastructure.stalling import STALL_S

# An encoder that works and yet finishes no frame for this long hangs (4K at preset 0: 60 s). One
# that does not work at all shows earlier: stalling.py.
NO_FRAME_S = 1800.0

# What has to answer at once goes before the encoders: the detection that feeds them, the display,
# the rest of the machine. Nothing is lost: encoders take whatever is left.
ENCODER_NICE = 5


class LocalSegmentExecutor:
    """`arguments_for` turns a task into ffmpeg arguments: an Encoder's `arguments`."""

    def __init__(
        self,
        ffmpeg: Path,
        arguments_for: Callable[[SegmentTask], list[str]],
        inspector: SegmentInspector | None = None,
        *,
        stall_s: float = STALL_S,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._arguments_for = arguments_for
        self._inspector = inspector or DecodingInspector()
        self._stall_s = stall_s

    def command(self, task: SegmentTask) -> list[str]:
        """The whole command line, for running and for --dry-run."""
        return [
            str(self._ffmpeg),
            *("-nostdin", "-hide_banner", "-v", "error", *PROGRESS_OPTIONS),
            *("-max_error_rate", "1"),  # how many frames come out decides, not how many fail
            *self._arguments_for(task),
        ]

    async def run(self, task: SegmentTask, on_progress: ProgressCallback) -> EncodedSegment:
        """Errors: ProcessFailedError (a hang included), ResourceError on a full disk."""
        partial = cleared(task.output.with_suffix(f".partial{task.output.suffix}"))
        try:
            writing = task.model_copy(update={"output": partial})
            ran = await self._encode(writing, on_progress)
            return await self._inspector.accept(task, partial, ran.use)
        finally:
            partial.unlink(missing_ok=True)

    async def _encode(self, task: SegmentTask, on_progress: ProgressCallback) -> ProcessResult:
        """Run the command; end it when no new frame has come out for NO_FRAME_S."""
        command = self.command(task)
        what = f"Encoding segment {task.segment.index}"
        frames_seen = -1
        result: ProcessResult | None = None

        def on_frames(frames: int) -> None:
            nonlocal frames_seen
            if frames > frames_seen:
                frames_seen = frames
                scope.deadline = anyio.current_time() + NO_FRAME_S
                on_progress(frames)

        with anyio.move_on_after(NO_FRAME_S) as scope:
            result = await run_writer(
                command,
                what=what,
                out=task.output,
                on_stdout_line=frame_watcher(on_frames),
                env=QUIET_ENCODERS,
                nice=ENCODER_NICE,
                stall_s=self._stall_s,
            )
        if result is None:
            raise ProcessFailedError(
                what,
                command=command,
                returncode=None,
                stderr_tail="",
                cut_short=f"brought no frame for {NO_FRAME_S:.0f} s and was ended",
            )
        return result
