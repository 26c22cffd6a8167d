"""From the paths on the command line to the list of files to encode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drapto.core.errors import InputError, UsageError
from drapto.services.batch import (
    BatchItem,
    BatchPlan,
    is_video_name,
    join_plans,
    plan_files,
    plan_tree,
)

# What a work directory holds, whatever its name: files in there are nobody's films.
_WORK_DIRECTORY_MARK = "journal.jsonl"


@dataclass(frozen=True)
class Work:
    """What one command has to do. `is_batch`: failures of one file do not end the others."""

    plan: BatchPlan
    is_batch: bool


def plan_work(inputs: Sequence[str], output: str) -> Work:
    """A file to a file, or anything else into a directory.

    Raises UsageError for arguments that contradict each other, InputError for a directory
    without videos.
    """
    sources = [_absolute(name) for name in inputs]
    target = _absolute(output)
    into_directory = (
        len(sources) > 1 or sources[0].is_dir() or target.is_dir() or output.endswith((os.sep, "/"))
    )
    if not into_directory:
        return Work(BatchPlan(items=(BatchItem(source=sources[0], output=target),)), False)
    _check_directory(sources, target)
    plans = []
    for source in sources:
        if source.is_dir():
            mirror = target if len(sources) == 1 else target / source.name
            plans.append(plan_tree(source, find_files(source, beside=target), mirror))
        else:
            plans.append(plan_files([source], target))
    plan = join_plans(plans)
    if not plan.items:
        raise InputError(
            f"There is no video file in {', '.join(str(source) for source in sources)}.",
            hint="Videos are known by their extension; name a file itself to have it tried anyway.",
        )
    return Work(plan, True)


@dataclass(frozen=True)
class Film:
    """`name`: relative to what was given on the command line."""

    path: Path
    name: Path


def find_videos(inputs: Sequence[str]) -> tuple[tuple[Film, ...], bool]:
    """Every film that `plan_work` would encode, and whether they are a batch.

    Raises InputError for a directory without videos, UsageError for a file that is given twice.
    """
    films: list[Film] = []
    for source in map(_absolute, inputs):
        if source.is_dir():
            names = sorted(filter(is_video_name, find_files(source)))
            films += [Film(source / name, name) for name in names]
        else:
            films.append(Film(source, Path(source.name)))
    if not films:
        raise InputError(
            f"There is no video file in {', '.join(inputs)}.",
            hint="Videos are known by their extension; name a file itself to have it tried anyway.",
        )
    for path in {film.path for film in films}:
        if sum(film.path == path for film in films) > 1:
            raise UsageError(f"{path} is given twice.", hint="Name every input once.")
    return tuple(films), len(inputs) > 1 or _absolute(inputs[0]).is_dir()


def _absolute(name: str) -> Path:
    """Absolute and free of '..', symbolic links left as they are."""
    return Path(os.path.abspath(name))  # noqa: PTH100  (Path.absolute keeps '..')


def _check_directory(sources: Sequence[Path], target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise UsageError(
            f"OUTPUT {target} is a file; several inputs or a directory need a directory.",
            hint="Name a directory as the last argument.",
        )
    if not target.exists() and is_video_name(target):
        raise UsageError(
            f"OUTPUT {target} looks like a file; several inputs or a directory need a directory.",
            hint="Name a directory as the last argument; it is made if it is not there.",
        )
    for source in sources:
        if source.is_dir() and _same(source, target):
            raise UsageError(
                f"INPUT and OUTPUT are the same directory, {source}.",
                hint="Choose another directory for OUTPUT; it may lie inside INPUT.",
            )


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def find_files(root: Path, *, beside: Path | None = None) -> list[Path]:
    """Every file below `root`, relative to it, without hidden ones, work directories and
    `beside` (the output directory, which may lie inside). Raises OSError for an unreadable
    directory; symbolic links to directories are not followed."""

    def refuse(error: OSError) -> None:
        raise error

    found = []
    for directory, names, files in os.walk(root, onerror=refuse):
        here = Path(directory)
        names[:] = sorted(n for n in names if not n.startswith(".") and not _skip(here / n, beside))
        found += [(here / name).relative_to(root) for name in files if not name.startswith(".")]
    return found


def _skip(directory: Path, output_dir: Path | None) -> bool:
    is_output = output_dir is not None and _same(directory, output_dir)
    return is_output or (directory / _WORK_DIRECTORY_MARK).exists()
