"""`drapto flags …`: who serves which stage, and changing that without touching a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import HELP_FLAGS, ConfigFile, JsonFlag, one_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from drapto.core.routing import Mode, RoutedStage
    from drapto.infrastructure.flags.opening import Flags

app = typer.Typer(no_args_is_help=True, context_settings=HELP_FLAGS, rich_markup_mode="rich")

Stage = Annotated[
    str,
    typer.Argument(
        metavar="STAGE", show_default=False, help="detection, segmentation or encoding."
    ),
]
Why = Annotated[
    str, typer.Option("--why", metavar="TEXT", show_default=False, help="For the audit log.")
]


@app.callback()
def top() -> None:
    """See and change who serves each stage: legacy or new."""


@app.command("list")
def list_(config: ConfigFile = None, json_object: JsonFlag = False) -> int:
    """Show every stage: its mode, who set it, and what else to know."""

    def body(flags: Flags) -> int:
        from cli.render.flag_tables import print_list

        print_list(flags, json_object=json_object)
        return 0

    return _run(body, config)


@app.command()
def show(stage: Stage, config: ConfigFile = None, json_object: JsonFlag = False) -> int:
    """Show everything about one stage: every key in force, rules and overrides."""

    def body(flags: Flags) -> int:
        from cli.render.flag_tables import print_stage

        print_stage(flags, _stage(stage), json_object=json_object)
        return 0

    return _run(body, config)


@app.command("set")
def set_(
    stage: Stage,
    mode: Annotated[
        str,
        typer.Argument(
            metavar="MODE", show_default=False, help="legacy, shadow, canary, new or retired."
        ),
    ],
    percent: Annotated[
        float | None,
        typer.Option(
            metavar="N", show_default=False, help="Jobs that new serves in canary, 0 to 100."
        ),
    ] = None,
    why: Why = "",
    config: ConfigFile = None,
) -> int:
    """Give a stage another mode, from the next job on.

    Writes an override beside the flags file, never the file itself.
    """

    def body(flags: Flags) -> int:
        from cli.render.flag_tables import say_set

        chosen = _stage(stage)
        before = _override(flags, chosen, _mode(mode), percent, why)
        say_set(flags, chosen, before)
        return 0

    return _run(body, config)


@app.command()
def disable(stage: Stage, why: Why = "", config: ConfigFile = None) -> int:
    """Send a stage back to legacy, until `reset` or a new candidate_revision."""

    def body(flags: Flags) -> int:
        from cli.errors import say
        from drapto.core.routing import Mode

        chosen = _stage(stage)
        _override(flags, chosen, Mode.ROLLED_BACK, None, why)
        say(
            f"Legacy serves {chosen} from the next job on, in every running Drapto too, whatever "
            f"rules or --route say, until `drapto flags reset {chosen}`."
        )
        return 0

    return _run(body, config)


@app.command()
def reset(stage: Stage, why: Why = "", config: ConfigFile = None) -> int:
    """Take back what `set`, `disable` or a rollback did: the flags file decides again."""

    def body(flags: Flags) -> int:
        from cli.render.flag_tables import say_reset
        from drapto.infrastructure.flags.overrides import login_name

        chosen = _stage(stage)
        say_reset(flags, chosen, flags.overrides.reset(chosen, by=login_name(), why=why))
        return 0

    return _run(body, config)


@app.command()
def history(
    stage: Annotated[
        str | None,
        typer.Option("--stage", metavar="STAGE", show_default=False, help="Only of this one."),
    ] = None,
    config: ConfigFile = None,
    json_object: JsonFlag = False,
) -> int:
    """Show the audit log: who changed what, when, and why."""

    def body(flags: Flags) -> int:
        from cli.render.flag_tables import print_history

        only = _stage(stage) if stage else None
        print_history(flags.overrides, only, json_object=json_object)
        return 0

    return _run(body, config)


@app.command()
def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", show_default=False, help="Instead of the flags file in force."
        ),
    ] = None,
    json_object: JsonFlag = False,
) -> int:
    """Try a flags file: errors (exit code 2), stale flags and expired ignores."""

    def body() -> int:
        from datetime import date

        from cli.render.flag_tables import print_check
        from drapto.core.flags import worth_a_look
        from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace, find_flags_file

        place = FlagsPlace(file.absolute(), "named") if file else find_flags_file()
        warnings = worth_a_look(FlagsFile(place).last_good, date.today())
        print_check(place, warnings, json_object=json_object)
        return 0

    return _run_plain(body)


def _run(body: Callable[[Flags], int], config: Path | None) -> int:
    def opened() -> int:
        from drapto.infrastructure.flags.opening import open_flags
        from drapto.infrastructure.settings import load_settings

        return body(open_flags(load_settings(config_file=config).settings))

    return _run_plain(opened)


def _run_plain(body: Callable[[], int]) -> int:
    from cli.runtime import run_command

    async def command(_stop: Any) -> int:
        return body()

    return run_command(command)


def _stage(name: str) -> RoutedStage:
    from drapto.core.routing import RoutedStage

    return RoutedStage(one_of(name, [stage.value for stage in RoutedStage], "stage"))


def _mode(name: str) -> Mode:
    from drapto.core.errors import UsageError
    from drapto.core.routing import Mode

    if name.lower() == Mode.ROLLED_BACK:
        raise UsageError("A rollback is not set.", hint="Use `drapto flags disable STAGE`.")
    return Mode(one_of(name, [mode.value for mode in Mode if mode != Mode.ROLLED_BACK], "mode"))


def _override(flags: Flags, stage: RoutedStage, mode: Mode, percent: float | None, why: str) -> str:
    """Write it; what held before. Errors: UsageError, StateError."""
    from datetime import UTC, datetime

    from pydantic import ValidationError

    from drapto.core.errors import UsageError
    from drapto.core.flag_overrides import Override
    from drapto.core.flags import standing_mode
    from drapto.core.routing import Mode
    from drapto.infrastructure.flags.overrides import login_name

    flag = flags.file.last_good.of(stage)
    standing = standing_mode(stage, flag, flags.overrides.load().of(stage, flag.candidate_revision))
    if percent is not None and mode is not Mode.CANARY:
        raise UsageError("--percent goes with the mode canary.")
    if standing.mode is Mode.ROLLED_BACK and mode is not Mode.ROLLED_BACK:
        raise UsageError(
            f"{stage} is rolled back, and stays so whatever is set.",
            hint=f"`drapto flags history --stage {stage}` says why; `drapto flags reset {stage}` "
            "takes the rollback back.",
        )
    try:
        override = Override(
            stage=stage,
            revision=flag.candidate_revision,
            mode=mode,
            percent=percent,
            at=datetime.now(UTC),
            by=login_name(),
            why=why,
        )
    except ValidationError as error:
        raise UsageError(
            f"--percent cannot be {percent}; allowed is 0 to 100 in steps of 0.001."
        ) from error
    flags.overrides.change(override)
    return standing.mode.value
