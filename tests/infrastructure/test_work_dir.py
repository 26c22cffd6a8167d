"""The work directory: where it lies, what it refuses, what its removal leaves alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from drapto.core.errors import DraptoError, PublishError, ResourceError, UsageError
from drapto.infrastructure import logging as drapto_logging
from drapto.infrastructure import work_dir
from drapto.infrastructure.files import write_atomically
from drapto.infrastructure.journal import FileJournal
from drapto.infrastructure.work_dir import SUB_DIRECTORIES, WorkDir
from tests.infrastructure.full_disks import read_only_directory, small_disk


def test_it_lies_beside_the_output_under_a_hidden_name(tmp_path: Path) -> None:
    work = WorkDir.for_output(tmp_path / "My Film.mkv")
    assert work.path == tmp_path / ".My Film.mkv.drapto"


def test_it_is_found_again_whatever_the_directory_a_command_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = WorkDir.for_output(Path("out.mkv"))
    assert relative.path == WorkDir.for_output(tmp_path / "out.mkv").path
    (tmp_path / "a").mkdir()
    base = tmp_path / "base"
    assert (
        WorkDir.for_output(Path("a/../out.mkv"), base).path
        == WorkDir.for_output(tmp_path / "out.mkv", base).path
    )


def test_below_a_named_directory_outputs_of_one_name_do_not_meet(tmp_path: Path) -> None:
    one = WorkDir.for_output(Path("/films/a/out.mkv"), tmp_path)
    two = WorkDir.for_output(Path("/films/b/out.mkv"), tmp_path)
    assert one.path != two.path
    assert one.path.parent == two.path.parent == tmp_path
    assert one.path.name.startswith("out.mkv-")


def test_the_longest_name_still_gets_a_work_directory(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127, "☕" * 85):
        with WorkDir.for_output(tmp_path / name).locked() as work:
            assert work.path.is_dir()
            assert work.remove() == ()
        (tmp_path / "base").mkdir(exist_ok=True)
        with WorkDir.for_output(tmp_path / name, tmp_path / "base").locked() as work:
            assert work.remove() == ()


def test_it_is_private_and_has_its_sub_directories(tmp_path: Path) -> None:
    with WorkDir.for_output(tmp_path / "out.mkv").locked() as work:
        assert work.path.stat().st_mode & 0o777 == 0o700
        for folder in (work.source, work.segments, work.audio, work.assembly, work.temp):
            assert folder.stat().st_mode & 0o777 == 0o700
            assert folder.parent == work.path


def test_a_second_run_finds_everything_but_temp(tmp_path: Path) -> None:
    work = WorkDir.for_output(tmp_path / "out.mkv")
    with work.locked():
        (work.segments / "00000.mkv").write_bytes(b"12345")
        (work.temp / "half").write_bytes(b"x")
        assert work.size_bytes() >= 6
    with work.locked():
        assert (work.segments / "00000.mkv").read_bytes() == b"12345"
        assert list(work.temp.iterdir()) == []


def test_a_reset_empties_the_sub_directories_and_keeps_journal_and_log(tmp_path: Path) -> None:
    with WorkDir.for_output(tmp_path / "out.mkv").locked() as work:
        (work.segments / "00000.mkv").write_bytes(b"x")
        (work.assembly / "out.mkv").write_bytes(b"x")
        (work.path / "journal.jsonl").write_bytes(b"{}\n")
        work.log_file.write_bytes(b"{}\n")
        work.reset()
        assert list(work.segments.iterdir()) == list(work.assembly.iterdir()) == []
        assert (work.path / "journal.jsonl").exists()
        assert work.log_file.exists()


def test_removal_leaves_nothing_of_ours(tmp_path: Path) -> None:
    with WorkDir.for_output(tmp_path / "out.mkv").locked() as work:
        (work.segments / "00000.mkv").write_bytes(b"x")
        (work.segments / "deeper").mkdir()
        for name in ("journal.jsonl", "journal.discarded.jsonl", "checkpoint.json"):
            (work.path / name).write_bytes(b"x")
        work.log_file.write_bytes(b"x")
        work.manifest_file.write_bytes(b"x")
        assert work.remove() == ()
    assert list(tmp_path.iterdir()) == []
    assert work.size_bytes() == 0


def test_removal_leaves_what_somebody_else_put_there_and_names_it(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo").write_bytes(b"x")
    work = WorkDir.for_output(tmp_path / "out.mkv")
    with work.locked():
        (work.path / "notes.txt").write_text("mine")
        (work.segments / "link").symlink_to(precious)
        work.audio.rmdir()
        work.audio.symlink_to(precious)
        assert work.remove() == (work.path / "notes.txt",)
    assert (work.path / "notes.txt").read_text() == "mine"
    assert (precious / "photo").exists()
    assert not work.segments.exists()
    assert not work.audio.is_symlink()
    with work.locked():  # and the next job can still use it
        assert work.segments.is_dir()


def test_a_missing_parent_directory_is_a_wrong_command_line(tmp_path: Path) -> None:
    work = WorkDir.for_output(tmp_path / "missing" / "out.mkv")
    with pytest.raises(UsageError, match=r"missing does not exist"), work.locked():
        pass


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".out.mkv.drapto").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(UsageError, match="symbolic link"),
        WorkDir.for_output(tmp_path / "out.mkv").locked(),
    ):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_in_place_of_a_sub_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    work = WorkDir.for_output(tmp_path / "out.mkv")
    with work.locked():
        work.segments.rmdir()
        work.segments.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="segments is a symbolic link"), work.locked():
        pass
    with pytest.raises(UsageError, match="segments is a symbolic link"), work.locked():
        pass  # the lock was given back the first time


def test_a_directory_that_no_job_made_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".out.mkv.drapto" / "segments").mkdir(parents=True)
    with (
        pytest.raises(UsageError, match="not made by Drapto"),
        WorkDir.for_output(tmp_path / "out.mkv").locked(),
    ):
        pass
    (tmp_path / ".file.mkv.drapto").write_bytes(b"x")
    with (
        pytest.raises(UsageError, match="not a directory"),
        WorkDir.for_output(tmp_path / "file.mkv").locked(),
    ):
        pass


def test_an_empty_directory_left_by_a_kill_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".out.mkv.drapto").mkdir()
    with WorkDir.for_output(tmp_path / "out.mkv").locked() as work:
        assert work.segments.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_directory_is_not_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / ".out.mkv.drapto"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with (
        pytest.raises(PublishError, match="another user"),
        WorkDir.for_output(tmp_path / "out.mkv").locked(),
    ):
        pass


def test_one_that_others_may_enter_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / ".out.mkv.drapto"
    folder.mkdir()
    folder.chmod(0o777)
    with WorkDir.for_output(tmp_path / "out.mkv").locked() as work:
        assert work.path.stat().st_mode & 0o777 == 0o700


def test_one_that_others_could_write_to_is_not_trusted(tmp_path: Path) -> None:
    work = WorkDir.for_output(tmp_path / "out.mkv")
    with work.locked():
        (work.segments / "00000.mkv").write_bytes(b"x")
    work.path.chmod(0o770)
    with pytest.raises(PublishError, match="Others could write"), work.locked():
        pass
    assert (work.segments / "00000.mkv").exists()


@pytest.mark.parametrize(
    "name", ["lock", "journal.jsonl", "checkpoint.json", "manifest.json", "log.jsonl"]
)
async def test_no_file_in_it_is_written_through_a_link(name: str, tmp_path: Path) -> None:
    """Somebody put a link in the place of a file while the directory was open to him."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    folder = tmp_path / ".out.mkv.drapto"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(precious)
    try:
        with WorkDir.for_output(tmp_path / "out.mkv").locked() as work:
            drapto_logging.job_logger(work.log_file, "job").info("a line")
            journal = FileJournal(work.path)
            with suppress(DraptoError):
                await journal.append({"entry": "x"})
            await journal.write_checkpoint({"state": "x"})
            await journal.aclose()
            write_atomically(work.manifest_file, b"x")
    except DraptoError as error:
        assert str(folder) in error.message
    assert precious.read_text() == "precious"


