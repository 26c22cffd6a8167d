"""Where jobs live on this machine's disks: the parts of `core/workshop.py: JobStore` joined.

The work directory is `work_dir.py`, its lock `lock.py`, the journal `journal.py`, disk space
`disk.py`, publishing `publish.py`; manifests of finished jobs are kept under the state directory
(`manifests.py`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from drapto.core.entries import SourceFingerprint
from drapto.core.interfaces import EventSink
from drapto.core.job import JobRequest
from drapto.core.manifest import Manifest
from drapto.core.resources import Leaks
from drapto.infrastructure import fingerprint, publish
from drapto.infrastructure.disk import DiskGuard
from drapto.infrastructure.files import translate, write_atomically
from drapto.infrastructure.journal import JOURNAL_NAME, FileJournal
from drapto.infrastructure.logging import LogSink, job_logger
from drapto.infrastructure.manifests import kept_path
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.work_dir import LOCK_NAME, WorkDir


class FileJobPlace:
    """An open work directory (`core/workshop.py: JobPlace`)."""

    def __init__(
        self, work: WorkDir, output: Path, resources: ResourceManager, log: EventSink
    ) -> None:
        self._work = work
        self._resources = resources
        self._disk = DiskGuard([work.path, output.parent])
        self.log = log
        self.path = work.path
        self.source = work.source
        self.segments = work.segments
        self.audio = work.audio
        self.assembly = work.assembly
        self.temp = work.temp
        self.journal = FileJournal(work.path)

    def reset(self) -> None:
        self._work.reset()

    def remove(self) -> tuple[Path, ...]:
        return self._work.remove()

    def require_disk(self, needed_bytes: int) -> None:
        self._disk.require(needed_bytes)

    async def watch_disk(self) -> None:
        await self._disk.watch()

    async def write_manifest(self, manifest: Manifest) -> None:
        """Errors: ResourceError, PublishError."""
        path = self._work.manifest_file
        try:
            await _write(path, manifest)
        except OSError as error:
            raise translate(error, f"The manifest {path} cannot be written") from error

    async def read_manifest(self) -> Manifest | None:
        try:
            text = await anyio.Path(self._work.manifest_file).read_text("utf-8")
            return Manifest.from_json(text)
        except (OSError, ValueError):
            return None

    async def check_leaks(self) -> Leaks:
        await self.journal.aclose()
        return await self._resources.check_leaks(self.path, held=self.path / LOCK_NAME)


class FileJobStore:
    """`core/workshop.py: JobStore` on the local file systems."""

    def __init__(self, state_dir: Path, resources: ResourceManager, *, log_level: str) -> None:
        self._state_dir = state_dir
        self._resources = resources
        self._log_level = log_level

    def check_output(self, source: Path, output: Path, *, overwrite: bool) -> None:
        publish.check_output(source, output, overwrite=overwrite)

    def has_left(self, request: JobRequest) -> bool:
        work = WorkDir.for_output(request.output, request.run.work_dir)
        return request.run.resume and (work.path / JOURNAL_NAME).is_file()

    @asynccontextmanager
    async def open(self, request: JobRequest, job: str) -> AsyncIterator[FileJobPlace]:
        work = WorkDir.for_output(request.output, request.run.work_dir)
        with work.locked():
            log = LogSink(job_logger(work.log_file, job, self._log_level))
            place = FileJobPlace(work, request.output, self._resources, log)
            try:
                yield place
            finally:
                with anyio.CancelScope(shield=True):
                    await place.journal.aclose()

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        folder = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp, None, "drapto-"))
        try:
            yield folder
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(shutil.rmtree, folder, True)

    async def fingerprint(self, source: Path) -> SourceFingerprint:
        return await fingerprint.fingerprint(source)

    async def digest(self, path: Path) -> str:
        return await fingerprint.file_digest(path)

    async def verify(self, path: Path, size_bytes: int, digest: str) -> str | None:
        return await fingerprint.check_file(path, size_bytes, digest)

    async def publish(self, finished: Path, output: Path, *, source: Path, overwrite: bool) -> None:
        await publish.publish(finished, output, source=source, overwrite=overwrite)

    async def keep_manifest(self, manifest: Manifest, output: Path) -> Path | None:
        """One per output path: a later encode of the same output replaces it.

        None if it cannot be written: the output is published, so nothing fails any more.
        """
        path = kept_path(self._state_dir, output)
        try:
            await _write(path, manifest)
        except OSError:
            return None
        return path


async def _write(path: Path, manifest: Manifest) -> None:
    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, manifest.to_json().encode())

    await anyio.to_thread.run_sync(write)
