"""Planning workers, and telling a full disk by its words."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.resources import (
    BUSY_CORES,
    MEMORY_MARGIN,
    MIB,
    Leaks,
    estimate_worker_memory,
    looks_like_disk_full,
    needed_disk_bytes,
    own_memory_bytes,
    plan_workers,
)

GIB = 1024 * MIB
SIDES = st.integers(16, 8192)


def test_four_cores_with_memory_get_four_workers_of_lp_1() -> None:
    plan = plan_workers(cores=4, width=1920, height=1080, memory_bytes=20 * GIB)
    assert (plan.workers, plan.lp, plan.reason) == (4, 1, "one per core")


def test_little_memory_gives_fewer_workers_and_says_why() -> None:
    plan = plan_workers(cores=4, width=1920, height=1080, memory_bytes=3 * GIB)
    assert plan.workers < 4
    assert plan.workers * plan.memory_bytes + own_memory_bytes(1920, 1080) <= 3 * GIB
    assert "fits into 2.7 GiB of memory" in plan.reason


def test_one_worker_is_planned_even_where_none_may_fit() -> None:
    plan = plan_workers(cores=4, width=3840, height=2160, memory_bytes=GIB)
    assert (plan.workers, plan.lp) == (1, 1)
    assert "may not fit into 0.2 GiB" in plan.reason


def test_few_segments_get_few_workers_with_a_higher_lp() -> None:
    plan = plan_workers(cores=8, width=1280, height=720, memory_bytes=60 * GIB, segments=2)
    assert (plan.workers, plan.lp, plan.reason) == (2, 4, "there are only 2 segments")


def test_the_users_own_number_of_workers_is_kept() -> None:
    plan = plan_workers(cores=4, width=1920, height=1080, memory_bytes=GIB, workers=7)
    assert (plan.workers, plan.reason) == (7, "as asked for")
    assert plan_workers(cores=4, width=64, height=64, memory_bytes=GIB, workers=1).lp == 4
    assert plan_workers(cores=4, width=64, height=64, memory_bytes=GIB, workers=8).lp == 1


@given(
    cores=st.integers(1, 256),
    width=SIDES,
    height=SIDES,
    memory_bytes=st.integers(0, 1024 * GIB),
    segments=st.none() | st.integers(0, 10_000),
)
def test_a_plan_never_exceeds_cores_segments_or_memory(
    cores: int, width: int, height: int, memory_bytes: int, segments: int | None
) -> None:
    plan = plan_workers(
        cores=cores, width=width, height=height, memory_bytes=memory_bytes, segments=segments
    )
    assert 1 <= plan.workers <= cores
    assert plan.lp in BUSY_CORES
    assert plan.workers <= max(1, segments or cores)
    taken = plan.workers * plan.memory_bytes + own_memory_bytes(width, height)
    assert plan.workers == 1 or taken <= memory_bytes


@given(width=SIDES, height=SIDES, lp=st.integers(1, 8))
def test_a_larger_picture_or_a_higher_lp_never_takes_less(width: int, height: int, lp: int) -> None:
    estimate = estimate_worker_memory(width, height, lp)
    assert estimate > 50 * MIB
    assert estimate_worker_memory(width + 2, height, lp) >= estimate
    assert estimate_worker_memory(width, height, lp + 1) >= estimate


def test_the_estimate_goes_through_the_measured_points() -> None:
    measured_mib = 1412  # 1080p, lp=2, 240 frames
    estimate_mib = estimate_worker_memory(1920, 1080, 2) / MIB
    assert estimate_mib == pytest.approx(measured_mib * MEMORY_MARGIN, abs=1)


def test_a_resumed_job_needs_only_the_rest_of_its_disk() -> None:
    assert needed_disk_bytes(1000) == 1000
    assert needed_disk_bytes(1000, already_there_bytes=400) == 600
    assert needed_disk_bytes(1000, already_there_bytes=4000) == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_known_by_what_the_c_library_says(number: int) -> None:
    said = f"[out#0/matroska @ 0x55] Error writing trailer: {os.strerror(number)}\n"
    assert looks_like_disk_full(said)


def test_other_failures_do_not_look_like_a_full_disk() -> None:
    for number in (errno.EACCES, errno.ENOENT, errno.ENOMEM, errno.EIO):
        assert not looks_like_disk_full(f"Conversion failed: {os.strerror(number)}")


def test_leaks_are_counted_and_told_in_words() -> None:
    assert (Leaks().total, str(Leaks())) == (0, "nothing leaked")
    leaks = Leaks(slots=1, processes=("12 ffmpeg",), temporary_files=("a.tmp", "b.tmp"))
    assert leaks.total == 4
    assert str(leaks) == (
        "1 slots still held; 1 child processes alive (12 ffmpeg); "
        "2 temporary files left (a.tmp, b.tmp)"
    )
