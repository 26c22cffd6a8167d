"""Overrides and the audit log between real processes, and when their files are damaged."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from drapto.core.errors import StateError
from drapto.core.flag_overrides import Override
from drapto.core.routing import Mode, RoutedStage
from drapto.infrastructure.flags import overrides as module
from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace
from drapto.infrastructure.flags.overrides import OverridesFile, login_name
from tests.core.flag_examples import DETECTION, override

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from drapto.core.flag_overrides import Override
from drapto.core.routing import Mode, RoutedStage
from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace
from drapto.infrastructure.flags.overrides import OverridesFile
folder, who = Path(sys.argv[1]), sys.argv[2]
file = OverridesFile(folder / "state", FlagsFile(FlagsPlace(folder / "flags.toml", "named")))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    file.change(Override(stage=RoutedStage.DETECTION, revision=f"{who} {number}",
        mode=Mode.ROLLED_BACK, at=datetime.now(UTC), by=who, why="A test."))
"""


@pytest.fixture
def file(tmp_path: Path) -> OverridesFile:
    (tmp_path / "flags.toml").write_text("schema = 1\n")
    return another(tmp_path)


def another(folder: Path) -> OverridesFile:
    """As another process that shares the state directory has it."""
    return OverridesFile(folder / "state", FlagsFile(FlagsPlace(folder / "flags.toml", "named")))


def mode_of(file: OverridesFile, revision: str = "1") -> Mode | None:
    found = file.load().of(DETECTION, revision)
    return found.mode if found else None


