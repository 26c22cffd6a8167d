"""`drapto analyze`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.encode_options import Deinterlace
from cli.options import ConfigFile, JsonFlag, Source

if TYPE_CHECKING:
    from cli.runtime import Stop


def analyze(
    source: Source,
    deinterlace: Deinterlace = None,
    config: ConfigFile = None,
    json_object: JsonFlag = False,
) -> int:
    """Show what detection finds in INPUT, and the segments an encode would have.

    The whole video is decoded once; twice where fields have to be compared: in a telecined or
    partly interlaced film, and with --deinterlace ivtc.
    """

    async def body(stop: Stop) -> int:
        from cli.render.console import waiting
        from cli.render.media_tables import print_analysis
        from cli.text import path
        from drapto.api import Drapto
        from drapto.infrastructure.settings import load_settings

        settings = load_settings({"deinterlace": deinterlace}, config_file=config).settings
        with waiting(f"decoding {path(Path(source))}"):
            async with Drapto(settings) as drapto:
                found = await drapto.analyze(Path(source), settings.encode_options())
        print_analysis(found, json_object=json_object)
        return 0

    from cli.runtime import run_command

    return run_command(body)
