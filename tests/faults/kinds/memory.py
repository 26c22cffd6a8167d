"""Memory that runs out: in a control group around the ffmpeg programs, and by a limit for each."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from tests.faults.harness import Kind
from tests.faults.place import Ended, Place

MIB = 1024**2
WORKER_MIB = 33  # what a control group is charged for one segment worker of the film
# Address space, which counts stacks and reserves as well. With 300 MB SVT-AV1 gets no threads, with
# 150 MB it crashes, with 500 MB it works.
_LIMITS_KB = (60_000, 150_000, 220_000, 300_000)

_HALF_A_MINUTE_S = 30.0


def group_for_one(place: Place) -> Ended:
    """Room for one worker; four are asked for. The kernel kills what does not fit."""
    group = _control_group(place, round(place.rng.uniform(1.2, 1.6) * WORKER_MIB) * MIB)
    script = f'echo $$ > "{group}/cgroup.procs"\nexec "{find_ffmpeg()}" "$@"\n'
    return _noticed(place.run("--workers", "4", DRAPTO_FFMPEG=_wrapper(place, script)))


def limit_for_some(place: Place) -> Ended:
    """The first workers meet a limit (RLIMIT_AS), as long as other programs hold the memory."""
    begun = place.home / "begun"
    begun.touch()
    script = f"""\
if [[ "$*" == *libsvtav1* ]]; then
  echo >> "{begun}"
  [ $(wc -l < "{begun}") -gt {place.rng.randint(1, 4)} ] || {_limit(place)}
fi
exec "{find_ffmpeg()}" "$@"
"""
    return _noticed(place.run(DRAPTO_FFMPEG=_wrapper(place, script)))


def limit_for_all(place: Place) -> Ended:
    script = f'case "$*" in *libsvtav1*) {_limit(place)} ;; esac\nexec "{find_ffmpeg()}" "$@"\n'
    return place.run("--route", "encoding=retired", DRAPTO_FFMPEG=_wrapper(place, script))


def _noticed(ended: Ended) -> Ended:
    """Whether a worker died of it: they may have come one after the other."""
    return replace(ended, hit="segment_retried" in ended.stderr)


def _limit(place: Place) -> str:
    return f"ulimit -v {place.rng.choice(_LIMITS_KB)}"


def _wrapper(place: Place, script: str) -> str:
    path = place.home / "ffmpeg with limits"
    path.write_text(f"#!/bin/bash\n{script}")
    path.chmod(0o755)
    return str(path)


def _control_group(place: Place, limit_bytes: int) -> Path:
    """A fresh group below the one this process is in, or a skip. Version 1 or 2."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "memory":
            root, limit = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        elif controllers == "":
            root, limit = Path("/sys/fs/cgroup"), "memory.max"
        else:
            continue
        try:
            group = Path(tempfile.mkdtemp(prefix="drapto-fault-", dir=root / name.lstrip("/")))
        except OSError:
            continue
        place.at_end.append(lambda group=group: _remove(group))  # type: ignore[misc]
        try:
            (group / limit).write_text(str(limit_bytes))
        except OSError:
            continue
        return group
    pytest.skip("no control group for memory can be made here")


def _remove(group: Path) -> None:
    give_up_s = time.monotonic() + _HALF_A_MINUTE_S
    while True:
        try:
            group.rmdir()
            return
        except OSError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.05)


KINDS = (
    Kind("memory for one worker of four", group_for_one, frozenset()),
    Kind("too little memory for some workers", limit_for_some, frozenset()),
    Kind("too little memory for every worker", limit_for_all),
)
