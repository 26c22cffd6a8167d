"""The Typer application: which commands there are, and how its own errors are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.exceptions import TyperException

from cli import analyze, config, doctor, encode, estimate, flags, probe, report, shadow, verify
from cli.errors import INTERRUPTED, describe, say, show
from cli.options import HELP_FLAGS, unwrapped

app = typer.Typer(
    name="drapto",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=HELP_FLAGS,
)
for _command in (
    encode.encode,
    estimate.estimate,
    analyze.analyze,
    probe.probe,
    report.report,
    verify.verify,
    doctor.doctor,
):
    app.command(help=unwrapped(_command.__doc__ or ""))(_command)
app.add_typer(config.app, name="config", help="Show the settings.")
app.add_typer(flags.app, name="flags", help="See and change who serves each stage.")
app.add_typer(shadow.app, name="shadow", help="Compare legacy and new, and see the report.")


def _print_version(wanted: bool) -> None:
    if wanted:
        from drapto._version import __version__

        print(f"drapto {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", metavar="", help="Print the version.",
            callback=_print_version, is_eager=True,
        ),
    ] = False,
) -> None:  # fmt: skip
    """Re-encode video to AV1: scene by scene, in parallel, proved against the source."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code. Raises nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a locale that lacks a letter is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(args=list(arguments), prog_name="drapto", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        if text := error.format_message():  # empty when the help was shown instead
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "drapto"
            usage = f" {context.get_usage()}." if context and "Missing argument" in text else ""
            say(f"Error: {text}{usage} `{command} --help` shows what can be given.")
        return error.exit_code
    except typer.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        from cli.runtime import drop_stdout

        drop_stdout()
        return INTERRUPTED
    except Exception as error:
        failure = describe(error)
        show(failure)
        return failure.exit_code
    return code if isinstance(code, int) else 0
