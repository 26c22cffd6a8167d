"""Measures a segment against the source, before it gets its name.

    measurer = SegmentMeasurer(ffmpeg, arguments_for)
    quality = await measurer.measure(task, written)

Promised: every frame of the segment was compared with its own frame of the source, or it is an
error; nothing is left behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from drapto.core.errors import ProcessFailedError
from drapto.core.interfaces import QualityMetric
from drapto.core.quality import Measuring, SegmentQuality
from drapto.core.segments import SegmentTask
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.run import QUIET_ENCODERS, run_writer
from drapto.infrastructure.stalling import STALL_S

# As encoders: what feeds them, and the display, go first.
_NICE = 5
_LOG = "scores.log"
_NEG = "neg"

ArgumentsFor = Callable[[SegmentTask, Path, QualityMetric, str], list[str]]
"""(task, encoded file, metric, name of the log) -> ffmpeg's arguments from the inputs on."""


class SegmentMeasurer:
    def __init__(
        self, ffmpeg: Path, arguments_for: ArgumentsFor, *, stall_s: float = STALL_S
    ) -> None:
        self._ffmpeg = ffmpeg
        self._arguments_for = arguments_for
        self._stall_s = stall_s

    async def measure(self, task: SegmentTask, encoded: Path) -> SegmentQuality:
        """`task.measuring` says what. Errors: ProcessFailedError, ResourceError on a full disk."""
        measuring = task.measuring
        assert measuring is not None
        metric = metric_for(measuring.metric, neg=measuring.model.endswith(_NEG))
        what = f"Measuring segment {task.segment.index}"
        with tempfile.TemporaryDirectory(prefix="measuring-", dir=encoded.parent) as directory:
            log = Path(directory) / _LOG
            arguments = self._arguments_for(task, encoded, metric, _LOG)
            command = [
                str(self._ffmpeg),
                *("-nostdin", "-hide_banner", "-v", "error", "-max_error_rate", "1"),
                *arguments,
            ]
            await run_writer(
                command,
                what=what,
                out=log,
                cwd=log.parent,
                env=QUIET_ENCODERS,
                nice=_NICE,
                stall_s=self._stall_s,
            )
            scores = _scores(metric, measuring, log, task.segment.frames, what, command)
        return SegmentQuality.of_scores(scores, measuring.weights(len(scores)))


def _scores(
    metric: QualityMetric,
    measuring: Measuring,
    log: Path,
    frames: int,
    what: str,
    command: list[str],
) -> list[float]:
    wanted = -(-frames // measuring.every)
    try:
        scores = metric.scores(log.read_bytes(), measuring)
    except (OSError, ValueError) as error:
        raise ProcessFailedError(
            f"{what}: its scores cannot be read",
            command=command,
            returncode=0,
            stderr_tail=str(error),
        ) from error
    if len(scores) != wanted:
        raise ProcessFailedError(
            f"{what}: {len(scores)} frames were compared instead of {wanted}",
            command=command,
            returncode=0,
            stderr_tail="",
        )
    return scores
