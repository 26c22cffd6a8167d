"""`drapto config show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import HELP_FLAGS, ConfigFile, JsonFlag

if TYPE_CHECKING:
    from cli.runtime import Stop

app = typer.Typer(no_args_is_help=True, context_settings=HELP_FLAGS, rich_markup_mode="rich")


@app.callback()
def top() -> None:
    """Show the settings."""


@app.command()
def show(config: ConfigFile = None, json_object: JsonFlag = False) -> int:
    """Show every setting, its value, and where the value came from."""

    async def body(stop: Stop) -> int:
        from cli.render.config_table import print_settings
        from drapto.infrastructure.settings import load_settings

        print_settings(load_settings(config_file=config), json_object=json_object)
        return 0

    from cli.runtime import run_command

    return run_command(body)
