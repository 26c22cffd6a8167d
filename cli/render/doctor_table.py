"""`drapto doctor`: what is there, and what to do about what is not."""

from __future__ import annotations

from collections.abc import Sequence

from cli import text
from cli.render.console import make_console, print_table, write_line
from drapto.core.doctor import DoctorLine
from drapto.core.json_text import dumps


def print_report(report: Sequence[DoctorLine], *, json_object: bool) -> None:
    if json_object:
        print(dumps({"lines": list(report)}))
        return
    console = make_console()
    rows = [[line.name, line.status, text.printable(line.detail)] for line in report]
    print_table(console, ("what", "status", "detail"), rows)
    for line in report:
        if line.advice:
            write_line(console, f"{line.name}: {text.printable(line.advice)}")
