"""The journal under real kills and real full disks."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from drapto.core.errors import PublishError, ResourceError, StateError
from drapto.infrastructure.journal import FileJournal
from tests.infrastructure.full_disks import read_only_directory, small_disk

# Appends numbered entries, eight at a time, and says which ones are on the disk.
APPENDER = """
import os, sys, anyio
from pathlib import Path
from drapto.infrastructure.journal import FileJournal

async def main(folder, first, padding):
    journal = FileJournal(folder)
    numbers = iter(range(first, 10**9))
    async def append():
        for number in numbers:
            await journal.append({"number": number, "padding": "x" * (padding * (number % 3))})
            os.write(1, b"%d\\n" % number)
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(append)

anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
"""


def numbers(folder: Path) -> list[int]:
    return [entry["number"] for entry in anyio.run(FileJournal(folder).read)]


@pytest.mark.parametrize("padding", [pytest.param(10, marks=pytest.mark.slow), 60_000])
def test_a_kill_at_any_moment_loses_no_entry_whose_append_had_returned(
    tmp_path: Path, padding: int
) -> None:
    chance = random.Random(padding)
    for _ in range(10):
        first = len(numbers(tmp_path))
        child = subprocess.Popen(
            [sys.executable, "-c", APPENDER, tmp_path, str(first), str(padding)],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(chance.randint(1, 60))]
        child.kill()
        acknowledged += [int(line) for line in child.stdout.read().split(b"\n")[:-1]]
        child.wait()
        child.stdout.close()
        found = numbers(tmp_path)
        assert found == list(range(len(found)))
        assert set(acknowledged) <= set(found)


async def test_entries_come_back_in_the_order_of_the_calls(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    async with anyio.create_task_group() as group:
        for number in range(200):
            group.start_soon(journal.append, {"number": number})
    await journal.append({"number": 200})
    assert [entry["number"] for entry in await journal.read()] == list(range(201))
    await journal.aclose()


async def test_entries_that_wait_together_share_their_way_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    syncs: list[int] = []
    really = os.fsync

    def counted(descriptor: int) -> None:
        syncs.append(descriptor)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    journal = FileJournal(tmp_path)
    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(journal.append, {"number": number})
    assert len(syncs) <= 4  # the directory, the first entry, all the others
    assert len(await journal.read()) == 100


@pytest.mark.parametrize(
    "tail", [b'{"number": 2', b"\0\0\0", b'{"numb\n', b"\0\0\n", b"[1]\n", b"\n"]
)
async def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next_entry(
    tmp_path: Path, tail: bytes
) -> None:
    journal = FileJournal(tmp_path)
    await journal.append({"number": 0})
    await journal.append({"number": 1})
    await journal.aclose()
    with journal.path.open("ab") as file:
        file.write(tail)
    again = FileJournal(tmp_path)
    assert [entry["number"] for entry in await again.read()] == [0, 1]
    await again.append({"number": 2})
    assert [entry["number"] for entry in await again.read()] == [0, 1, 2]


@pytest.mark.parametrize("damage", [b"\0" * 12 + b"\n", b"\xff\xfe\n", b'"text"\n', b"\n"])
async def test_damage_before_the_last_line_is_told_with_its_place(
    tmp_path: Path, damage: bytes
) -> None:
    journal = FileJournal(tmp_path)
    journal.path.write_bytes(b'{"number":0}\n' + damage + b'{"number":2}\n')
    with pytest.raises(StateError, match="Line 2"):
        await journal.read()


async def test_an_entry_is_one_line_whatever_it_holds(tmp_path: Path) -> None:
    entry = {"text": "two\nlines\r\u2028 é \udcff \x00", "number": 1.5, "nothing": None}
    journal = FileJournal(tmp_path)
    await journal.append(entry)
    assert journal.path.read_bytes().count(b"\n") == 1
    assert await journal.read() == [entry]
    written = json.loads(journal.path.read_bytes().decode("utf-8"))
    assert written["text"] == "two\nlines\r\u2028 é \\xff \x00"


async def test_a_cancelled_append_leaves_the_order_whole(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    for number in range(30):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.append, {"number": number})
            await anyio.lowlevel.checkpoint()
            for _ in range(number % 5):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    await journal.aclose()
    found = [entry["number"] for entry in await journal.read()]
    assert found == sorted(set(found))
    await journal.append({"number": 99})
    assert [entry["number"] for entry in await journal.read()] == [*found, 99]


async def test_a_journal_that_is_discarded_is_set_aside(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    await journal.discard()  # nothing there: nothing happens
    await journal.append({"number": 0})
    await journal.discard()
    assert await journal.read() == []
    await journal.append({"number": 1})
    assert [entry["number"] for entry in await journal.read()] == [1]
    assert (tmp_path / "journal.discarded.jsonl").read_bytes() == b'{"number": 0}\n'


async def test_journal_and_checkpoint_are_private(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    await journal.append({"number": 0})
    await journal.write_checkpoint({"state": "created"})
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"journal.jsonl": 0o600, "checkpoint.json": 0o600}


async def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(PublishError, match=r"journal\.jsonl cannot be written"):
        await FileJournal(tmp_path).append({"number": 0})
    assert (tmp_path / "other").read_bytes() == b""


async def test_checkpoints_written_together_end_as_the_last_one(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(journal.write_checkpoint, {"number": number})
    assert json.loads((tmp_path / "checkpoint.json").read_text()) == {"number": 49}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]


FILLER = """
import os, resource, sys, anyio
from pathlib import Path
from drapto.core.errors import ResourceError
from drapto.infrastructure.journal import FileJournal

async def main(folder):
    journal = FileJournal(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    number = 0
    try:
        while True:
            await journal.append({"number": number, "padding": "x" * 700})
            number += 1
    except ResourceError as error:
        print(number, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    await journal.append({"number": number})

anyio.run(main, Path(sys.argv[1]))
"""


def test_a_journal_at_its_size_limit_keeps_what_it_has_and_goes_on_later(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FILLER, tmp_path], capture_output=True, text=True, check=True
    )
    count, _, message = ran.stdout.partition(" ")
    assert int(count) == 13
    assert "cannot be written: File too large." in message
    assert "run the same command again" in message
    assert numbers(tmp_path) == list(range(14))


async def test_a_journal_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path, 128) as folder:
        (folder / "film.mkv").write_bytes(b"x" * 100_000)
        journal = FileJournal(folder)
        count = 0
        with pytest.raises(ResourceError, match="No space left on device"):
            for count in range(100):
                await journal.append({"number": count, "padding": "x" * 1000})
        (folder / "film.mkv").unlink()
        await journal.append({"number": count})
        found = [entry["number"] for entry in await journal.read()]
        assert found == list(range(count + 1))
        with pytest.raises(ResourceError, match="checkpoint"):
            await journal.write_checkpoint({"large": "x" * 200_000})
        assert sorted(path.name for path in folder.iterdir()) == ["journal.jsonl"]
        await journal.aclose()


async def test_a_journal_in_a_read_only_directory_says_so(tmp_path: Path) -> None:
    with (
        read_only_directory(tmp_path) as folder,
        pytest.raises(PublishError, match="cannot be written"),
    ):
        await FileJournal(folder).append({"number": 0})


async def test_directory_in_the_place_of_the_checkpoint_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json" / "deep").mkdir(parents=True)
    await FileJournal(tmp_path).write_checkpoint({"state": "encoding"})
    assert '"encoding"' in (tmp_path / "checkpoint.json").read_text()
