"""Whole files with damage in them, read by a process of its own: it may refuse, never die."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.program import ROOT, environment
from tests.media.clips import ffmpeg, pattern, tone, x264

KINDS = ("mkv", "mp4", "ts", "avi", "flv", "mpg", "h264")


def sample(directory: Path, kind: str) -> bytes:
    path = directory / f"whole.{kind}"
    video = ("-c:v", "mpeg2video") if kind == "mpg" else x264(keyint=12)
    sound = () if kind == "h264" else ("-c:a", "mp2" if kind == "mpg" else "aac")
    inputs = (*pattern(24, size="64x64", rate="25"), *(tone(1) if sound else ()))
    ffmpeg(*inputs, *video, *sound, path)
    return path.read_bytes()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage where it hurts most: half of it in the first kilobyte."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(min(len(out), 1024) if rng.random() < 0.5 else len(out))
        match rng.randrange(5):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at : at + 4] = rng.choice((b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff"))
            case 2:
                del out[at : at + rng.randint(1, 200)]
            case 3:
                out[at:at] = rng.randbytes(rng.randint(1, 64))
            case _:
                end = rng.randrange(len(out))
                out[at : at + 188] = out[end : end + 188]
    return bytes(out)


def assert_read_or_refused(directory: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    wholes = {kind: sample(directory, kind) for kind in KINDS}
    paths = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        path = directory / f"{number:05d}.{kind}"
        path.write_bytes(damaged(wholes[kind], rng))
        paths.append(path)
    argv = [sys.executable, "-m", "tests.fuzz.reading", *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, env=environment())
    said = done.stdout.splitlines()
    worst = paths[min(len(said), count - 1)].name
    assert done.returncode == 0, f"seed {seed}, {worst}: {done.returncode} {done.stderr[-2000:]}"
    assert len(said) == count
    assert {line.split()[1] for line in said} == {"ok", "InputError"}


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    assert_read_or_refused(tmp_path, 28, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_damaged_files_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    assert_read_or_refused(tmp_path, 210, seed)
