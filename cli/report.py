"""`drapto report`: what came of one film, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigFile

if TYPE_CHECKING:
    from cli.runtime import Stop


def report(
    given: Annotated[
        str, typer.Argument(metavar="OUTPUT|MANIFEST", hidden=True, show_default=False)
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", show_default=False,
            help="Write it there. (default: beside OUTPUT, ending in .html)",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace a report that is there.")
    ] = False,
    config: ConfigFile = None,
) -> int:  # fmt: skip
    """Write a page about a finished film: its quality, bytes and time, and its worst places.

    OUTPUT is a file that `drapto encode` wrote, MANIFEST the manifest.json of such a job. The page
    is one file that needs no network. It has pictures of source and output where both are still
    what they were.
    """

    async def body(stop: Stop) -> int:
        import anyio.to_thread

        from cli.errors import say
        from cli.render.console import status
        from drapto.bootstrap.film_reporting import manifest_of, page_beside, report_film
        from drapto.infrastructure.pages import check_page, write_page
        from drapto.infrastructure.settings import load_settings

        settings = load_settings(config_file=config).settings
        manifest = await manifest_of(settings, Path(given))
        out = page_beside(Path(given), manifest) if file is None else file
        kept = (Path(given), manifest.source, manifest.output)
        check_page(out, kept, overwrite=overwrite)
        with status(f"reading {given}") as tell:
            made = await report_film(settings, manifest, tell)
            tell("drawing the page")
            # Not before it is needed: matplotlib takes a second.
            from drapto.infrastructure.report.film_page import render_film_page, summary

            page = await anyio.to_thread.run_sync(render_film_page, made)
        write_page(page, out, kept, overwrite=overwrite)
        if made.no_stills:
            lacks = "Not every picture is" if made.stills else "No pictures are"
            say(f"{lacks} in the report. {made.no_stills}")
        say(f"{summary(made)}. Written to {out}.")
        return 0

    from cli.runtime import run_command

    return run_command(body)
