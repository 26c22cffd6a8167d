"""What every encoding stage must hold, with the real executor and real encoders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from drapto.core.errors import (
    EncoderFailedError,
    MissingToolError,
    ResourceError,
    SegmentFailedError,
)
from drapto.core.interfaces import EncodingService, SegmentExecutor
from drapto.core.quality import Measuring
from drapto.core.segments import EncodedSegment, Segment, SegmentTask, VideoSettings
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.infrastructure.ffmpeg.inspector import DecodingInspector
from drapto.infrastructure.ffmpeg.segment_quality import SegmentMeasurer
from drapto.services.encoding.longest_first import LongestFirst
from drapto.services.encoding.measuring import measuring_arguments
from drapto.services.encoding.registry import encoder_named
from drapto.services.encoding.service import ParallelEncoding, with_lp_for_the_end
from drapto.services.encoding.tasks import make_tasks
from drapto.services.legacy.adapter import LegacyEncoding, ScriptSegmentExecutor
from tests.legacy import foreign, needs_tools, packaged
from tests.media.cards import ABSENT, Card
from tests.services.routing import routed

NVENC = encoder_named("av1-nvenc")


class OpenSlots:
    """Admits everyone, and remembers the most that were inside at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.observed: list[int] = []

    @asynccontextmanager
    async def admit(self, task: SegmentTask) -> AsyncIterator[None]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            yield
        finally:
            self.inside -= 1

    def observe(self, task: SegmentTask, done: EncodedSegment) -> None:
        assert done.peak_rss_bytes > 0
        self.observed.append(task.segment.index)


