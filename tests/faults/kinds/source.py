"""The source that changes under the job that reads it, at a random moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.harness import Kind
from tests.faults.place import Ended, Place, named, until_event

Change = Callable[[Path, Random], None]


def kind(name: str, change: Change) -> Kind:
    def inject(place: Place) -> Ended:
        process = place.start()
        until_event(process, named("stage_started", stage="probe"))
        place.sleep_up_to(0.6)
        place.restore_source()
        hit = process.poll() is None
        change(place.source, place.rng)
        return place.finish(process, hit=hit)

    return Kind(f"the source {name}", inject, codes=frozenset({3}))


def vanish(source: Path, rng: Random) -> None:
    source.unlink()


def cut_off(source: Path, rng: Random) -> None:
    os.truncate(source, rng.randrange(source.stat().st_size))


def grow(source: Path, rng: Random) -> None:
    with source.open("ab") as file:
        file.write(rng.randbytes(rng.randrange(1, 50_000)))


def change_inside(source: Path, rng: Random) -> None:
    data = bytearray(source.read_bytes())
    begin = rng.randrange(len(data) // 2)
    data[begin : begin + 20_000] = rng.randbytes(len(data[begin : begin + 20_000]))
    with source.open("r+b") as file:
        file.write(data)


def replace_by_half(source: Path, rng: Random) -> None:
    """By a shorter film under the same name, as a download that was begun again."""
    other = source.parent.parent / "other.mkv"
    data = source.read_bytes()
    other.write_bytes(data[: len(data) // 2])
    other.replace(source)


def replace_by_copy(source: Path, rng: Random) -> None:
    """The same film in another file: whoever has it open reads on in the old one."""
    other = source.parent.parent / "other.mkv"
    shutil.copy2(source, other)
    other.replace(source)


KINDS = (
    kind("vanishes", vanish),
    kind("is cut off", cut_off),
    kind("grows", grow),
    kind("is overwritten in the middle", change_inside),
    kind("is replaced by a shorter one", replace_by_half),
    kind("is replaced by a copy", replace_by_copy),
)
