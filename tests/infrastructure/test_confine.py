"""The fences of a shadow run, each tried by a process that has put them up around itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drapto.infrastructure.confine import landlock_version

needs_landlock = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")

_CONFINED = """
import os, sys
from pathlib import Path
from drapto.infrastructure.confine import Fences, confine
inside, outside = Path(sys.argv[1]), Path(sys.argv[2])
confine(Fences(writable=inside, memory_bytes=1 << 30, file_bytes=1 << 20))
{attempt}
"""


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "film.mkv").write_bytes(b"the source")
    return inside, outside


def attempt(places: tuple[Path, Path], code: str) -> subprocess.CompletedProcess[str]:
    program = _CONFINED.format(attempt=code)
    arguments = [sys.executable, "-c", program, *map(str, places)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_inside_its_directory_everything_works(places: tuple[Path, Path]) -> None:
    done = attempt(
        places,
        "(inside / 'a').write_text('x'); (inside / 'd').mkdir()\n"
        "(inside / 'a').rename(inside / 'd' / 'b'); open('/dev/null', 'w').write('y')\n"
        "print(len((outside / 'film.mkv').read_bytes()))",
    )
    assert (done.stdout.strip(), done.stderr) == ("10", "")
    assert (places[0] / "d" / "b").read_text() == "x"


@needs_landlock
@pytest.mark.parametrize(
    "code",
    [
        "(outside / 'new').write_text('x')",
        "(outside / 'film.mkv').unlink()",
        "(outside / 'film.mkv').open('r+b').truncate(1)",
        "os.truncate(outside / 'film.mkv', 1)",
        "(outside / 'film.mkv').rename(inside / 'film.mkv')",
        "(outside / 'folder').mkdir()",
        "os.link(outside / 'film.mkv', inside / 'link'); (inside / 'link').open('w')",
        "(inside / 'link').symlink_to(outside / 'film.mkv'); (inside / 'link').open('w')",
        "import subprocess; subprocess.run(['touch', outside / 'new'], check=True)",
        "os.setsid(); (outside / 'new').write_text('x')",
    ],
)
def test_outside_it_nothing_can_be_changed(places: tuple[Path, Path], code: str) -> None:
    done = attempt(places, code)
    assert done.returncode != 0, done.stdout
    assert sorted(p.name for p in places[1].iterdir()) == ["film.mkv"]
    assert (places[1] / "film.mkv").read_bytes() == b"the source"


@pytest.mark.skipif(landlock_version() < 6, reason="this kernel's Landlock knows no signals")
def test_no_process_outside_can_be_killed(places: tuple[Path, Path]) -> None:
    victim = subprocess.Popen(["sleep", "60"])
    try:
        done = attempt(places, f"os.kill({victim.pid}, 9)")
        assert "Operation not permitted" in done.stderr
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_memory_and_file_size_are_limited(places: tuple[Path, Path]) -> None:
    assert "MemoryError" in attempt(places, "b = bytearray(2 << 30)").stderr
    done = attempt(places, "(inside / 'big').write_bytes(bytes(2 << 20))")
    assert done.returncode != 0
    assert (places[0] / "big").stat().st_size <= 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="Linux scheduling")
def test_only_what_nobody_else_wants_is_used(places: tuple[Path, Path]) -> None:
    done = attempt(
        places,
        "print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.nice(0))\n"
        "print(Path('/proc/self/oom_score_adj').read_text())",
    )
    assert done.stdout.split() == ["True", "19", "1000"]
    assert os.nice(0) < 19  # and only its
