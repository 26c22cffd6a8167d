"""`drapto shadow …`: comparing both sides of a stage, and what the comparisons come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import encode_options as given
from cli.options import HELP_FLAGS, ConfigFile, JsonFlag, Source

if TYPE_CHECKING:
    from datetime import datetime

    from cli.runtime import Stop
    from drapto.core.routing import RoutedStage

app = typer.Typer(no_args_is_help=True, context_settings=HELP_FLAGS, rich_markup_mode="rich")

OneStage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        metavar="STAGE",
        show_default=False,
        help="Only detection, segmentation or encoding. (default: all three)",
    ),
]


@app.callback()
def top() -> None:
    """Compare legacy and new, and see what the comparisons come to."""


@app.command()
def compare(
    source: Source,
    stage: OneStage = None,
    repeat: Annotated[
        int, typer.Option(metavar="N", min=1, help="How often each side of a stage is run.")
    ] = 1,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", metavar="", help="Put the comparisons into the store; reports count them."
        ),
    ] = False,
    crf: given.Crf = None,
    preset: given.Preset = None,
    encoder: given.EncoderName = None,
    crop: given.Crop = None,
    deinterlace: given.Deinterlace = None,
    audio: given.Audio = None,
    video_stream: given.VideoStream = None,
    config: ConfigFile = None,
    json_object: JsonFlag = False,
) -> int:
    """Run both sides of every stage on INPUT, in random order, and compare what they make.

    Nothing is published, and nothing is stored without --keep. The exit code is 0 whatever comes
    out.
    """

    async def body(stop: Stop) -> int:
        from cli.render.console import status
        from cli.render.shadow_tables import print_comparisons
        from drapto.api import Drapto
        from drapto.infrastructure.settings import load_settings

        flags = {
            "crf": crf, "preset": preset, "encoder": encoder, "crop": crop,
            "deinterlace": deinterlace, "audio": audio,
            "video_stream": video_stream,
        }  # fmt: skip
        stages = _stages(stage)
        settings = load_settings(flags, config_file=config).settings
        with status(f"reading {source}") as tell:
            async with Drapto(settings) as drapto:
                found = await drapto.compare(
                    Path(source), stages=stages, repeat=repeat, keep=keep, tell=tell
                )
        print_comparisons(found, json_object=json_object)
        return 0

    from cli.runtime import run_command

    return run_command(body)


@app.command()
def report(
    stage: OneStage = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            show_default=False,
            help="Only comparisons from then on: 7d, 24h, or a date such as 2026-01-31. The "
            "verdict always counts all of the candidate revision.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="table|json|html",
            show_default=False,
            help="(default: by the ending of FILE, else table)",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", show_default=False, help="Write it there."),
    ] = None,
    config: ConfigFile = None,
) -> int:
    """Say for every stage whether it may move on, and why."""
    import gc

    # Many small values, all of them needed to the end: looking for garbage takes a third of the
    # time of 100,000 comparisons, and finds none.
    gc.disable()

    async def body(stop: Stop) -> int:
        from datetime import UTC, datetime

        from cli.render.shadow_report import write_report
        from drapto.api import Drapto
        from drapto.infrastructure.settings import load_settings

        chosen, start = _format(form, file), _since(since, datetime.now(UTC))
        stages = _stages(stage)
        settings = load_settings(config_file=config).settings
        found = await Drapto(settings).shadow_report(stages, since=start)
        write_report(found, chosen, file)
        return 0

    from cli.runtime import run_command

    return run_command(body)


@app.command()
def show(
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID", show_default=False, help="Of a comparison; its beginning is enough."
        ),
    ],
    config: ConfigFile = None,
    json_object: JsonFlag = False,
) -> int:
    """Show one comparison: both sides, every field, and the command that runs it again."""

    async def body(stop: Stop) -> int:
        from cli.render.shadow_tables import print_comparison
        from drapto.api import Drapto
        from drapto.infrastructure.settings import load_settings

        found = await Drapto(load_settings(config_file=config).settings).comparison(id)
        print_comparison(found, json_object=json_object)
        return 0

    from cli.runtime import run_command

    return run_command(body)


def _stages(name: str | None) -> tuple[RoutedStage, ...]:
    from cli.options import one_of
    from drapto.core.routing import RoutedStage

    if name is None:
        return tuple(RoutedStage)
    return (RoutedStage(one_of(name, [stage.value for stage in RoutedStage], "stage")),)


def _format(form: str | None, file: Path | None) -> str:
    from cli.options import one_of

    if form is not None:
        return one_of(form, ["table", "json", "html"], "format of a report")
    by_ending = {".html": "html", ".htm": "html", ".json": "json"}
    return by_ending.get(file.suffix.lower(), "table") if file else "table"


def _since(text: str | None, now: datetime) -> datetime | None:
    """'7d', '24h', '30m' ago, or an ISO date or time (of this machine's zone, if it names none)."""
    from datetime import datetime

    from drapto.core.errors import UsageError
    from drapto.core.judging import time_span

    if text is None:
        return None
    try:
        return now - time_span(text)
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text).astimezone(now.tzinfo)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {text} is no time.",
            hint="Give how long ago, such as 7d or 24h, or a date such as 2026-01-31.",
        ) from error
