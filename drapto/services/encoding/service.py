"""Encoding: all segments, in parallel, each accepted only if its frames are all there.

Promised: as many encoders at once as there are workers; a segment with the wrong number of
frames, or whose encoder failed, is tried again from an earlier starting point and at last by
decoding from the beginning; then the job fails with the reason of every attempt. An encoder that
got no memory is tried again in a smaller crew, which costs none of the attempts; only where one
alone does not get enough does the job fail. One that crashes twice may have got none either; if it
does so alone, too, the crew is as big again as before. A full disk or a missing program is not
tried again.

Contract suite: tests/services/test_encoding_contract.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from signal import SIGABRT, SIGBUS, SIGKILL, SIGSEGV

import anyio

from drapto.core.errors import (
    EncoderFailedError,
    OutOfMemoryError,
    ProcessFailedError,
    SegmentFailedError,
    one_error,
)
from drapto.core.interfaces import Encoder, SegmentExecutor, TaskSource, WorkerSlots
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.core.words import count
from drapto.services.encoding.crew import Crew
from drapto.services.encoding.registry import encoder_named

_CRASHES = frozenset(-number for number in (SIGKILL, SIGSEGV, SIGBUS, SIGABRT))
_DAMAGE_HINT = "If the source is damaged there, remux or repair it and run the command again."
_NO_MEMORY_HINT = (
    "Give it more memory: end other programs, or raise the limit of this user or container; then "
    "run the same command again."
)


class ParallelEncoding:
    """The new encoding stage: one encoder process per segment, through a SegmentExecutor."""

    def __init__(self, executor: SegmentExecutor, slots: WorkerSlots) -> None:
        self._executor = executor
        self._slots = slots

    @property
    def has_own_encoders(self) -> bool:
        return True

    def default_crf(self, encoder: Encoder, width: int) -> float:
        return encoder.default_crf(width)

    def steers(self, encoder: Encoder) -> bool:
        return encoder.is_steerable

    async def encode(
        self,
        tasks: TaskSource,
        *,
        workers: int,
        on_progress: Callable[[int, int], None],
        on_retry: Callable[[int, int, str], None],
        on_done: Callable[[EncodedSegment], Awaitable[None]],
    ) -> None:
        """Errors: SegmentFailedError (EncoderFailedError where it is a graphics card that fails),
        ResourceError, MissingToolError; the rest is cancelled."""

        crew = Crew(workers)

        async def work() -> None:
            while (task := await tasks.next()) is not None:
                task = with_lp_for_the_end(task, tasks.left, workers)
                await on_done(await self._until_right(task, crew, on_progress, on_retry))

        with one_error():
            async with anyio.create_task_group() as group:
                for _ in range(workers):
                    group.start_soon(work)

    async def _until_right(
        self,
        task: SegmentTask,
        crew: Crew,
        on_progress: Callable[[int, int], None],
        on_retry: Callable[[int, int, str], None],
    ) -> EncodedSegment:
        number = task.segment.index
        reasons: list[str] = []
        failure: ProcessFailedError | None = None
        acquitted = False  # its crashes are not for want of memory
        while task.attempt < len(task.seeks_s):
            try:
                async with crew.place() as size, self._slots.admit(task):
                    done = await self._executor.run(
                        task, lambda frames: on_progress(number, frames)
                    )
            except ProcessFailedError as error:
                again = failure is not None and _crashed(failure) and _crashed(error)
                failure = error
                proven = isinstance(error, OutOfMemoryError)
                suspected = again and not acquitted
                if (proven or suspected) and (crew.too_big(size, proven=proven) or task.lp > 1):
                    task = task.model_copy(update={"lp": 1})
                    on_retry(number, task.attempt, f"{error.brief} {_smaller(crew)}")
                    continue
                reasons.append(error.brief)
                if suspected and not proven:
                    acquitted = True
                    crew.acquit()
                    reasons[-1] += f" {_as_before(crew)}"
            else:
                if done.frames == task.segment.frames:
                    self._slots.observe(task, done)
                    return done
                reasons.append(
                    f"{count(done.frames, 'frame')} came out instead of {task.segment.frames}"
                )
            task = task.model_copy(update={"attempt": task.attempt + 1})
            if task.attempt < len(task.seeks_s):
                on_retry(number, task.attempt, reasons[-1])
        by_card = self.has_own_encoders and _is_of_card(task, failure)
        raise _failed(task, reasons, failure, by_card=by_card) from failure


def _is_of_card(task: SegmentTask, failure: ProcessFailedError | None) -> bool:
    """Whether a graphics card did not encode what it should. What only measures its segments is
    another program, that knows nothing of the encoder."""
    encoder = encoder_named(task.settings.encoder)
    return encoder.needs_device and (failure is None or encoder.ffmpeg_encoder in failure.command)


def _failed(
    task: SegmentTask, reasons: list[str], failure: ProcessFailedError | None, *, by_card: bool
) -> SegmentFailedError:
    """`failure` None: frames were missing in every attempt."""
    segment = task.segment
    message = (
        f"Segment {segment.index} (frames {segment.start} to {segment.end - 1}) of "
        f"{task.source} could not be encoded in {count(len(reasons), 'attempt')}: "
        + "; ".join(f"({n}) {reason.rstrip('.')}" for n, reason in enumerate(reasons, 1))
        + "."
        + (f" The last command: {failure.command_line}" if failure else "")
    )
    hint = _NO_MEMORY_HINT if isinstance(failure, OutOfMemoryError) else _DAMAGE_HINT
    if not by_card:
        return SegmentFailedError(message, hint=hint)
    return EncoderFailedError(message, hint=hint, said=failure.stderr_tail if failure else "")


def _crashed(error: ProcessFailedError) -> bool:
    """Killed, or by a fault of its own: SVT-AV1 uses memory without asking whether it got any, so
    this is how it ends where it got none. Somebody who kills an encoder does so once."""
    return error.returncode in _CRASHES


def _smaller(crew: Crew) -> str:
    return f"From now on {count(crew.size, 'encoder')} at a time."


def _as_before(crew: Crew) -> str:
    return f"It did so alone, too, for no want of memory: {count(crew.size, 'encoder')} at a time."


def with_lp_for_the_end(task: SegmentTask, left: int | None, workers: int) -> SegmentTask:
    """The last round of segments leaves cores idle, one after the other: they may use more.

    `left` tasks wait behind this one (None: more may come). At lp=1 SVT-AV1 takes a tenth less
    CPU time than at lp=2, but keeps one core busy instead of almost three (measured at 480p on
    180 frames: 5.6 s of CPU time in 5.3 s against 6.2 s in 2.3 s). The bytes are the same.
    """
    if left is None or left >= workers or task.lp > 1:
        return task
    return task.model_copy(update={"lp": 2})
