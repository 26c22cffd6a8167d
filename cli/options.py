"""The options that more than one command has, and the groups they are shown in.

Flags that are also settings are read as text here and judged by `load_settings`, so that a
wrong value is described the same way wherever it came from.
"""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import Annotated

import typer

HELP_FLAGS = {"help_option_names": ["-h", "--help"]}

QUALITY = "Quality"
PICTURE = "Picture and sound"
MACHINE = "Speed and memory"
FILES = "Files and resuming"
OUTPUT = "What is shown"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        show_default=False,
        help="Settings file to read (default: ./drapto.toml, else the one of the user).",
        rich_help_panel=OUTPUT,
    ),
]
JsonFlag = Annotated[
    bool,
    typer.Option("--json", metavar="", help="Print JSON for programs.", rich_help_panel=OUTPUT),
]
Source = Annotated[str, typer.Argument(metavar="INPUT", hidden=True, show_default=False)]


def unwrapped(doc: str) -> str:
    """A docstring with one line per paragraph, for Rich to wrap to the terminal."""
    return "\n\n".join(" ".join(part.split()) for part in cleandoc(doc).split("\n\n"))


def one_of(given: str, known: list[str], what: str) -> str:
    """The value in lower case. Errors: UsageError, with the one that may have been meant."""
    from drapto.core.errors import UsageError
    from drapto.infrastructure.settings_file import did_you_mean

    if given.lower() not in known:
        near = did_you_mean(given.lower(), known) or f"There are: {', '.join(known)}."
        raise UsageError(f"'{given}' is no {what}.", hint=near)
    return given.lower()
