"""Puts an MPEG-TS that holds several recordings on one clock: a copy of it, in the work directory.

All tracks are moved by the same shift where a recording begins, so they stay in sync, and its
first frame follows the last one before it. Whatever reads the copy needs to know nothing of joins.

    mended = mend(path, stream_index, indexed, work_dir)      # None: nothing to mend

`joins.py` finds where, `transport_stream.py` changes the bytes.
Tests: tests/infrastructure/ffmpeg/test_mending.py, tests/end_to_end/test_joined.py.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drapto.core.errors import InputError, ResourceError
from drapto.core.media import ClockChange
from drapto.infrastructure.ffmpeg.frames import IndexedPackets, index_packets
from drapto.infrastructure.ffmpeg.joins import Join, clock_jumps, find_joins
from drapto.infrastructure.ffmpeg.label import Label
from drapto.infrastructure.ffmpeg.packets import Check, no_check
from drapto.infrastructure.ffmpeg.rewrap import require_space
from drapto.infrastructure.ffmpeg.transport_stream import CLOCK_HZ, move_clock
from drapto.infrastructure.files import cleared

MENDED_NAME = "one_clock.ts"


@dataclass(frozen=True, eq=False)
class Mended:
    """The copy, the frame index of its video, and what was changed."""

    path: Path
    indexed: IndexedPackets
    changes: tuple[ClockChange, ...]


def mend(
    path: Path,
    stream_index: int,
    indexed: IndexedPackets,
    work_dir: Path,
    check: Check = no_check,
) -> Mended | None:
    """`indexed` is that of the main video, as it is in `path`. None where no clock jumps, or
    where one does but no recordings were joined. A copy of an earlier run is used again.

    Errors: InputError, ResourceError (disk full).
    """
    if not clock_jumps(indexed.table):
        return None
    joins = find_joins(path, stream_index, indexed.table, check)
    if not joins:
        return None
    out = work_dir / MENDED_NAME
    moves = [(join.offset, join.shift) for join in joins]
    label = Label(out, path, {"moves": [list(move) for move in moves]})
    if not (label.holds() and out.is_file() and out.stat().st_size == path.stat().st_size):
        work_dir.mkdir(exist_ok=True)
        require_space(path, path.stat().st_size, work_dir)
        _write(path, out, moves, check)
        label.write()
    copy = index_packets(out, stream_index, check)
    if len(copy.table) != len(indexed.table):
        raise InputError(
            f"{path} holds several recordings one after the other, each with a clock of its own, "
            f"and reads differently once it has one clock: {len(copy.table)} video packets "
            f"instead of {len(indexed.table)}.",
            hint="Give it one clock first: ffmpeg -i INPUT -map 0 -c copy OUTPUT.mkv",
        )
    changes = tuple(_change(join, copy) for join in joins)
    notes = [
        f"{change}, where another recording begins: from there on all tracks were moved by "
        f"{change.moved_s:+.3f} s, to go on where the one before it ends"
        for change in changes
    ]
    index = replace(copy.index, notes=(*notes, *copy.index.notes))
    return Mended(out, replace(copy, index=index), changes)


def _write(path: Path, out: Path, moves: Sequence[tuple[int, int]], check: Check) -> None:
    """`out` appears when it is whole."""
    partial = cleared(out.with_name(f".{out.name}.partial"))
    try:
        move_clock(path, partial, moves, check)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise InputError(f"{path} cannot be copied to {out}: {error.strerror}.") from error
        raise ResourceError(
            f"Copying {path} to {out.parent} failed: no space is left there.",
            hint="Free some space, or name another work directory.",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _change(join: Join, copy: IndexedPackets) -> ClockChange:
    frames = copy.row_frame[join.packet :]
    first_shown = int(frames[frames >= 0].min(initial=len(copy.index)))
    jump_s, moved_s = join.jump / CLOCK_HZ, join.shift / CLOCK_HZ
    return ClockChange(frame=first_shown, jump_s=jump_s, moved_s=moved_s)
