"""`drapto estimate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import encode_options as o
from cli.options import MACHINE, OUTPUT, ConfigFile, JsonFlag

if TYPE_CHECKING:
    from cli.runtime import Stop

Inputs = Annotated[list[str], typer.Argument(metavar="INPUT", hidden=True)]
Windows = Annotated[int | None, typer.Option(
    "--windows", metavar="N", min=1, show_default=False, rich_help_panel=MACHINE,
    help="Stretches of 48 frames to try; more of them take longer and narrow the range. "
    "(default: 8 to 24, by the film's length)",
)]  # fmt: skip
Sheet = Annotated[str | None, typer.Option(
    "--sheet", metavar="FILE.png", show_default=False, rich_help_panel=OUTPUT,
    help="Write a contact sheet: stills with what would be cut off drawn in. Of several films, "
    "name a directory.",
)]  # fmt: skip


def estimate(
    inputs: Inputs,
    target_vmaf: o.TargetVmaf = None,
    crf: o.Crf = None,
    measure: o.Measure = False,
    max_size_percent: o.MaxSizePercent = None,
    preset: o.Preset = None,
    encoder: o.EncoderName = None,
    crop: o.Crop = None,
    deinterlace: o.Deinterlace = None,
    film_grain: o.FilmGrain = None,
    audio: o.Audio = None,
    video_stream: o.VideoStream = None,
    workers: o.Workers = None,
    memory: o.Memory = None,
    windows: Windows = None,
    sheet: Sheet = None,
    json_lines: JsonFlag = False,
    config: ConfigFile = None,
) -> int:
    """Say what an encode of INPUT would come to, without doing it.

    INPUT may be a file, several, or a directory: then every video in it. A few short stretches of
    each are encoded as `drapto encode` would; from them follow size, time, memory and disk, each
    with a range that should hold 80 % of finished encodes. Nothing is kept but the contact sheet.
    """
    flags = {
        "target_vmaf": target_vmaf, "crf": crf, "measure": measure or None,
        "max_size_percent": max_size_percent, "preset": preset, "encoder": encoder, "crop": crop,
        "deinterlace": deinterlace, "film_grain": film_grain, "audio": audio,
        "video_stream": video_stream, "workers": workers, "memory_gib": memory,
    }  # fmt: skip

    async def body(stop: Stop) -> int:
        from cli.estimates import Estimates
        from drapto.infrastructure.settings import load_settings

        settings = load_settings(flags, config_file=config).settings
        estimates = Estimates(settings, windows, sheet, json_lines)
        return await estimates.all(inputs, stop)

    from cli.runtime import run_command

    return run_command(body)
