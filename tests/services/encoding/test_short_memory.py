"""Encoders that get no memory: fewer run at a time, and the job finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.errors import SegmentFailedError
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from tests.services.test_encoding_contract import Run, tasks_for


def wrapper(directory: Path, script: str) -> Path:
    path = directory / "ffmpeg of a small machine"
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
    return path


def with_room_for_one(directory: Path, end: str, narrow: Path) -> Path:
    """An ffmpeg that ends by `end` while another one runs.

    The one that has the room keeps it until `narrow` is there (or a minute is over), so that the
    others meet it however slow the machine is.
    """
    busy = directory / "busy"
    script = f"""
mkdir "{busy}" 2>/dev/null || {end}
for (( n = 0; n < 1200; n++ )); do [ -e "{narrow}" ] && break; sleep 0.05; done
"{find_ffmpeg()}" "$@"; code=$?
rmdir "{busy}"; exit $code
"""
    return wrapper(directory, script)


NO_MEMORY = '{ echo "Cannot allocate memory" >&2; exit 1; }'


@pytest.mark.parametrize("end", [NO_MEMORY, "kill -SEGV $$"], ids=["said", "crashed"])
async def test_where_memory_is_for_one_encoder_only_one_runs_and_all_is_encoded(
    end: str, video: SourceVideo, tmp_path: Path
) -> None:
    narrow = tmp_path / "one at a time"

    def on_retry(reason: str) -> None:
        if "1 encoder at a time" in reason:
            narrow.touch()

    run = Run(ffmpeg=with_room_for_one(tmp_path, end, narrow), on_retry=on_retry)
    await run(tasks_for(video, tmp_path, 0, 10, 20, 30, 40, 50, 60, 72), workers=4)
    assert sorted(done.segment.index for done in run.done) == list(range(7))
    alone = ["1 encoder at a time" in reason for _, _, reason in run.retries]
    assert alone.index(True) == len(alone) - 1  # from then on none met another
    assert {task for task, _, _ in run.retries} < set(range(7))


async def test_worker_that_died_alone_of_too_many_threads_is_tried_with_fewer(
    video: SourceVideo, tmp_path: Path
) -> None:
    script = f'case "$*" in *lp=2*) {NO_MEMORY} ;; esac\nexec "{find_ffmpeg()}" "$@"'
    run = Run(ffmpeg=wrapper(tmp_path, script))
    (task,) = tasks_for(video, tmp_path, 0, 72)
    await run((task.model_copy(update={"lp": 2}),), workers=1)
    assert [done.frames for done in run.done] == [72]
    assert [(segment, attempt) for segment, attempt, _ in run.retries] == [(0, 0)]


async def test_where_one_encoder_alone_gets_no_memory_the_job_fails_and_says_so(
    video: SourceVideo, tmp_path: Path
) -> None:
    run = Run(ffmpeg=wrapper(tmp_path, NO_MEMORY))
    with pytest.raises(SegmentFailedError, match="no memory was left for it") as caught:
        await run(tasks_for(video, tmp_path, 0, 24, 72), workers=2)
    assert "Give it more memory" in caught.value.hint


async def test_crashes_that_come_alone_too_cost_the_others_no_place_in_the_end(
    video: SourceVideo, tmp_path: Path
) -> None:
    script = f'case "$*" in *" -ss "*00001*) kill -SEGV $$ ;; esac\nexec "{find_ffmpeg()}" "$@"'
    run = Run(ffmpeg=wrapper(tmp_path, script))
    first, second = tasks_for(video, tmp_path, 0, 48, 72)
    seeks_s = (2.0, 1.0, 0.5, None)  # only from the beginning does the decoder survive
    await run((first, second.model_copy(update={"seeks_s": seeks_s, "lp": 2})), workers=4)
    assert [done.frames for done in sorted(run.done, key=lambda d: d.segment.index)] == [48, 24]
    crews = [reason.rpartition(". ")[2] for _, attempt, reason in run.retries if attempt]
    assert crews[1:3] == ["From now on 2 encoders at a time.", "From now on 1 encoder at a time."]
    assert "no want of memory: 4 encoders at a time" in crews[3]
    assert all("at a time" not in said for said in crews[4:])
    assert [attempt for _, attempt, _ in run.retries] == [1, 1, 1, 2, 3]


async def test_encoder_that_crashes_once_costs_no_other_its_place(
    video: SourceVideo, tmp_path: Path
) -> None:
    flag = tmp_path / "crashed"
    script = f'[ -e "{flag}" ] || {{ touch "{flag}"; kill -SEGV $$; }}\nexec "{find_ffmpeg()}" "$@"'
    run = Run(ffmpeg=wrapper(tmp_path, script))
    await run(tasks_for(video, tmp_path, 0, 72), workers=2)
    ((segment, attempt, reason),) = run.retries
    assert (segment, attempt) == (0, 1)
    assert "SIGSEGV" in reason
    assert "at a time" not in reason
