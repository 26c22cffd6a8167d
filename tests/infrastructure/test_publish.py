"""Publishing: whole or not at all, never over somebody's file, also across file systems."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from drapto.core.errors import DraptoError, PublishError, ResourceError, UsageError
from drapto.infrastructure import publish as publishing
from drapto.infrastructure.publish import check_output, current_umask, publish, rename_no_replace
from tests.infrastructure.full_disks import other_file_system, read_only_directory, small_disk


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.mkv"
    path.write_bytes(b"the source")
    return path


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir(mode=0o700)
    path = folder / "out.mkv"
    path.write_bytes(b"the film" * 1000)
    path.chmod(0o600)
    return path


async def test_the_finished_file_gets_its_name_and_nothing_else_is_left(
    source: Path, partial: Path, tmp_path: Path
) -> None:
    output = tmp_path / "-odd\n name é.mkv"
    await publish(partial, output, source=source, overwrite=False)
    assert output.read_bytes() == b"the film" * 1000
    assert sorted(tmp_path.iterdir()) == sorted([source, output, partial.parent])
    assert list(partial.parent.iterdir()) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
async def test_the_output_has_the_permissions_of_any_new_file(
    source: Path, partial: Path, tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        assert current_umask() == umask
        await publish(partial, tmp_path / "out.mkv", source=source, overwrite=False)
    finally:
        os.umask(before)
    assert (tmp_path / "out.mkv").stat().st_mode & 0o777 == mode


async def test_a_file_that_appeared_meanwhile_is_not_replaced(
    source: Path, partial: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    check_output(source, output, overwrite=False)
    output.write_bytes(b"somebody's")
    with pytest.raises(PublishError, match="exists already") as caught:
        await publish(partial, output, source=source, overwrite=False)
    assert str(partial) in caught.value.message
    assert output.read_bytes() == b"somebody's"
    assert partial.exists()
    await publish(partial, output, source=source, overwrite=True)
    assert output.read_bytes() == b"the film" * 1000


@pytest.mark.parametrize(
    "way", ["_kernel_rename_no_replace", "_link_no_replace", "_claim_no_replace"]
)
def test_every_way_of_renaming_moves_the_file_and_never_replaces_one(
    tmp_path: Path, way: str
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    rename = getattr(publishing, way)
    rename(old, new)
    assert (new.read_bytes(), old.exists()) == (b"old", False)
    old.write_bytes(b"other")
    with pytest.raises(FileExistsError):
        rename(old, new)
    assert (new.read_bytes(), old.read_bytes()) == (b"old", b"other")


def test_where_the_kernel_and_the_file_system_lack_a_way_the_next_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object) -> None:
        raise OSError(errno.EINVAL, "not on this file system")

    old, new = tmp_path / "old", tmp_path / "new"
    for owner, missing in ((publishing, "_kernel_rename_no_replace"), (Path, "hardlink_to")):
        monkeypatch.setattr(owner, missing, lacking)
        old.write_bytes(b"old")
        rename_no_replace(old, new)
        assert (new.read_bytes(), old.exists()) == (b"old", False)
        old.write_bytes(b"other")
        with pytest.raises(FileExistsError):
            rename_no_replace(old, new)
        new.unlink()


def test_a_claimed_name_is_given_up_if_the_rename_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        publishing._claim_no_replace(tmp_path / "missing", tmp_path / "new")
    assert not (tmp_path / "new").exists()


RACER = """
import sys
from pathlib import Path
from drapto.infrastructure.publish import rename_no_replace
me, names = sys.argv[1], sys.argv[2:]
for name in names:
    mine = Path(name + "." + me)
    mine.write_text(me)
    try:
        rename_no_replace(mine, Path(name))
        print(name)
    except FileExistsError:
        pass
