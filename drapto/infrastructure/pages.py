"""Writes a page that somebody asked for: whole or not at all, and over nothing that matters.

    check_page(out, kept=(source, output), overwrite=False)   # before the work
    write_page(page, out, kept=(source, output), overwrite=False)

Tests: tests/infrastructure/test_pages.py.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from drapto.core.errors import PublishError, UsageError
from drapto.infrastructure.files import sync_directory, translate, write_all
from drapto.infrastructure.publish import check_output, current_umask, rename_no_replace


def check_page(out: Path, kept: Sequence[Path], *, overwrite: bool) -> None:
    """Errors: as `publish.check_output`; UsageError also where `out` is one of `kept`, of which
    there is at least one."""
    for path in kept:
        if _is_same(out, path):
            raise UsageError(
                f"{out} is {path}, which the report is about.", hint="Name another file with -o."
            )
    check_output(kept[0], out, overwrite=overwrite)


def write_page(page: str, out: Path, kept: Sequence[Path], *, overwrite: bool) -> None:
    """Errors: as `check_page`, but PublishError if a file appeared meanwhile."""
    check_page(out, kept, overwrite=True)  # what is there now is judged by the rename
    target = out.resolve() if out.is_symlink() else out
    try:
        descriptor, name = tempfile.mkstemp(prefix=".drapto-", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        try:
            try:
                write_all(descriptor, page.encode("utf-8"))
                os.fchmod(descriptor, 0o666 & ~current_umask())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if overwrite:
                temporary.replace(target)
            else:
                rename_no_replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(target.parent)
    except FileExistsError as error:
        raise PublishError(
            f"{out} appeared while the report was made and is not overwritten.",
            hint="Use --overwrite to replace it.",
        ) from error
    except OSError as error:
        hint = f"Check the room and the permissions in {out.absolute().parent}."
        raise translate(error, f"{out} cannot be written", hint=hint) from error


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()
