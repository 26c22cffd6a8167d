"""`drapto verify`: how good a file is against its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import OUTPUT, PICTURE, ConfigFile, JsonFlag, Source, one_of

if TYPE_CHECKING:
    from cli.runtime import Stop


Output = Annotated[str, typer.Argument(metavar="OUTPUT", hidden=True)]
MetricName = Annotated[str | None, typer.Option(
    "--metric", metavar="vmaf|xpsnr|ssim", show_default=False, rich_help_panel=OUTPUT,
    help="What to measure. (default: vmaf, for HDR xpsnr)",
)]  # fmt: skip
EveryFrame = Annotated[bool, typer.Option(
    "--every-frame", metavar="", rich_help_panel=OUTPUT,
    help="VMAF of every frame. (default: of every third; the other metrics always look at all)",
)]  # fmt: skip
Neg = Annotated[bool, typer.Option(
    "--neg", metavar="", rich_help_panel=OUTPUT,
    help="Take the VMAF model that sharpening cannot please.",
)]  # fmt: skip
Crop = Annotated[str | None, typer.Option(
    "--crop", metavar="auto|off|W:H:X:Y", show_default=False, rich_help_panel=PICTURE,
    help="Which part of INPUT the output shows. (default: auto, what Drapto cut off when it made "
    "OUTPUT; nothing where it did not)",
)]  # fmt: skip
Deinterlace = Annotated[str | None, typer.Option(
    "--deinterlace", metavar="auto|off|bwdif|bob|ivtc", show_default=False,
    rich_help_panel=PICTURE,
    help="How fields were put together. (default: auto, as Drapto did when it made OUTPUT; not at "
    "all where it did not)",
)]  # fmt: skip
VideoStream = Annotated[int | None, typer.Option(
    "--video-stream", metavar="N", min=0, show_default=False, rich_help_panel=PICTURE,
    help="Which video stream of INPUT, counted from 0. (default: the one that was encoded, or the "
    "main one)",
)]  # fmt: skip


def verify(
    source: Source,
    output: Output,
    metric: MetricName = None,
    every_frame: EveryFrame = False,
    neg: Neg = False,
    crop: Crop = None,
    deinterlace: Deinterlace = None,
    video_stream: VideoStream = None,
    config: ConfigFile = None,
    json_object: JsonFlag = False,
) -> int:
    """Measure the quality of OUTPUT against INPUT, frame by frame, whoever made it.

    Both must have the same frames and show the same picture: the exit code is 3 if they do not.
    Nothing is written.
    """

    async def body(stop: Stop) -> int:
        from cli.render.console import status
        from cli.render.verify_table import print_verification
        from drapto.api import Drapto
        from drapto.core.quality import Metric
        from drapto.infrastructure.settings import load_settings
        from drapto.infrastructure.settings_fields import parse_crop

        settings = load_settings(
            {"crop": crop, "deinterlace": deinterlace}, config_file=config
        ).settings  # judges both
        named = None if metric is None else Metric(one_of(metric, [*Metric], "metric"))
        with status(f"measuring {output}") as tell:
            found = await Drapto(settings).verify(
                source,
                output,
                metric=named,
                every_frame=every_frame,
                neg=neg,
                crop="auto" if crop is None else parse_crop(crop),
                deinterlace="auto" if deinterlace is None else settings.deinterlace,
                video_stream=video_stream,
                on_frames=lambda frames: tell(f"measuring {output}: {frames} frames compared"),
            )
        print_verification(found, json_object=json_object)
        return 0

    from cli.runtime import run_command

    return run_command(body)