async def test_everything_in_it_is_private(tmp_path: Path) -> None:
    with WorkDir.for_output(tmp_path / "out.mkv").locked() as work:
        drapto_logging.job_logger(work.log_file, "job").info("a line")
        journal = FileJournal(work.path)
        await journal.append({"entry": "x"})
        await journal.write_checkpoint({"state": "x"})
        await journal.aclose()
        write_atomically(work.manifest_file, b"x")
        modes = {path.name: path.stat().st_mode & 0o777 for path in work.path.iterdir()}
    files = {name: mode for name, mode in modes.items() if name not in SUB_DIRECTORIES}
    assert len(files) == 5
    assert set(files.values()) == {0o600}


def test_a_read_only_directory_is_told_with_a_way_out(tmp_path: Path) -> None:
    with read_only_directory(tmp_path) as folder:
        work = WorkDir.for_output(folder / "out.mkv")
        with pytest.raises(PublishError, match="cannot be made") as caught, work.locked():
            pass
        assert "--work-dir" in caught.value.hint


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64) as folder:
        work = WorkDir.for_output(folder / "out.mkv")
        work.create()
        (folder / "film").write_bytes(b"x" * 65536)
        with pytest.raises(ResourceError, match="No space left"), work.locked():
            pass


def test_the_log_has_the_name_that_the_logger_gives_it() -> None:
    assert work_dir.LOG_NAME == drapto_logging.LOG_FILE_NAME
