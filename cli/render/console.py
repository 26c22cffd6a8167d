"""Rich consoles that never read markup in file names, and tables that never hide text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.text import printable

if TYPE_CHECKING:  # it loads every event there is
    from cli.render.facts import Facts


class PlainSpokenConsole(Console):
    """Lets a broken pipe be heard: Rich itself would end the process with its own code."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def make_console(file: IO[str] | None = None) -> Console:
    return PlainSpokenConsole(
        file=file or sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=False
    )


def is_display(console: Console) -> bool:
    """True if a display can be redrawn in place there."""
    return console.is_terminal and not console.is_dumb_terminal


def print_facts(console: Console, facts: Facts) -> None:
    """Label and value, a line each, aligned on a terminal. Lines that are too long are left for
    the terminal to wrap, so that a path can be copied in one piece."""
    width = max((len(label) for label, _ in facts), default=0)
    for label, value in facts:
        if not console.is_terminal:
            write_line(console, f"{label}: {value}")
            continue
        style = "yellow" if label == "warning" else ""
        line = Text.assemble((f"{label:<{width}}  ", "dim"), (value, style))
        console.print(line, soft_wrap=True)


def print_table(
    console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = ""
) -> None:
    """A table; `right` holds the headers whose column is aligned to the right, by comma.

    Away from a terminal every cell is written in full on one line, padded with spaces.
    """
    to_right = [header in right.split(",") for header in headers]
    if console.is_terminal:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for header, flag in zip(headers, to_right, strict=True):
            side: Literal["left", "right"] = "right" if flag else "left"
            table.add_column(header, justify=side, overflow="fold", min_width=len(header))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        return
    lines = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(headers))]
    for line in lines:
        cells = (
            cell.rjust(width) if flag else cell.ljust(width)
            for cell, width, flag in zip(line, widths, to_right, strict=True)
        )
        write_line(console, "  ".join(cells).rstrip())


def write_line(console: Console, line: str) -> None:
    """One line as it is, never wrapped or cut."""
    console.print(Text(line), soft_wrap=True)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A sign of life on stderr while something takes its time, if a person is watching."""
    with status(what):
        yield


@contextmanager
def status(what: str) -> Iterator[Callable[[str], None]]:
    """The same where it is known what is under way: call what is given with a new line."""
    console = make_console(sys.stderr)
    if not is_display(console):
        yield lambda _what: None
        return
    with console.status(Text(printable(what))) as shown:
        yield lambda what: shown.update(Text(printable(what)))
