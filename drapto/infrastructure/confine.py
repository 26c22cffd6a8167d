"""Puts this process, and every child it will have, behind the fences of a shadow run.

Promised, on Linux: no file outside one directory can be written, made, renamed or removed, and
no process outside can be signalled (Landlock, where the kernel has it: `drapto doctor` tells);
only time and disk that nobody else wants is used (nice 19, SCHED_IDLE, idle I/O); no process
gets more memory and no file grows bigger than said, and when the machine's memory is used up,
these go first. None of it can be taken back by the process itself.

    confine(Fences(writable=place, memory_bytes=2 * 1024**3, file_bytes=10 * 1024**3))

Contract test: tests/infrastructure/test_confine.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from drapto.core.shadow_task import ShadowTask
from drapto.infrastructure.machine import available_memory_bytes

_GIB = 1024**3
_FILE_FACTOR = 4  # a lossless copy of a camera file is seldom more than twice as big

# linux/landlock.h; the system call numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_WRITE_FILE = 1 << 1
# remove dir, remove file, make char, dir, reg, sock, fifo, block, sym: all in the first version
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
TRUNCATE_SINCE, SIGNALS_SINCE = 3, 6  # versions of Landlock
_REFER = 1 << 13  # since version 2: renames and links across directories
_TRUNCATE = 1 << 14
_SCOPE_SIGNAL = 1 << 1
_PR_SET_NO_NEW_PRIVS = 38  # prctl(2); asked for by Landlock

_KILLED_FIRST = "1000"  # proc(5): the first to go when the machine's memory is used up

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IDLE_CLASS = 3 << 13  # linux/ioprio.h: IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)


@dataclass(frozen=True)
class Fences:
    writable: Path  # the one directory that may be written to
    memory_bytes: int  # of private memory, for each process
    file_bytes: int  # the biggest file


def fences_for(task: ShadowTask, place: Path) -> Fences:
    """A candidate may take half of the free memory, or what the flag says, and must not write a
    file many times as big as the one it is compared with."""
    memory_gib = task.policy.memory_gib
    free = available_memory_bytes() // 2 if memory_gib is None else round(memory_gib * _GIB)
    return Fences(
        writable=place,
        memory_bytes=free,
        file_bytes=_FILE_FACTOR * max(task.output_size_bytes, task.source_size_bytes) + _GIB // 4,
    )


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def confine(fences: Fences) -> None:
    """Errors: OSError where a fence that this system has could not be put up."""
    _step_back()
    for limit, value in (
        (resource.RLIMIT_DATA, fences.memory_bytes),
        (resource.RLIMIT_FSIZE, fences.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (most, most))
    if landlock_version() > 0:
        _forbid_writing_outside(fences.writable)


def landlock_version() -> int:
    """The version of Landlock this kernel offers; 0 for none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)))


def _step_back() -> None:
    """Last in line for everything. What a system refuses here harms nobody but us."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 19)
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for name, value in (("autogroup", "19"), ("oom_score_adj", _KILLED_FIRST)):
        with contextlib.suppress(OSError):
            Path("/proc/self", name).write_text(value)
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IDLE_CLASS)


def _forbid_writing_outside(writable: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    version = landlock_version()
    handled = _CHANGES
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= TRUNCATE_SINCE else 0
    attr = _RulesetAttr(handled, 0, _SCOPE_SIGNAL if version >= SIGNALS_SINCE else 0)
    # Older kernels refuse a structure that is longer than theirs.
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(size), 0))
    try:
        _allow(libc, ruleset, writable, handled)
        _allow(libc, ruleset, Path("/dev"), handled & (_WRITE_FILE | _TRUNCATE))
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, directory: Path, access: int) -> None:
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, fd)
        _checked(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(fd)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
