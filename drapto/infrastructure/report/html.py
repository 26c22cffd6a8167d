"""What every page has in common: one file that opens offline, with no script and no network.

    html = environment().get_template("report.html").render(report=report)

Every text is escaped, by Jinja2 for HTML and here for what could hide in a file name; the page
itself forbids whatever it does not bring along (Content-Security-Policy, templates/base.html).
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drapto.core import json_text
from drapto.core.words import count, duration, saving, size

_TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """With the filters that all templates may use; a name that is unknown is an error."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    made.filters |= {
        "percent": lambda share: f"{share:.1%}",
        "number": lambda value: f"{value:.3g}",
        "when": lambda at: f"{at:%Y-%m-%d %H:%M}" if isinstance(at, datetime) else str(at),
        "words": lambda value: str(value).replace("_", " "),
        "seconds": lambda value: f"{value:.1f} s",
        "duration": duration,
        "size": size,
        "count": count,
    }
    made.globals |= {"saving": saving}
    return made


def _finalized(value: object) -> object:
    """No character that is invisible, turns the text around, or cannot be written as UTF-8."""
    if isinstance(value, Markup | int | float):
        return value
    return "".join(
        char
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
        else json_text.escape(char)
        if unicodedata.category(char) == "Cs"
        else char.encode("unicode_escape").decode("ascii")
        for char in str(value)
    )
