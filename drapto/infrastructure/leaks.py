"""What a job left behind though nothing should be: processes, open files, half-written files."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from drapto.core.resources import Leaks

TEMPORARY_MARKS = (".tmp", ".partial")
"""How names of half-written files end, or what they hold before their last suffix."""


def find_leaks(work_dir: Path) -> Leaks:
    """Processes whose command line names `work_dir`, open and half-written files below it."""
    inside = f"{work_dir}{os.sep}"
    processes = []
    for child in psutil.Process().children(recursive=True):
        try:
            command = child.cmdline()
        except psutil.Error:
            continue
        if any(inside in argument for argument in command):
            processes.append(describe(child))
    temporary = []
    for folder, _, names in os.walk(work_dir):
        temporary += [
            str(Path(folder, name))
            for name in names
            if any(name.endswith(mark) or f"{mark}." in name for mark in TEMPORARY_MARKS)
        ]
    return Leaks(
        processes=tuple(processes),
        open_files=tuple(path for path in _open_paths() if path.startswith(inside)),
        temporary_files=tuple(sorted(temporary)),
    )


def _open_paths() -> list[str]:
    """What this process's file descriptors point at. Empty where there is no /proc."""
    paths = []
    folder = Path("/proc/self/fd")
    for descriptor in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # the one that lists the folder is gone by now
            paths.append(str(descriptor.readlink()))
    return paths


def describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.name()}"
    except psutil.Error:
        return str(process.pid)
