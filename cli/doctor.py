"""`drapto doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.options import ConfigFile, JsonFlag

if TYPE_CHECKING:
    from cli.runtime import Stop


def doctor(config: ConfigFile = None, json_object: JsonFlag = False) -> int:
    """Show what this machine can do, and what to do where something is missing.

    The exit code is 4 if something that every encode needs is missing.
    """

    async def body(stop: Stop) -> int:
        from cli.render.doctor_table import print_report
        from drapto.api import Drapto
        from drapto.core.errors import MissingToolError
        from drapto.infrastructure.settings import load_settings

        async with Drapto(load_settings(config_file=config).settings) as drapto:
            report = await drapto.doctor()
        print_report(report, json_object=json_object)
        missing = any(line.status == "missing" for line in report)
        return MissingToolError.exit_code if missing else 0

    from cli.runtime import run_command

    return run_command(body)
