"""Scores of a stretch of frames of two videos, frame by frame, paired by their numbers.

    pair = Pair(source, output, metric_for(Metric.VMAF))
    scores = await pair.scores(Means(ffmpeg, scratch_dir=temp), pair.measuring(every=3), 0, 240)

Both sides are trimmed to the same frame numbers by their own timestamps and numbered afresh. Where
not every frame came out, the stretch is measured again from the beginning of both files, and then
refused, so that one frame is never compared with its neighbour.

ffmpeg compares the two itself, unless `Means.device` names a device and the metric can be measured
there as well: then it hands over pairs of frames (infrastructure/gpu/metric_feed.py), or is not
asked at all where the device decodes them itself (metric_decoded.py beside it). Where a device
fails, ffmpeg does it after all.

Tests: tests/infrastructure/ffmpeg/test_quality.py and test_quality_on_device.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from drapto.core import film_grain
from drapto.core.errors import InputError, MissingToolError, ProcessFailedError, ResourceError
from drapto.core.interfaces import LumaReader, QualityMetric
from drapto.core.quality import Measuring, Reference, can_compare
from drapto.infrastructure.ffmpeg.footage import Footage, Signal
from drapto.infrastructure.ffmpeg.progress import PROGRESS_OPTIONS, frame_watcher
from drapto.infrastructure.ffmpeg.run import QUIET_ENCODERS
from drapto.infrastructure.gpu.metric_decoded import are_plain, decoded_scores
from drapto.infrastructure.gpu.metric_feed import FEED, LumaFeed, stacked
from drapto.infrastructure.gpu.metric_vmaf import can_measure, trusted_vmaf
from drapto.infrastructure.process import ProcessResult, run_process
from drapto.infrastructure.stalling import STALL_S

_LOG = "scores.log"
_NOTHING = ("-f", "null", "-")
EARLIER_S = 10.0  # so far a decoder that began in a damaged place has come to itself

FramesDone = Callable[[int], None]  # frames compared so far


def unwatched(_frames: int) -> None:
    """The listener of those who wait for the scores."""


def untold(_why: str) -> None:
    """The listener of those who do not care where it is measured."""


@dataclass(frozen=True)
class Means:
    """What measuring may use. `ends_at`: when it is given up, in the clock of the event loop.
    `device`: as torch names it, for what can be measured there; `reader`: what decodes on it, for
    what can be decoded there; `on_fallback` hears why it was not.
    """

    ffmpeg: Path
    scratch_dir: Path  # logs lie there while they are needed
    threads: int = 1
    nice: int = 0
    ends_at: float | None = None
    device: str | None = None
    reader: LumaReader | None = None
    on_fallback: Callable[[str], None] = untold

    @property
    def left_s(self) -> float | None:
        return None if self.ends_at is None else max(0.1, self.ends_at - anyio.current_time())


@dataclass(frozen=True)
class Pair:
    """Two videos that can be compared. Errors: InputError if they cannot.

    `grain`: the level of film grain that the encoder of the output took off the source. With one
    both are compared without grain, as docs/film-grain.md says.
    """

    source: Footage
    output: Footage
    metric: QualityMetric
    grain: int = 0

    def __post_init__(self) -> None:
        self.source.refuse_unlike(self.output)
        width, height = self.output.picture
        if not can_compare(self.metric.metric, width, height):
            raise InputError(
                f"{self.output.path} shows {width}x{height} pixels, too few for "
                f"{self.metric.metric.value.upper()}."
            )

    @property
    def frames(self) -> int:
        return len(self.output.index)

    def measuring(self, every: int = 1) -> Measuring:
        model = self.metric.model_for(*self.output.picture)
        reference = Reference.DENOISED if self.grain else Reference.SOURCE
        return Measuring(metric=self.metric.metric, model=model, every=every, reference=reference)

    async def scores(
        self,
        means: Means,
        measuring: Measuring,
        start: int,
        end: int,
        on_frames: FramesDone = unwatched,
    ) -> list[float]:
        """Of frame `start` and every n-th after it, before `end`.

        Errors: InputError if not all of them can be decoded on both sides, ProcessFailedError
        (past its deadline included), MissingToolError.
        """
        if means.device is not None and can_measure(measuring):
            try:
                return await self._on_device(means, measuring, start, end, on_frames)
            except (MissingToolError, ResourceError) as error:
                means.on_fallback(error.message)
        in_ffmpeg = replace(means, device=None)
        return await self._scores(in_ffmpeg, measuring, start, end, on_frames)

    async def _on_device(
        self, means: Means, measuring: Measuring, start: int, end: int, on_frames: FramesDone
    ) -> list[float]:
        whole = (start, end) == (0, self.frames) and means.ends_at is None
        if means.reader is None or not whole or not are_plain(self.output, self.source):
            return await self._scores(means, measuring, start, end, on_frames)
        assert means.device is not None
        vmaf = await anyio.to_thread.run_sync(trusted_vmaf, measuring, means.device)
        return await decoded_scores(vmaf, means.reader, self.output, self.source, on_frames)

    async def _scores(
        self, means: Means, measuring: Measuring, start: int, end: int, on_frames: FramesDone
    ) -> list[float]:
        got, wanted = 0, measuring.frames_of(end - start)
        for from_beginning in (False, True) if start else (True,):
            command = self.command(
                means, measuring, start, end, from_beginning=from_beginning
            )  # fmt: skip
            scores = await self._run(command, means, measuring, on_frames)
            if len(scores) == wanted:
                return scores
            got = len(scores)
        raise InputError(
            f"{self._name} of {self.output.path} against {self.source.path} cannot be measured: of "
            f"frames [{start}, {end}) only {got} of {wanted} could be decoded on both sides.",
            hint="Read both files from end to end: one of them is damaged.",
        )

    def command(
        self,
        means: Means,
        measuring: Measuring,
        start: int,
        end: int,
        *,
        from_beginning: bool = False,
    ) -> list[str]:
        """Compares frames [start, end) and writes a log in the working directory; or, for a device,
        the frames themselves."""
        bits = max(self.source.bit_depth, self.output.bit_depth)
        form = self.metric.pixel_format(bits)
        sides = (self.output, self.source)
        seeks = [None if from_beginning else side.seek_s(start, end, EARLIER_S) for side in sides]
        signal = Signal.common(self.source.color, self.output.color)
        encoded = self.output.filters(start, end, form, signal)
        taken_in = film_grain.GIVEN_FORMAT if self.grain else form
        original = self.source.filters(start, end, taken_in, signal)
        compared, written = self._compared(means, measuring)
        stream = f"1:{self.source.stream_index}"
        shown = f"[0:{self.output.stream_index}]{encoded}[encoded]"
        base_layer = film_grain.BASE_LAYER if self.grain else ()
        inputs = [
            *(str(means.ffmpeg), "-nostdin", "-hide_banner", "-v", "error", *PROGRESS_OPTIONS),
            *self.output.input(seeks[0], *base_layer),
            *self.source.input(seeks[1]),
            *("-filter_complex_threads", str(means.threads)),
        ]
        if not self.grain:
            graph = f"{shown};[{stream}]{original}[original];{compared}"
            return [*inputs, "-lavfi", graph, *written]
        return [
            *inputs,
            *film_grain.compared_with_denoised(
                self.grain, stream, original, f"{shown};[dec:0]format={form}[original];{compared}"
            ),
        ]

    def _compared(self, means: Means, measuring: Measuring) -> tuple[str, tuple[str, ...]]:
        """What is done with [encoded] and [original], and what is written of it."""
        frame_rate = self.source.index.frame_rate
        if means.device is not None:
            return stacked("[encoded]", "[original]", frame_rate), FEED
        compared = self.metric.graph(
            measuring,
            encoded="[encoded]",
            original="[original]",
            frame_rate=frame_rate,
            log=_LOG,
            threads=means.threads,
        )
        return compared, _NOTHING

    async def _run(
        self, command: list[str], means: Means, measuring: Measuring, on_frames: FramesDone
    ) -> list[float]:
        with tempfile.TemporaryDirectory(prefix="quality-", dir=means.scratch_dir) as directory:
            run = partial(
                run_process,
                command,
                what=f"Measuring {self._name} of {self.output.path}",
                cwd=Path(directory),
                deadline_s=means.left_s,
                stall_s=STALL_S,
                on_stdout_line=frame_watcher(on_frames),
                nice=means.nice,
                env=QUIET_ENCODERS,
            )
            if means.device is None:
                return self._read(Path(directory) / _LOG, measuring, await run())
            vmaf = await anyio.to_thread.run_sync(trusted_vmaf, measuring, means.device)
            return await LumaFeed(vmaf, self.output.picture, Path(directory)).scores(run)

    def _read(self, log: Path, measuring: Measuring, done: ProcessResult) -> list[float]:
        try:
            return self.metric.scores(log.read_bytes(), measuring)
        except (OSError, ValueError) as error:
            raise ProcessFailedError(
                f"Measuring {self._name} of {self.output.path}: its scores cannot be read",
                command=done.command,
                returncode=done.returncode,
                stderr_tail=str(error),
            ) from error

    @property
    def _name(self) -> str:
        return self.metric.metric.value.upper()
