"""Encoding scripts of another team."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drapto.core.deinterlacing import Deinterlacing, Method
from drapto.core.errors import (
    ScriptContractError,
    SegmentFailedError,
    UsageError,
)
from drapto.core.segments import Segment, VideoSettings
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.inspector import DecodingInspector
from drapto.services.encoding.longest_first import LongestFirst
from drapto.services.encoding.tasks import make_tasks
from drapto.services.legacy.adapter import (
    LegacyEncoding,
    ScriptSegmentExecutor,
)
from tests.legacy import echoing, foreign, opened, packaged
from tests.media import clips
from tests.services.test_encoding_contract import OpenSlots

SIZE = {"width": 320, "height": 180, "source_width": 320, "source_height": 180}


@pytest.fixture
async def video(tmp_path: Path) -> SourceVideo:
    return await opened(clips.silent(tmp_path, frames=24), tmp_path)


async def encoded(executor: ScriptSegmentExecutor, video: SourceVideo, segment: Segment) -> int:
    """Run the stage over one segment; which attempt it was."""
    settings = VideoSettings(**SIZE, preset=12, crf=45, frame_rate=24)
    tasks = LongestFirst(make_tasks(video, [segment], settings, video.path.parent))
    tasks.close()
    attempts: list[int] = []

    async def on_done(done: object) -> None:
        attempts.append(getattr(done, "attempt", -1))

    await LegacyEncoding(executor, OpenSlots()).encode(
        tasks,
        workers=1,
        on_progress=lambda _segment, _frames: None,
        on_retry=lambda _segment, _attempt, _reason: None,
        on_done=on_done,
    )
    (attempt,) = attempts
    return attempt


async def test_segment_of_its_own_is_read_and_the_source_where_that_is_wrong(
    tmp_path: Path,
) -> None:
    video = await opened(clips.silent(tmp_path, frames=48), tmp_path)
    right, wrong = tmp_path / "right.mkv", tmp_path / "wrong.mkv"
    clips.ffmpeg("-i", video.path, "-c", "copy", "-frames:v", "24", right)
    clips.ffmpeg("-i", video.path, "-c", "copy", "-frames:v", "20", wrong)
    executor = ScriptSegmentExecutor(packaged(tmp_path), DecodingInspector())
    segment = Segment(index=0, start=0, end=24, path=right)
    assert await encoded(executor, video, segment) == 0
    assert await encoded(executor, video, segment.model_copy(update={"path": wrong})) == 1
    gone = segment.model_copy(update={"path": tmp_path / "gone.mkv"})
    assert await encoded(executor, video, gone) == 0
    unreadable = replace(video, path=tmp_path / "source is gone.mkv")
    assert await encoded(executor, unreadable, segment) == 0  # the file was read, not the source


async def test_encoder_without_a_file_is_refused(video: SourceVideo, tmp_path: Path) -> None:
    lazy = echoing('{"frames": 24}')
    executor = ScriptSegmentExecutor(foreign(tmp_path, encode_segment=lazy), DecodingInspector())
    with pytest.raises(ScriptContractError, match="no file at DRAPTO_OUTPUT"):
        await encoded(executor, video, Segment(index=0, start=0, end=24))


async def test_encoder_that_does_not_say_that_it_deinterlaced_is_refused(
    video: SourceVideo, tmp_path: Path
) -> None:
    """Combs cannot be seen from outside: the frames are all there."""
    silent = echoing('{"frames": 24}')
    executor = ScriptSegmentExecutor(foreign(tmp_path, encode_segment=silent), DecodingInspector())
    in_fields = video.deinterlaced(Deinterlacing(method=Method.BWDIF))
    with pytest.raises(ScriptContractError, match="does not say that it used DRAPTO_DEINTERLACE"):
        await encoded(executor, in_fields, Segment(index=0, start=0, end=24))


async def test_encoder_that_fails_is_tried_again_and_every_reason_told(
    video: SourceVideo, tmp_path: Path
) -> None:
    failing = "#!/bin/sh\necho tried >>tries\necho out of luck >&2\nexit 1\n"
    scripts = foreign(tmp_path, encode_segment=failing)
    executor = ScriptSegmentExecutor(scripts, DecodingInspector())
    with pytest.raises(SegmentFailedError, match=r"\(1\).*out of luck.*\(2\).*out of luck"):
        await encoded(executor, video, Segment(index=0, start=0, end=24))
    assert (scripts.work_dir / "tries").read_text() == "tried\n" * 2


async def test_other_encoders_than_svt_av1_are_a_usage_error(
    video: SourceVideo, tmp_path: Path
) -> None:
    settings = VideoSettings(**SIZE, encoder="x265", frame_rate=24)
    (task,) = make_tasks(video, [Segment(index=0, start=0, end=24)], settings, tmp_path)
    executor = ScriptSegmentExecutor(packaged(tmp_path), DecodingInspector())
    with pytest.raises(UsageError, match="svt-av1 only, not with x265"):
        await executor.run(task, lambda _frames: None)