"""


def test_of_two_processes_that_publish_one_output_exactly_one_wins(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{number}.mkv") for number in range(200)]
    racers = {
        me: subprocess.Popen(
            [sys.executable, "-c", RACER, me, *names], stdout=subprocess.PIPE, text=True
        )
        for me in ("a", "b")
    }
    won = {me: racer.communicate()[0].split() for me, racer in racers.items()}
    assert sorted(won["a"] + won["b"]) == sorted(names)
    for me, mine in won.items():
        assert all(Path(name).read_text() == me for name in mine)


async def test_an_output_on_another_disk_appears_whole(
    source: Path, partial: Path, tmp_path: Path
) -> None:
    with other_file_system(tmp_path) as elsewhere:
        output = elsewhere / "out.mkv"
        await publish(partial, output, source=source, overwrite=False)
        assert output.read_bytes() == b"the film" * 1000
        assert output.stat().st_mode & 0o777 == 0o666 & ~current_umask()
        assert list(elsewhere.iterdir()) == [output]
        assert not partial.exists()

        partial.write_bytes(b"another film")
        with pytest.raises(PublishError, match="exists already"):
            await publish(partial, output, source=source, overwrite=False)
        await publish(partial, output, source=source, overwrite=True)
        assert output.read_bytes() == b"another film"


async def test_a_copy_of_an_earlier_killed_run_is_written_anew(
    source: Path, partial: Path, tmp_path: Path
) -> None:
    with other_file_system(tmp_path) as elsewhere:
        killed = await run_and_kill_while_copying(partial, elsewhere / "out.mkv", source)
        assert [path.suffix for path in killed] == [".tmp"]
        await publish(partial, elsewhere / "out.mkv", source=source, overwrite=False)
        assert list(elsewhere.iterdir()) == [elsewhere / "out.mkv"]


COPIER = """
import os, signal, sys
from pathlib import Path
import anyio
from drapto.infrastructure import publish as publishing
partial, output, source = map(Path, sys.argv[1:])
publishing.digest_of = lambda path: os.kill(os.getpid(), signal.SIGKILL)
anyio.run(lambda: publishing.publish(partial, output, source=source, overwrite=False))
"""


async def run_and_kill_while_copying(partial: Path, output: Path, source: Path) -> list[Path]:
    """What a process killed between copying and renaming leaves beside the output."""
    ended = await anyio.run_process(
        [sys.executable, "-c", COPIER, str(partial), str(output), str(source)], check=False
    )
    assert ended.returncode == -9
    return [Path(path) async for path in anyio.Path(output.parent).iterdir()]


async def test_a_cancelled_copy_leaves_the_work_file_and_nothing_else(
    source: Path, partial: Path, tmp_path: Path
) -> None:
    with partial.open("wb") as file:
        file.truncate(4 * 1024**3)
    with other_file_system(tmp_path) as elsewhere:
        if os.statvfs(elsewhere).f_bavail * 4096 < 5 * 1024**3:
            pytest.skip("needs 5 GiB on the other file system")
        with anyio.move_on_after(0.02) as scope:
            await publish(partial, elsewhere / "out.mkv", source=source, overwrite=False)
        assert scope.cancelled_caught
        assert list(elsewhere.iterdir()) == []
    assert partial.stat().st_size == 4 * 1024**3


async def test_a_full_other_disk_leaves_the_work_file_and_nothing_else(
    source: Path, partial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial.write_bytes(os.urandom(300_000))
    roomy = os.statvfs(tmp_path)
    with small_disk(tmp_path, 128) as elsewhere:
        for _ in ("known beforehand", "found out while copying"):
            with pytest.raises(ResourceError, match="No space left on device"):
                await publish(partial, elsewhere / "out.mkv", source=source, overwrite=False)
            assert list(elsewhere.iterdir()) == []
            assert partial.stat().st_size == 300_000
            monkeypatch.setattr(os, "statvfs", lambda _: roomy)


@pytest.mark.parametrize("overwrite", [True, False])
def test_the_source_is_never_the_output_whatever_its_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hard.mkv").hardlink_to(source)
    (tmp_path / "soft.mkv").symlink_to(source)
    (tmp_path / "folder").symlink_to(tmp_path)
    same = (source, Path("in.mkv"), Path("hard.mkv"), Path("soft.mkv"), Path("folder/in.mkv"))
    for output in same:
        with pytest.raises(UsageError, match="is the source"):
            check_output(source, output, overwrite=overwrite)
    for original in (Path("soft.mkv"), Path("hard.mkv")):
        with pytest.raises(UsageError, match="is the source"):
            check_output(original, source, overwrite=overwrite)


async def test_the_source_is_refused_as_output_at_publishing_too(
    source: Path, partial: Path
) -> None:
    with pytest.raises(PublishError, match="is the source"):
        await publish(partial, source, source=source, overwrite=True)
    assert source.read_bytes() == b"the source"


def test_places_that_no_file_can_have_are_wrong_command_lines(source: Path, tmp_path: Path) -> None:
    (tmp_path / "dangling.mkv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.mkv")
    wrong = {
        tmp_path: "is a directory",
        tmp_path / "missing" / "out.mkv": "missing does not exist",
        source / "out.mkv": "does not exist",
        tmp_path / "dangling.mkv": "symbolic link to nothing",
        tmp_path / "pipe.mkv": "not a regular file",
        Path("/dev/null"): "not a regular file",
    }
    for output, said in wrong.items():
        with pytest.raises(UsageError, match=said):
            check_output(source, output, overwrite=True)


def test_an_existing_output_needs_overwrite(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mkv").write_bytes(b"x")
    with pytest.raises(UsageError, match="exists already") as caught:
        check_output(source, tmp_path / "out.mkv", overwrite=False)
    assert "--overwrite" in caught.value.hint
    check_output(source, tmp_path / "out.mkv", overwrite=True)
    check_output(source, tmp_path / "new.mkv", overwrite=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


def test_a_directory_that_may_not_be_written_to_is_told_beforehand(
    source: Path, tmp_path: Path
) -> None:
    with (
        read_only_directory(tmp_path) as folder,
        pytest.raises(PublishError, match="cannot be written to") as caught,
    ):
        check_output(source, folder / "out.mkv", overwrite=False)
    assert caught.value.exit_code == 1


async def test_a_link_to_a_file_stays_a_link_and_the_file_behind_it_is_replaced(
    source: Path, partial: Path, tmp_path: Path
) -> None:
    real = tmp_path / "real.mkv"
    real.write_bytes(b"old")
    link = tmp_path / "link.mkv"
    link.symlink_to(real)
    check_output(source, link, overwrite=True)
    await publish(partial, link, source=source, overwrite=True)
    assert link.is_symlink()
    assert real.read_bytes() == b"the film" * 1000


async def test_a_work_file_that_is_gone_is_told(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DraptoError, match=r"cannot be published.*No such file"):
        await publish(tmp_path / "gone.mkv", tmp_path / "out.mkv", source=source, overwrite=False)
    assert not (tmp_path / "out.mkv").exists()
