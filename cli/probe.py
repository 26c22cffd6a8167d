"""`drapto probe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.options import ConfigFile, JsonFlag, Source

if TYPE_CHECKING:
    from cli.runtime import Stop


def probe(source: Source, config: ConfigFile = None, json_object: JsonFlag = False) -> int:
    """Show the streams of INPUT and a summary of its frames.

    Nothing is decoded: this takes about as long as reading the file.
    """

    async def body(stop: Stop) -> int:
        from cli.render.console import waiting
        from cli.render.media_tables import print_probe
        from cli.text import path
        from drapto.api import Drapto
        from drapto.infrastructure.settings import load_settings

        settings = load_settings(config_file=config).settings
        with waiting(f"reading {path(Path(source))}"):
            async with Drapto(settings) as drapto:
                media, index = await drapto.probe(Path(source))
        print_probe(media, index, json_object=json_object)
        return 0

    from cli.runtime import run_command

    return run_command(body)
