"""Watches free disk space, before a job and while it runs.

    guard = DiskGuard([work_dir, output_dir])
    guard.require(needed_disk_bytes(source_bytes))
    async with anyio.create_task_group() as group:
        group.start_soon(guard.watch)
        …

Quotas do not show in the free space: where a write fails for one, the child that wrote says
so, and `core.resources.looks_like_disk_full` knows the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import psutil

from drapto.core.errors import ResourceError

FLOOR_BYTES = 64 * 1024 * 1024
"""Kept free for the journal, the log and everybody else on the disk; eight 4K workers at
100 Mb/s write 100 MB in one second, so below this there is no time left to react."""

INTERVAL_S = 1.0

_MIB = 1024 * 1024


class DiskGuard:
    """`paths` are existing directories, which may be on one file system or on several."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        floor_bytes: int = FLOOR_BYTES,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._paths = tuple(paths)
        self._floor_bytes = floor_bytes
        self._interval_s = interval_s

    def free_bytes(self) -> int:
        """Bytes an ordinary user may still write on the fullest of the file systems."""
        return min(int(psutil.disk_usage(str(path)).free) for path in self._paths)

    def require(self, needed_bytes: int) -> None:
        """Errors: ResourceError, with both numbers, if less than `needed_bytes` is free."""
        for path in self._paths:
            free = int(psutil.disk_usage(str(path)).free)
            if free < max(needed_bytes, self._floor_bytes):
                raise ResourceError(
                    f"The disk that holds {path} has {free // _MIB} MiB free; this job may need "
                    f"{max(needed_bytes, self._floor_bytes) // _MIB} MiB.",
                    hint="Free some space, or name another place with --work-dir.",
                )

    def check(self) -> None:
        """Errors: ResourceError if one of the disks is as good as full."""
        for path in self._paths:
            free = int(psutil.disk_usage(str(path)).free)
            if free < self._floor_bytes:
                raise ResourceError(
                    f"The disk that holds {path} is full: {free / _MIB:.1f} MiB are left of the "
                    f"{self._floor_bytes / _MIB:.1f} MiB that are kept free.",
                    hint="Free some space and run the same command again.",
                )

    async def watch(self) -> None:
        """Checks for ever; ends only by cancellation or ResourceError."""
        while True:
            await anyio.to_thread.run_sync(self.check)
            await anyio.sleep(self._interval_s)
