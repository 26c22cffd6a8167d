"""Fingerprints of sources and digests of work files."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import anyio
import pytest

from drapto.core.errors import InputError
from drapto.infrastructure.fingerprint import (
    SAMPLE_BYTES,
    check_file,
    file_digest,
    fingerprint,
)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(os.urandom(5 * SAMPLE_BYTES))
    return path


def overwrite(path: Path, offset: int) -> None:
    """Change one byte, and put the time back as it was."""
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)
        file.seek(offset)
        file.write(bytes([old[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


async def test_the_same_file_has_the_same_fingerprint(film: Path) -> None:
    assert await fingerprint(film) == await fingerprint(film)


@pytest.mark.parametrize("offset", [0, 5 * SAMPLE_BYTES // 2, 5 * SAMPLE_BYTES - 1])
async def test_a_changed_head_middle_or_tail_is_seen_in_spite_of_the_same_time(
    film: Path, offset: int
) -> None:
    before = await fingerprint(film)
    overwrite(film, offset)
    after = await fingerprint(film)
    assert after.sample_digest != before.sample_digest
    assert (after.size_bytes, after.mtime_ns) == (before.size_bytes, before.mtime_ns)


@pytest.mark.parametrize("size_bytes", [0, 1, SAMPLE_BYTES, 3 * SAMPLE_BYTES])
async def test_every_byte_of_a_small_file_counts(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"x" * size_bytes)
    before = await fingerprint(path)
    assert before.size_bytes == size_bytes
    for offset in range(0, size_bytes, SAMPLE_BYTES // 2):
        overwrite(path, offset)
        after = await fingerprint(path)
        assert after.sample_digest != before.sample_digest
        before = after


async def test_a_touched_file_has_another_time_only(film: Path) -> None:
    before = await fingerprint(film)
    os.utime(film, ns=(0, before.mtime_ns + 1))
    after = await fingerprint(film)
    assert after == before.model_copy(update={"mtime_ns": before.mtime_ns + 1})


async def test_a_file_of_a_hundred_gigabytes_is_sampled_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(100 * 10**9)
    read_before = int(Path("/proc/self/io").read_text().split()[1])
    found = await fingerprint(path)
    read_after = int(Path("/proc/self/io").read_text().split()[1])
    assert found.size_bytes == 100 * 10**9
    assert read_after - read_before < 10 * SAMPLE_BYTES


async def test_what_cannot_be_fingerprinted_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        await fingerprint(tmp_path / "missing")
    with pytest.raises(InputError, match="not a regular file"):
        await fingerprint(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        await fingerprint(tmp_path / "pipe")


async def test_a_digest_is_blake2b_of_the_whole_file(film: Path) -> None:
    expected = blake2b(film.read_bytes(), digest_size=16).hexdigest()
    assert await file_digest(film) == expected


async def test_a_digest_can_be_cancelled_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1000 * 10**9)  # an hour of reading
    with anyio.move_on_after(0.01) as scope:
        await file_digest(path)
    assert scope.cancelled_caught


async def test_a_checked_file_is_sound_or_says_what_is_wrong(film: Path) -> None:
    size_bytes, digest = film.stat().st_size, await file_digest(film)
    assert await check_file(film, size_bytes, digest) is None
    assert await check_file(film, size_bytes - 1, digest) == (
        f"film.mkv has {size_bytes} bytes instead of {size_bytes - 1}"
    )
    overwrite(film, 12345)
    said = await check_file(film, size_bytes, digest)
    assert said == "film.mkv has other content than when it was finished"
    assert await check_file(film.parent, film.parent.stat().st_size, digest) is not None
    film.unlink()
    assert await check_file(film, size_bytes, digest) == "film.mkv is missing"
