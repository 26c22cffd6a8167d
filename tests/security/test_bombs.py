"""Files that are made to bring a reader down: they end in one error, within bounds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.media import MediaInfo, Track
from drapto.infrastructure.ffmpeg import asking
from drapto.infrastructure.ffmpeg.asking import ask_program
from drapto.infrastructure.ffmpeg.opening import open_container
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.process import ProcessResult, run_process
from tests.end_to_end.program import QUICK, command, environment
from tests.infrastructure.ffmpeg.test_mux_arguments import VIDEO
from tests.media import bombs
from tests.media.clips import silent

BOUND_BYTES = 600 * 1024**2  # Drapto with all its libraries takes 100 MB, a small encode 200

# Between the tests and what they start: of a process that was forked, Linux counts the memory of
# the one that forked it as its own peak, and the tests may take more than the bound themselves.
BETWEEN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(done.returncode)
"""


async def encoded(source: Path, output: Path) -> tuple[ProcessResult, int]:
    """What came of it, and the peak memory in bytes of the largest process."""
    said: list[str] = []
    done = await run_process(
        [sys.executable, "-c", BETWEEN, *command("encode", source, output, *QUICK)],
        what="A test",
        env=environment(),
        check=False,
        on_stdout_line=said.append,
    )
    return done, int(said[-1])


@pytest.mark.parametrize("make", [bombs.huge_picture, bombs.many_samples, bombs.many_streams])
async def test_a_bomb_is_refused_within_bounds(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = make(tmp_path)
    done, peak_bytes = await encoded(source, tmp_path / "out.mkv")
    assert done.returncode == 3, done.stderr_tail
    assert source.name in done.stderr_tail.replace("\n", "")
    assert "Traceback" not in done.stderr_tail
    assert peak_bytes < BOUND_BYTES
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


async def test_a_huge_cover_is_copied(tmp_path: Path) -> None:
    source, output = bombs.huge_cover(tmp_path), tmp_path / "out.mkv"
    done, peak_bytes = await encoded(source, output)
    assert done.returncode == 0, done.stderr_tail
    assert peak_bytes < 2 * BOUND_BYTES  # ffmpeg looks at the cover once, in a child
    assert len(probe_file(output).cover_art) == 1


def test_no_decoder_takes_more_pixels_than_an_av1_has(tmp_path: Path) -> None:
    import av

    with open_container(bombs.huge_picture(tmp_path)) as container:
        packet = next(container.demux(video=0))
        with pytest.raises(av.error.FFmpegError):
            packet.decode()
    with open_container(bombs.huge_picture(tmp_path, side=4000)) as container:
        assert len(next(container.demux(video=0)).decode()) == 1  # of an honest one it takes all


def test_a_picture_larger_than_any_av1_is_refused_in_plain_words() -> None:
    track: Track = VIDEO.model_copy(
        update={"width": 65_535, "height": 65_535, "pixel_format": "yuv420p"}
    )
    media = MediaInfo(path=Path("/in.mkv"), format_name="mov", size_bytes=1, tracks=(track,))
    with pytest.raises(InputError, match="65535x65535, larger than any AV1"):
        main_video(media)


def program(directory: Path, text: str) -> Path:
    path = directory / "ffmpeg"
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_crash_over_a_file_is_that_of_a_child(tmp_path: Path) -> None:
    source = silent(tmp_path, frames=2)
    with pytest.raises(InputError, match="crashes over its headers"):
        probe_file(source, program(tmp_path, "kill -SEGV $$"))


def test_a_child_that_the_kernel_kills_for_its_memory_is_not_followed(tmp_path: Path) -> None:
    """What a container's limit does: the same headers would take this process down next."""
    source = silent(tmp_path, frames=2)
    with pytest.raises(InputError, match="runs out of memory over its headers"):
        probe_file(source, program(tmp_path, "kill -KILL $$"))


def test_a_file_that_keeps_ffmpeg_busy_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "DEADLINE_S", 0.3)
    with pytest.raises(InputError, match="has not found out its streams"):
        ask_program(silent(tmp_path, frames=2), program(tmp_path, "while :; do :; done"))


def test_a_file_that_wants_all_memory_does_not_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real ffmpeg with less than an ordinary file takes."""
    source = silent(tmp_path, frames=2)
    assert ask_program(source)
    monkeypatch.setattr(asking, "MEMORY_BYTES", 6 * 1024**2)
    with pytest.raises(InputError, match=r"runs out of memory|crashes"):
        ask_program(source)


async def test_a_child_gets_no_more_memory_than_said() -> None:
    script = "print(len(bytearray(200 * 1024 * 1024)))"
    argv = [sys.executable, "-c", script]
    free = await run_process(argv, what="A test")
    bound = await run_process(argv, what="A test", memory_bytes=100 * 1024**2, check=False)
    assert free.stdout.strip() == b"209715200"
    assert bound.returncode == 1
    assert "MemoryError" in bound.stderr_tail


async def test_what_a_child_writes_nobody_else_may_read(tmp_path: Path) -> None:
    await run_process(["touch", tmp_path / "made"], what="A test")
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


async def test_an_argument_that_is_too_long_is_an_error_like_others() -> None:
    with pytest.raises(ProcessFailedError, match=r"could not be started \(Argument list too long"):
        await run_process(["true", "x" * 200_000], what="A test")
