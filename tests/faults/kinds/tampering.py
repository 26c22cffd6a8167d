"""A work directory that is tampered with, between two runs of a job and under a running one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from random import Random

from tests.faults.harness import Kind
from tests.faults.place import Ended, Place, held, named, until_event

Change = Callable[[Path, Random], None]
_FAILED, _NOTHING = frozenset({1}), frozenset[int]()


def between_runs(name: str, change: Change) -> Kind:
    """The job is killed after some segments or, now and then, behind its assembly."""

    def inject(place: Place) -> Ended:
        process = place.start()
        wanted = place.rng.choice(("segment_finished",) * 3 + ("assembled",))
        if wanted == "assembled":
            until_event(process, named("stage_started", stage="validation"))
        else:
            _some_segments(place, process)
        process.kill()
        killed = place.finish(process)
        if killed.code == 0:  # it was quicker
            return Ended(0, "", hit=False)
        hit = _tampered(place, change)
        return place.run(hit=hit)

    return Kind(f"{name} between two runs", inject, _NOTHING)


def during_run(name: str, change: Change) -> Kind:
    def inject(place: Place) -> Ended:
        process = place.start()
        _some_segments(place, process)
        place.sleep_up_to(place.rng.choice((0.0, 0.2)))
        hit = process.poll() is None
        if hit:
            with held(process):
                hit = _tampered(place, change)
        return place.finish(process, hit=hit)

    return Kind(f"{name} during a run", inject, _FAILED)


def _some_segments(place: Place, process: subprocess.Popen[str]) -> None:
    for _ in range(place.rng.randint(1, 3)):
        until_event(process, named("segment_finished"))


def _tampered(place: Place, change: Change) -> bool:
    """False if there was nothing to tamper with."""
    try:
        change(place.work_dir(), place.rng)
    except (FileNotFoundError, IndexError, ValueError):
        return False
    return True


def _pieces(work: Path) -> list[Path]:
    """Finished segments, audio tracks and assembled files."""
    found = [*work.glob("segments/*.mkv"), *work.glob("audio/*.opus"), *work.glob("assembly/*")]
    return sorted(path for path in found if ".partial" not in path.name)


def cut_short(work: Path, rng: Random) -> None:
    path = rng.choice(_pieces(work))
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def flip_a_bit(work: Path, rng: Random) -> None:
    path = rng.choice(_pieces(work))
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def swap_two(work: Path, rng: Random) -> None:
    """The two that have as many frames, if both are there."""
    one, other = rng.choice(list(combinations(sorted(work.glob("segments/0000?.mkv")), 2))[:1])
    spare = one.with_suffix(".spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)


def remove_a_piece(work: Path, rng: Random) -> None:
    rng.choice(_pieces(work)).unlink()


def link_instead_of_a_piece(work: Path, rng: Random) -> None:
    """To another piece, to the source, to nothing; also where the next one will be written."""
    piece = rng.choice(_pieces(work))
    source = work.parent.parent / "source" / "in.mkv"
    target = rng.choice([*_pieces(work), source, Path("/nowhere")])
    place = rng.choice([piece, piece.with_suffix(f".partial{piece.suffix}")])
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def links_where_the_next_are_written(work: Path, rng: Random) -> None:
    """Whatever follows these links when it writes overwrites the source."""
    source = work.parent.parent / "source" / "in.mkv"
    names = [f"segments/0000{n}.partial.mkv" for n in range(4)]
    names += ["audio/1.partial.opus", "assembly/output.partial.mkv", "temp/video.partial.mp4",
              "temp/metadata.txt", ".checkpoint.json.tmp", ".manifest.json.tmp"]  # fmt: skip
    for name in names:
        path = work / name
        if path.parent.is_dir() and not path.exists():
            path.symlink_to(source)


def folder_instead_of_a_piece(work: Path, rng: Random) -> None:
    piece = rng.choice(_pieces(work))
    piece.unlink()
    piece.mkdir()


def remove_a_directory(work: Path, rng: Random) -> None:
    shutil.rmtree(work / rng.choice(("segments", "audio", "assembly", "temp")))


def remove_all(work: Path, rng: Random) -> None:
    shutil.rmtree(work)


def _lines(work: Path) -> list[str]:
    return (work / "journal.jsonl").read_text().splitlines(keepends=True)


def _write(work: Path, lines: list[str]) -> None:
    (work / "journal.jsonl").write_text("".join(lines))


def tear_the_journal(work: Path, rng: Random) -> None:
    lines = _lines(work)
    lines[-1] = lines[-1][: rng.randrange(len(lines[-1]))]
    _write(work, lines)


def double_a_line(work: Path, rng: Random) -> None:
    lines = _lines(work)
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    _write(work, lines)


def drop_a_line(work: Path, rng: Random) -> None:
    lines = _lines(work)
    del lines[rng.randrange(len(lines))]
    _write(work, lines)


def reorder_lines(work: Path, rng: Random) -> None:
    lines = _lines(work)
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    _write(work, lines)


def garbage_in_the_journal(work: Path, rng: Random) -> None:
    garbage = rng.choice((
        rng.randbytes(200) + b"\n", b"\0" * 512, b"{}\n", b"[" * 100_000 + b"\n", b"null\n",
        b'{"entry":"segment_done"}\n', b'{"entry":"from the future","at":"2099-01-01"}\n',
    ))  # fmt: skip
    lines = [line.encode() for line in _lines(work)]
    lines.insert(rng.randrange(len(lines) + 1), garbage)
    (work / "journal.jsonl").write_bytes(b"".join(lines))


def exchange_paths_in_the_journal(work: Path, rng: Random) -> None:
    """The entry of one segment names the file of another."""
    entries = [json.loads(line) for line in _lines(work)]
    done = [entry["encoded"] for entry in entries if entry["entry"] == "segment_done"]
    one, other = rng.sample(done, 2)
    for key in ("path", "size_bytes", "digest"):
        one[key], other[key] = other[key], one[key]
    _write(work, [json.dumps(entry) + "\n" for entry in entries])


def no_checkpoint(work: Path, rng: Random) -> None:
    checkpoint = work / "checkpoint.json"
    checkpoint.unlink()
    rng.choice((lambda: None, checkpoint.mkdir, lambda: checkpoint.write_text("{")))()


def wrong_manifest(work: Path, rng: Random) -> None:
    (work / "manifest.json").write_text(rng.choice(("", "{}", "garbage", '{"rows": []}')))


_BOTH = {
    "a piece cut short": cut_short,
    "a bit flipped in a piece": flip_a_bit,
    "two segments swapped": swap_two,
    "a piece removed": remove_a_piece,
    "a link instead of a piece": link_instead_of_a_piece,
    "a directory instead of a piece": folder_instead_of_a_piece,
    "a directory removed": remove_a_directory,
    "the journal torn": tear_the_journal,
    "garbage in the journal": garbage_in_the_journal,
    "no checkpoint": no_checkpoint,
    "another manifest": wrong_manifest,
    "the work directory removed": remove_all,
}
_BETWEEN = {
    # Under a running job the encoder that has just been started might be about to open one.
    "links where pieces are written": links_where_the_next_are_written,
    "a journal line doubled": double_a_line,
    "a journal line lost": drop_a_line,
    "journal lines reordered": reorder_lines,
    "entries with each other's files": exchange_paths_in_the_journal,
}

KINDS = (
    *(between_runs(name, change) for name, change in {**_BOTH, **_BETWEEN}.items()),
    *(during_run(name, change) for name, change in _BOTH.items()),
)