def writer(folder: Path, who: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, folder, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


async def test_rollback_is_in_force_everywhere_and_says_why(
    file: OverridesFile, tmp_path: Path
) -> None:
    await file.roll_back(DETECTION, "Three jobs failed.", {"revision": "1", "failures": 3})
    assert mode_of(file) is mode_of(another(tmp_path)) is Mode.ROLLED_BACK
    ((entry,), damaged) = file.history()
    assert damaged == 0
    assert (entry.by, entry.before, entry.after) == ("drapto", "new", "rolled_back")
    assert (entry.why, entry.evidence["failures"]) == ("Three jobs failed.", 3)


async def test_second_rollback_changes_nothing(file: OverridesFile) -> None:
    for why in ("First.", "Second."):
        await file.roll_back(DETECTION, why, {"revision": "1"})
    assert [entry.why for entry in file.history()[0]] == ["First."]


async def test_rollback_touches_no_other_revision_or_stage(file: OverridesFile) -> None:
    file.change(override(Mode.CANARY, revision="4", percent=25))
    await file.roll_back(DETECTION, "Late news.", {"revision": "3"})
    assert (mode_of(file, "4"), mode_of(file, "3")) == (Mode.CANARY, Mode.ROLLED_BACK)
    assert file.load().of(RoutedStage.ENCODING, "3") is None
    assert file.history()[0][-1].before == ""  # the file is at revision 1


def test_reset_takes_back_every_revision_and_is_logged(file: OverridesFile) -> None:
    file.change(override(Mode.ROLLED_BACK))
    file.change(override(Mode.NEW, revision="2"))
    assert len(file.reset(DETECTION, by="kim", why="Mended.")) == 2
    assert file.load().kept == ()
    resets = [entry for entry in file.history()[0] if entry.change == "reset"]
    assert [(e.before, e.after, e.by, e.why) for e in resets] == [
        ("rolled_back", "new", "kim", "Mended."),
        ("new", "", "kim", "Mended."),
    ]
    assert file.reset(DETECTION, by="kim") == ()


def test_rollback_of_another_running_process_is_seen_at_the_next_look(
    file: OverridesFile, tmp_path: Path
) -> None:
    child = writer(tmp_path, "child")
    assert file.load().kept == ()
    child.communicate(b"\n")
    assert child.returncode == 0
    assert mode_of(file, "child 19") is Mode.ROLLED_BACK


def test_two_processes_that_write_at_once_lose_nothing(file: OverridesFile, tmp_path: Path) -> None:
    children = [writer(tmp_path, who) for who in ("a", "b")]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    wanted = {f"{who} {number}" for who in ("a", "b") for number in range(20)}
    assert {o.revision for o in file.load().kept} == wanted
    entries, damaged = file.history()
    assert ({entry.revision for entry in entries}, len(entries), damaged) == (wanted, 40, 0)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff\xfe", b'{"version": 9}', b"[" * 100_000, b'{"overrides": [3]}']
)
def test_damaged_file_is_kept_aside_and_the_log_restores_what_it_said(
    damage: bytes, file: OverridesFile, tmp_path: Path
) -> None:
    file.change(override(Mode.NEW, revision="2"))
    file.change(override(Mode.ROLLED_BACK))
    file.path.write_bytes(damage)
    found = file.load()
    assert {(o.revision, o.mode) for o in found.kept} == {
        ("1", Mode.ROLLED_BACK),
        ("2", Mode.NEW),
    }
    (warning,) = found.warnings
    assert "were damaged and are kept as" in warning
    assert "detection rolled_back (revision 1)" in warning
    (aside,) = file.folder.glob("*.damaged-*")
    assert aside.read_bytes() == damage
    assert another(tmp_path).load() == found.model_copy(update={"warnings": ()})


def test_damaged_file_does_not_keep_a_rollback_from_being_written(file: OverridesFile) -> None:
    file.change(override(Mode.NEW, revision="2"))
    file.path.write_bytes(b"{")
    file.change(override(Mode.ROLLED_BACK))
    assert (mode_of(file), mode_of(file, "2")) == (Mode.ROLLED_BACK, Mode.NEW)


def test_damaged_line_of_the_log_is_counted_and_the_next_begins_a_line(
    file: OverridesFile,
) -> None:
    file.change(override(Mode.NEW))
    with file.audit_path.open("ab") as log:
        log.write(b'{"at": "2026-')  # a writer that was killed
    file.change(override(Mode.ROLLED_BACK))
    entries, damaged = file.history()
    assert ([entry.after for entry in entries], damaged) == (["new", "rolled_back"], 1)


def test_rollback_that_cannot_be_written_holds_in_this_process(
    file: OverridesFile, tmp_path: Path
) -> None:
    file.change(override(Mode.CANARY, percent=5))
    file.path.unlink()
    file.path.mkdir()  # so that not even root can replace it
    (file.path / "in the way").touch()
    with pytest.raises(StateError, match="detection could not be set to rolled_back"):
        file.change(override(Mode.ROLLED_BACK))
    found = file.load()
    assert [o.mode for o in found.kept] == [Mode.ROLLED_BACK]
    assert "cannot be read: Is a directory. What the audit log says" in found.warnings[0]
    assert file.load().warnings == ()


def test_state_directory_that_is_no_directory_stops_no_job(tmp_path: Path) -> None:
    (tmp_path / "flags.toml").write_text("schema = 1\n")
    (tmp_path / "state").touch()
    file = another(tmp_path)
    assert file.load().kept == ()
    with pytest.raises(StateError, match="DRAPTO_STATE_DIR"):
        file.change(override(Mode.LEGACY))


def test_holder_that_hangs_is_named_instead_of_waited_for(
    file: OverridesFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_PATIENCE_S", 0.05)
    with another(tmp_path)._locked(), pytest.raises(StateError, match="held by another process"):
        file.change(override(Mode.LEGACY))


def test_reading_leaves_nothing_behind(file: OverridesFile, tmp_path: Path) -> None:
    assert file.load().kept == ()
    assert not (tmp_path / "state").exists()


def test_person_is_named_by_login_even_behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setenv("LOGNAME", "somebody else")
    assert login_name() == me
    monkeypatch.setenv("SUDO_USER", "kim")
    assert login_name() == f"{me} (for kim)"


def test_what_is_kept_can_be_read_back(file: OverridesFile) -> None:
    given: Override = override(Mode.CANARY, percent=12.345, why="caf\udce9 \\xe9")
    file.change(given)
    assert file.load().kept == (given,)


async def test_rollback_is_lifted_when_it_is_taken_back_and_not_before(
    file: OverridesFile,
) -> None:
    file.change(override(Mode.NEW))
    file.reset(DETECTION, by="kim")
    assert await file.lifted(DETECTION, "1") is None
    await file.roll_back(DETECTION, "Three jobs failed.", {"revision": "1"})
    assert await file.lifted(DETECTION, "1") is None
    file.reset(DETECTION, by="kim")
    assert await file.lifted(DETECTION, "1") == file.history()[0][-1].at
    assert await file.lifted(DETECTION, "2") is None
