"""Overrides of flags, and the audit log: `overrides.json` and `audit.jsonl` in STATE_DIR/flags.

    overrides = OverridesFile(settings.state_dir, flags_file)
    await overrides.roll_back(stage, "Three jobs in a row failed.", {"revision": "3"})
    overrides.load().of(stage, "3")    # the rollback, in every process, from now on

Promised: what a change wrote is seen by the next reader of any process (the file is small and is
read anew each time); two writers at once lose nothing; a kill leaves the old or the new file; a
damaged file stops no job: it is kept aside, and the audit log, which holds every change whole,
gives back what it said.

Tests: tests/infrastructure/flags/test_overrides.py.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from anyio import to_thread

from drapto.core import json_text
from drapto.core.errors import StateError
from drapto.core.flag_overrides import (
    AuditEntry,
    Evidence,
    Override,
    Overrides,
    described,
    last_lifted,
    replay,
)
from drapto.core.flag_policy import StageFlag
from drapto.core.media import Value
from drapto.core.routing import Mode, RoutedStage
from drapto.core.words import count
from drapto.infrastructure.files import sync_directory, write_all, write_atomically
from drapto.infrastructure.flags.file import FlagsFile

ITSELF = "drapto"  # who rolls back without being asked
LOCK_PATIENCE_S = 10.0  # a change takes milliseconds; a holder that is stopped must not stop us
_READABLE = 0o644  # nothing in it is secret, and jobs of other users obey it too


class _Stored(Value):
    version: Literal[1] = 1
    overrides: tuple[Override, ...]


class OverridesFile:
    """Fulfils OverrideSource and RollbackLatch. May be used from any thread and task.

    `flags` says which mode an override takes the place of, for the audit log.
    """

    def __init__(self, state_dir: Path, flags: FlagsFile) -> None:
        self.folder = state_dir / "flags"
        self.path = self.folder / "overrides.json"
        self.audit_path = self.folder / "audit.jsonl"
        self._flags = flags
        self._unwritten: dict[tuple[RoutedStage, str], Override] = {}
        self._said: set[str] = set()
        self._to_say: list[str] = []

    async def read(self) -> Overrides:
        return await to_thread.run_sync(self.load)

    async def roll_back(
        self, stage: RoutedStage, why: str, evidence: Mapping[str, str | int | float]
    ) -> None:
        """As RollbackLatch says. Also if nothing can be written, this process obeys it."""
        latch = Override(
            stage=stage,
            revision=str(evidence["revision"]),
            mode=Mode.ROLLED_BACK,
            at=_now(),
            by=ITSELF,
            why=why,
        )
        await to_thread.run_sync(self.change, latch, dict(evidence))

    async def move(
        self,
        stage: RoutedStage,
        revision: str,
        mode: Mode,
        why: str,
        evidence: Mapping[str, str | int | float],
    ) -> None:
        """What a gate decided. Errors: StateError."""
        moved = Override(stage=stage, revision=revision, mode=mode, at=_now(), by=ITSELF, why=why)
        await to_thread.run_sync(self.change, moved, dict(evidence))

    async def lifted(self, stage: RoutedStage, revision: str) -> datetime | None:
        """As RollbackLatch says: by the audit log, in which every change stands."""
        entries, _ = await to_thread.run_sync(self.history)
        return last_lifted(entries, stage, revision)

    def load(self) -> Overrides:
        """What is in force now. Raises nothing."""
        try:
            kept = self._read_file()
        except OSError as error:
            kept = replay(self.history()[0])
            self._warn(f"{self.path} cannot be read: {error.strerror}. {_holding(kept)}")
        except ValueError:
            kept = self._set_aside()
        warnings, self._to_say = tuple(self._to_say), []
        held = self._unwritten
        kept = (*(o for o in kept if _key(o) not in held), *held.values())
        return Overrides(kept=kept, warnings=warnings)

    def change(self, override: Override, evidence: Evidence | None = None) -> None:
        """Put it in force, in the place of an earlier one for this stage and revision.

        A rollback of what is rolled back already changes nothing. Errors: StateError; a rollback
        then holds in this process all the same.
        """
        key = _key(override)
        if override.mode is Mode.ROLLED_BACK:
            self._unwritten[key] = override
        with self._errors(f"{override.stage} could not be set to {override.mode}"), self._locked():
            kept = self._read_or_repair()
            earlier = next((o for o in kept if _key(o) == key), None)
            if not (override.mode is Mode.ROLLED_BACK and _is_rollback(earlier)):
                self._write((*(o for o in kept if _key(o) != key), override))
                self._unwritten.pop(key, None)
                self._log(self._entry(override, earlier, evidence or {}))
        self._unwritten.pop(key, None)

    def reset(self, stage: RoutedStage, *, by: str, why: str = "") -> tuple[Override, ...]:
        """Take back every override of a stage; those that were there. Errors: StateError."""
        with self._errors(f"{stage} could not be reset"), self._locked():
            kept = self._read_or_repair()
            gone = tuple(o for o in kept if o.stage is stage)
            if gone:
                self._write(tuple(o for o in kept if o.stage is not stage))
            for key in [key for key in self._unwritten if key[0] is stage]:
                del self._unwritten[key]
            for override in gone:
                self._log(
                    AuditEntry(
                        at=_now(),
                        by=by,
                        stage=stage,
                        revision=override.revision,
                        change="reset",
                        before=described(override),
                        after=self._mode_in_file(stage, override.revision),
                        why=why,
                    )
                )
        return gone

    def history(self) -> tuple[tuple[AuditEntry, ...], int]:
        """The audit log, oldest first, and the number of its lines that make no sense."""
        entries, damaged = [], 0
        try:
            lines = self.audit_path.read_bytes().splitlines()
        except OSError:
            lines = []
        for line in filter(None, lines):
            try:
                entries.append(AuditEntry.model_validate(json_text.loads(line)))
            except ValueError:
                damaged += 1
        return tuple(entries), damaged

    def _read_file(self) -> tuple[Override, ...]:
        """Errors: OSError; ValueError for text, JSON or values that make no sense."""
        try:
            data = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):  # there never was one
            return ()
        return _Stored.model_validate(json_text.loads(data)).overrides

    def _read_or_repair(self) -> tuple[Override, ...]:
        """Under the lock. A damaged file is kept aside, and one from the audit log takes its place.

        Errors: OSError.
        """
        try:
            return self._read_file()
        except ValueError:
            entries, damaged = self.history()
            kept = replay(entries)
            aside = self.path.with_name(f"{self.path.name}.damaged-{_now():%Y%m%dT%H%M%S}")
            self.path.rename(aside)
            self._write(kept)
            lost = f" {count(damaged, 'line')} of it could not be read." if damaged else ""
            self._warn(
                f"The overrides of flags were damaged and are kept as {aside}. "
                f"{_holding(kept)}{lost}"
            )
            return kept

    def _set_aside(self) -> tuple[Override, ...]:
        try:
            with self._locked():
                return self._read_or_repair()
        except (OSError, StateError):
            kept = replay(self.history()[0])
            self._warn(f"The overrides of flags, {self.path}, are damaged. {_holding(kept)}")
            return kept

    def _warn(self, text: str) -> None:
        """To be given with the next reading, once."""
        if text not in self._said:
            self._said.add(text)
            self._to_say.append(text)

    def _entry(
        self, override: Override, earlier: Override | None, evidence: Evidence
    ) -> AuditEntry:
        before = described(earlier) or self._mode_in_file(override.stage, override.revision)
        return AuditEntry(
            at=override.at,
            by=override.by,
            stage=override.stage,
            revision=override.revision,
            change="set",
            before=before,
            after=described(override),
            why=override.why,
            evidence=evidence,
            override=override,
        )

    def _mode_in_file(self, stage: RoutedStage, revision: str) -> str:
        """As `described` would say it; '' if the file has moved on to another revision."""
        flag = self._flags.last_good.of(stage)
        return described_flag(flag) if flag.candidate_revision == revision else ""

    def _write(self, overrides: Sequence[Override]) -> None:
        text = json_text.dumps(_Stored(overrides=tuple(overrides)), indent=2)
        write_atomically(self.path, f"{text}\n".encode(), mode=_READABLE)

    def _log(self, entry: AuditEntry) -> None:
        """Append one whole line, after a half one of a writer that was killed too."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.audit_path, flags, _READABLE)
        try:
            end = os.fstat(descriptor).st_size
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
            line = ("\n" if torn else "") + json_text.dumps(entry) + "\n"
            write_all(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, of all processes and threads. Errors: StateError, OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.folder / "lock", flags, 0o666)
        try:
            give_up = time.monotonic() + LOCK_PATIENCE_S
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise StateError(
                            f"{self.folder} is held by another process since "
                            f"{LOCK_PATIENCE_S:g} s.",
                            hint="See which `drapto` is stopped or hangs, and try again.",
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"{what}: {error.filename or self.folder}: {error.strerror}.",
                hint="Let this user write there, or name another place with DRAPTO_STATE_DIR.",
            ) from error


def described_flag(flag: StageFlag) -> str:
    """'canary 5 %', 'new'."""
    return f"canary {flag.percent:g} %" if flag.mode is Mode.CANARY else flag.mode.value


def login_name() -> str:
    """Who is at work, for the audit log: 'kim', or 'root (for kim)' under sudo."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that runs under a number
        name = f"user {os.getuid()}"
    behind = os.environ.get("SUDO_USER", "")
    return f"{name} (for {behind})" if behind and behind != name else name


def _key(override: Override) -> tuple[RoutedStage, str]:
    return override.stage, override.revision


def _is_rollback(override: Override | None) -> bool:
    return override is not None and override.mode is Mode.ROLLED_BACK


def _holding(kept: Sequence[Override]) -> str:
    said = ", ".join(f"{o.stage} {described(o)} (revision {o.revision})" for o in kept)
    return f"What the audit log says is in force: {said or 'no override'}."


def _now() -> datetime:
    return datetime.now(UTC)
