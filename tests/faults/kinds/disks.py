"""Disks that are full, and disks that fail: by mounts of a small size, and by calls that fail."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.faults.harness import Kind
from tests.faults.place import Ended, Place, await_own_code
from tests.faults.shims import FOR_GOOD, failing
from tests.infrastructure.full_disks import mount, unmount

# Drapto keeps 64 MiB free and does not begin with less, so a disk has to fill up behind its back.
DISK_MIB = 80
_LEFT_KIB = (0, 4, 16, 64, 256, 4096)


def filled(what: str, folder_of: str, *, apart: bool) -> Kind:
    """The disk under a directory of the run fills up, at a random moment, to a random degree."""

    def inject(place: Place) -> Ended:
        folder = Path(getattr(place, folder_of))
        _mount(place, folder)
        process = place.start()
        await_own_code(process)
        place.sleep_up_to(0.9)
        filler = folder / "filler"
        place.undo.append(lambda: filler.unlink(missing_ok=True))
        hit = process.poll() is None
        _fill(filler, place.rng.choice(_LEFT_KIB) * 1024)
        return place.finish(process, hit=hit)

    return Kind(f"ENOSPC in {what}", inject, apart=apart)


def _mount(place: Place, folder: Path) -> None:
    neighbours = {path.name: path.read_bytes() for path in folder.iterdir()}
    mount(folder, f"size={DISK_MIB}m,mode=0755")
    place.at_end.append(lambda: unmount(folder))
    for name, data in neighbours.items():
        (folder / name).write_bytes(data)


def _fill(filler: Path, left_bytes: int) -> None:
    """Take all but `left_bytes` of the room that is free."""
    free = os.statvfs(filler.parent)
    size = max(0, free.f_bavail * free.f_frsize - left_bytes)
    with filler.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(1, size))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def refusing(call: str, number: int, places: tuple[str, ...], codes: frozenset[int]) -> Kind:
    """`call` fails on one of these files, from a random call on, once or for good."""

    def inject(place: Place) -> Ended:
        rng = place.rng
        path, times = rng.choice(places), rng.choice((1, FOR_GOOD))
        after = rng.choice((0, 0, 0, 1, 1, 2, 3, 5, 8, 30))  # most files see few calls of a process
        shim = failing(call, path, after=after, times=times, number=number)
        return place.run_shimmed(shim)

    name = f"{errno.errorcode[number]} on {call}"
    if len(places) == 1:
        name += f" of {places[0].strip('/')}"
    return Kind(name, inject, codes)


_WORK = ("/journal.jsonl", "/checkpoint.json", "/segments/", "/audio/", "/assembly/", "/temp/",
         "/manifest.json")  # fmt: skip
_FAILED = frozenset({1})
_BAD_SOURCE = frozenset({3})
_NOTHING = frozenset[int]()

KINDS = (
    filled("the work directory", "work", apart=True),
    filled("the output directory", "out", apart=True),
    filled("both", "out", apart=False),
    refusing("write", errno.ENOSPC, ("/log.jsonl",), _NOTHING),
    refusing("write", errno.ENOSPC, _WORK, _FAILED),
    refusing("write", errno.EIO, _WORK, _FAILED),
    refusing("fsync", errno.EIO, (*_WORK, "/out", ".drapto"), _FAILED),
    refusing("rename", errno.EIO, (*_WORK, "/out/out.mkv"), _FAILED),
    refusing("read", errno.EIO, _WORK, _FAILED),
    refusing("read", errno.EIO, ("/source/in.mkv",), _BAD_SOURCE),
)