class Run:
    """One run of the encoding stage, and everything it reported.

    With a directory for its scripts it is the legacy stage, with one for a router the routed one.
    """

    def __init__(
        self,
        *,
        ffmpeg: Path | None = None,
        legacy_in: Path | None = None,
        routed_in: Path | None = None,
        on_retry: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self.service: EncodingService
        self.slots = OpenSlots()
        self.executor: SegmentExecutor
        if legacy_in is None:
            arguments = encoder_named("svt-av1").arguments
            self.executor = LocalSegmentExecutor(ffmpeg or find_ffmpeg(), arguments)
            self.service = ParallelEncoding(self.executor, self.slots)
            if routed_in is not None:
                self.service = routed(routed_in, encoding=self.service).encoding
        else:
            scripts = packaged(legacy_in, ffmpeg=ffmpeg)
            self.executor = ScriptSegmentExecutor(scripts, DecodingInspector())
            self.service = LegacyEncoding(self.executor, self.slots)
        self.done: list[EncodedSegment] = []
        self.retries: list[tuple[int, int, str]] = []
        self.progress: dict[int, int] = {}
        self._on_retry = on_retry

    async def __call__(self, tasks: tuple[SegmentTask, ...], workers: int = 2) -> None:
        async def on_done(segment: EncodedSegment) -> None:
            self.done.append(segment)

        def on_retry(number: int, attempt: int, reason: str) -> None:
            self.retries.append((number, attempt, reason))
            self._on_retry(reason)

        queue = LongestFirst(tasks)
        queue.close()
        await self.service.encode(
            queue,
            workers=workers,
            on_progress=self.progress.__setitem__,
            on_retry=on_retry,
            on_done=on_done,
        )


MakeRun = Callable[..., Run]


@pytest.fixture(params=["new", "routed", pytest.param("legacy", marks=needs_tools)])
def make_run(request: pytest.FixtureRequest, tmp_path: Path) -> MakeRun:
    home = tmp_path / "scratch"
    home.mkdir()
    place = {"new": {}, "routed": {"routed_in": home}, "legacy": {"legacy_in": home}}
    return partial(Run, **place[request.param])


def tasks_for(video: SourceVideo, directory: Path, *borders: int) -> tuple[SegmentTask, ...]:
    segments = [
        Segment(index=n, start=start, end=end) for n, (start, end) in enumerate(pairwise(borders))
    ]
    settings = VideoSettings(
        width=320,
        height=180,
        source_width=320,
        source_height=180,
        preset=13,
        crf=45,
        frame_rate=video.index.frame_rate,
        lp=1,
    )
    return make_tasks(video, segments, settings, directory)


def on_a_card(task: SegmentTask) -> SegmentTask:
    settings = task.settings.model_copy(update={"encoder": NVENC.name})
    return task.model_copy(update={"settings": settings})


async def encode_one(service: EncodingService, task: SegmentTask) -> None:
    queue = LongestFirst([task])
    queue.close()

    async def refuse(segment: EncodedSegment) -> None:
        pytest.fail(f"{segment} was accepted")

    await service.encode(
        queue,
        workers=1,
        on_progress=lambda _segment, _frames: None,
        on_retry=lambda _segment, _attempt, _reason: None,
        on_done=refuse,
    )


async def test_a_card_that_fails_is_told_from_a_segment_that_does(
    video: SourceVideo, tmp_path: Path
) -> None:
    """Another encoder may do better: whoever asked for this one can go on with it."""
    executor = LocalSegmentExecutor(Card(tmp_path).ffmpeg, NVENC.arguments)
    (task,) = tasks_for(video, tmp_path, 0, 10)
    with pytest.raises(EncoderFailedError, match="in 2 attempts") as caught:
        await encode_one(ParallelEncoding(executor, OpenSlots()), on_a_card(task))
    assert ABSENT in caught.value.said


@pytest.mark.parametrize("said", ["no such filter", "Cannot allocate memory"])
async def test_a_card_is_not_blamed_where_its_segment_cannot_be_measured(
    said: str, video: SourceVideo, tmp_path: Path
) -> None:
    """Another encoder's could not be, either: the film would be encoded again for nothing."""
    card = Card(tmp_path)
    card.is_there("av1_nvenc")
    unable = tmp_path / "ffmpeg-that-measures-nothing"
    unable.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    unable.chmod(0o755)
    inspector = DecodingInspector(SegmentMeasurer(unable, measuring_arguments))
    executor = LocalSegmentExecutor(card.ffmpeg, NVENC.arguments, inspector)
    (task,) = tasks_for(video, tmp_path, 0, 10)
    measured = on_a_card(task).model_copy(update={"measuring": Measuring(model="vmaf_v0.6.1")})
    with pytest.raises(SegmentFailedError, match=f"Measuring segment 0.*{said}") as caught:
        await encode_one(ParallelEncoding(executor, OpenSlots()), measured)
    assert not isinstance(caught.value, EncoderFailedError)
    assert set(card.runs) == {"av1_nvenc segment"}


@pytest.mark.parametrize(
    "script",
    [
        "echo 'our encoder is broken' >&2; exit 1",
        "$DRAPTO_FFMPEG -v error -f lavfi -i testsrc=s=320x180 -frames:v 2 -c:v libsvtav1 "
        "-preset 12 -f matroska $DRAPTO_OUTPUT; echo '{\"frames\": 2}'",
    ],
    ids=["fails", "two frames"],
)
async def test_a_card_is_not_blamed_for_scripts_that_never_use_it(
    script: str, video: SourceVideo, tmp_path: Path
) -> None:
    scripts = foreign(tmp_path, encode_segment=f"#!/bin/sh\n{script}\n")
    executor = ScriptSegmentExecutor(scripts, DecodingInspector())
    (task,) = tasks_for(video, tmp_path, 0, 10)
    with pytest.raises(SegmentFailedError, match=r"2 attempts: .*(is broken|2 frames)") as caught:
        await encode_one(LegacyEncoding(executor, OpenSlots()), on_a_card(task))
    assert not isinstance(caught.value, EncoderFailedError)


async def test_every_segment_comes_out_whole(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run()
    await run(tasks_for(video, tmp_path, 0, 10, 50, 72))
    assert sorted((d.segment.index, d.frames) for d in run.done) == [(0, 10), (1, 40), (2, 22)]
    assert all(d.path.stat().st_size == d.size_bytes for d in run.done)
    assert run.retries == []
    assert run.progress == {0: 10, 1: 40, 2: 22}
    assert sorted(run.slots.observed) == [0, 1, 2]
    assert run.slots.most <= 2


async def test_longest_segments_start_first(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run()
    await run(tasks_for(video, tmp_path, 0, 5, 15, 40, 72), workers=1)
    assert [d.segment.index for d in run.done] == [3, 2, 1, 0]


async def test_segment_with_missing_frames_is_tried_again_from_earlier(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    (task,) = tasks_for(video, tmp_path, 24, 34)
    too_late_s = 2.5  # a seek that lands behind the segment: none of its frames come out
    run = make_run()
    await run((task.model_copy(update={"seeks_s": (too_late_s, None)}),))
    assert [d.frames for d in run.done] == [10]
    assert run.done[0].attempt == 1
    assert [(segment, attempt) for segment, attempt, _ in run.retries] == [(0, 1)]


async def test_segment_that_never_comes_right_fails_with_every_reason(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    (task,) = tasks_for(video, tmp_path, 24, 34)
    wrong = task.model_copy(update={"end_pts": task.first_pts + 100, "seeks_s": (1.0, None)})
    run = make_run()
    with pytest.raises(SegmentFailedError, match="2 attempts") as caught:
        await run((wrong,))
    assert "frames came out instead of 10" in str(caught.value)
    assert str(video.path) in str(caught.value)
    assert run.done == []
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


async def test_missing_program_is_not_tried_again(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run(ffmpeg=Path("/nowhere/ffmpeg"))
    with pytest.raises(MissingToolError, match="/nowhere/ffmpeg"):
        await run(tasks_for(video, tmp_path, 0, 72))
    assert run.retries == []


async def test_full_disk_is_named_and_not_tried_again(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (task,) = tasks_for(video, full, 0, 72)
    limited = tmp_path / "ffmpeg-with-little-room"
    limited.write_text(f'#!/bin/sh\nulimit -f 2\nexec {find_ffmpeg()} "$@"\n')
    limited.chmod(0o755)
    run = make_run(ffmpeg=limited)
    with pytest.raises(ResourceError, match="no space is left"):
        await run((task,))
    assert run.retries == []
    assert list(full.iterdir()) == []


async def test_cancelling_leaves_no_partial_file(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    out = tmp_path / "segments"
    out.mkdir()
    run = make_run()
    with anyio.CancelScope() as scope:
        run.progress = _CancelAtFirst(scope)
        await run(tasks_for(video, out, 0, 36, 72))
    assert scope.cancelled_caught
    assert [path.name for path in out.iterdir() if "partial" in path.name] == []


class _CancelAtFirst(dict[int, int]):
    def __init__(self, scope: anyio.CancelScope) -> None:
        super().__init__()
        self._scope = scope

    def __setitem__(self, segment: int, frames: int) -> None:
        self._scope.cancel()


async def test_tasks_may_come_while_others_are_encoded(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    first, second = tasks_for(video, tmp_path, 0, 20, 72)
    run, queue = make_run(), LongestFirst([first])

    async def on_done(segment: EncodedSegment) -> None:
        run.done.append(segment)
        if segment.segment.index == 0:  # only now the next one becomes known
            queue.put(second)
            queue.close()

    await run.service.encode(
        queue,
        workers=2,
        on_progress=run.progress.__setitem__,
        on_retry=lambda *retry: run.retries.append(retry),
        on_done=on_done,
    )
    assert [done.segment.index for done in run.done] == [0, 1]


def test_only_the_last_round_gets_more_parallelism(video: SourceVideo, tmp_path: Path) -> None:
    (task,) = tasks_for(video, tmp_path, 0, 72)
    assert task.lp == 1
    assert [with_lp_for_the_end(task, left, 4).lp for left in (None, 9, 4, 3, 0)] == [1, 1, 1, 2, 2]
    higher = task.model_copy(update={"lp": 4})
    assert with_lp_for_the_end(higher, 0, 4).lp == 4


async def test_parallelism_never_changes_the_bytes(
    video: SourceVideo, tmp_path: Path, make_run: MakeRun
) -> None:
    (task,) = tasks_for(video, tmp_path, 0, 72)
    digests = set()
    for lp in (1, 2, 4):
        run = make_run()
        out = tmp_path / f"lp{lp}.mkv"
        done = await run.executor.run(
            task.model_copy(update={"lp": lp, "output": out}), lambda _frames: None
        )
        digests.add(done.digest)
    assert len(digests) == 1
