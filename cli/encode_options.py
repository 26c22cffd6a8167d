"""The options of `drapto encode`, one type each. Defaults are said in the help because the value
itself may come from a settings file; a test compares them with `Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import FILES, MACHINE, OUTPUT, PICTURE, QUALITY


def _text(flag: str, metavar: str, panel: str, help_text: str) -> Any:
    return typer.Option(
        flag, metavar=metavar, show_default=False, help=help_text, rich_help_panel=panel
    )


def _switch(*flags: str, panel: str, help_text: str) -> Any:
    return typer.Option(
        *flags, metavar="", show_default=False, help=help_text, rich_help_panel=panel
    )


def _undo(flag: str) -> Any:
    """Takes back what a settings file or the environment says; see docs/configuration.md."""
    return typer.Option(flag, hidden=True)


Inputs = Annotated[list[str], typer.Argument(metavar="INPUT", hidden=True)]
Output = Annotated[str, typer.Argument(metavar="OUTPUT", hidden=True)]

Crf = Annotated[str | None, _text(
    "--crf", "Q", QUALITY,
    "One quality for the whole film, instead of a VMAF: lower is better and bigger; quarter steps "
    "are fine. (default: none; where no VMAF is aimed at, by the width: for svt-av1 24 up to 1280, "
    "26 up to 1920, 28 above)",
)]  # fmt: skip
TargetVmaf = Annotated[str | None, _text(
    "--target-vmaf", "V|auto|off", QUALITY,
    "The VMAF that the film is to have, 0 to 100. (default: auto, 95 for SDR up to 1920x1088, else "
    "a CRF by the width)",
)]  # fmt: skip
Pool = Annotated[str | None, _text(
    "--pool", "mean|harmonic|p5", QUALITY,
    "How the VMAF of all frames becomes that of the film; p5: what 95 % of them reach. "
    "(default: mean)",
)]  # fmt: skip
Floor = Annotated[str | None, _text(
    "--floor", "V", QUALITY, "The least mean VMAF of a segment. (default: 6 below the target)"
)]  # fmt: skip
Strict = Annotated[bool, _switch(
    "--strict", panel=QUALITY,
    help_text="Bring every segment within 0.5 of the target, or fail with exit code 7.",
)]  # fmt: skip
NoStrict = Annotated[bool, _undo("--no-strict")]
MaxExtra = Annotated[str | None, _text(
    "--max-extra", "SHARE", QUALITY,
    "Share of the frames that may be encoded again to reach the target. (default: 0.10)",
)]  # fmt: skip
MaxSizePercent = Annotated[str | None, _text(
    "--max-size-percent", "P", QUALITY,
    "Give up, with exit code 6, as soon as the output is certain to be larger than P % of the "
    "source. (default: any size is fine)",
)]  # fmt: skip
VmafNeg = Annotated[bool, _switch(
    "--vmaf-neg", panel=QUALITY,
    help_text="Measure with the VMAF models that sharpening cannot please.",
)]  # fmt: skip
NoVmafNeg = Annotated[bool, _undo("--no-vmaf-neg")]
Measure = Annotated[bool, _switch(
    "--measure", panel=QUALITY,
    help_text="Measure the quality also where no VMAF is aimed at: with --crf, and for HDR.",
)]  # fmt: skip
NoMeasure = Annotated[bool, _undo("--no-measure")]
Preset = Annotated[str | None, _text(
    "--preset", "0..13", PICTURE, "Effort: lower is slower and smaller. (default: 6)"
)]  # fmt: skip
EncoderName = Annotated[str | None, _text(
    "--encoder", "NAME", PICTURE,
    "svt-av1, x265 or x264; of graphics cards av1-nvenc, av1-qsv, av1-vaapi, av1-amf or "
    "hevc-nvenc; auto: the first AV1 encoder of a card that works here, else svt-av1. "
    "(default: svt-av1)",
)]  # fmt: skip
Crop = Annotated[str | None, _text(
    "--crop", "auto|off|W:H:X:Y", PICTURE,
    "Cut off black bars: where they are certain, never, or to this rectangle. (default: auto)",
)]  # fmt: skip
Deinterlace = Annotated[str | None, _text(
    "--deinterlace", "auto|off|bwdif|bob|ivtc", PICTURE,
    "Make whole pictures of fields: as the film needs, never, one or two of every frame, or those "
    "of the film behind a telecine. (default: auto)",
)]  # fmt: skip
FilmGrain = Annotated[str | None, _text(
    "--film-grain", "auto|off|1..50", PICTURE,
    "Take film grain off and have the player put it on again: by what is found, never, or at this "
    "level of SVT-AV1's. (default: off)",
)]  # fmt: skip
Audio = Annotated[str | None, _text(
    "--audio", "opus|copy|none", PICTURE,
    "Convert every audio track to Opus, copy it, or leave it out. (default: opus)",
)]  # fmt: skip
VideoStream = Annotated[str | None, _text(
    "--video-stream", "N", PICTURE,
    "Which video stream to encode, counted from 0. (default: the main one)",
)]  # fmt: skip
StrictTracks = Annotated[bool, _switch(
    "--strict-tracks", panel=PICTURE,
    help_text="Refuse a file that has a track the output cannot hold. "
    "(default: leave it out and say so)",
)]  # fmt: skip
NoStrictTracks = Annotated[bool, _undo("--no-strict-tracks")]

Workers = Annotated[str | None, _text(
    "--workers", "N|auto", MACHINE,
    "Segments encoded at the same time. (default: auto, by cores, picture size and memory)",
)]  # fmt: skip
Memory = Annotated[str | None, _text(
    "--memory", "GiB|auto", MACHINE,
    "Memory all encoders may use together. (default: auto, by what is free)",
)]  # fmt: skip

Overwrite = Annotated[bool, _switch(
    "--overwrite", panel=FILES,
    help_text="Replace an output that is already there. One that a finished job with kept work "
    "made, and that is unchanged, stays. (default: refuse, or in a batch skip the file)",
)]  # fmt: skip
NoResume = Annotated[bool, _switch(
    "--no-resume", panel=FILES,
    help_text="Start afresh, with --overwrite even a finished job. (default: go on where an "
    "earlier run stopped)",
)]  # fmt: skip
KeepWork = Annotated[bool, _switch(
    "--keep-work", panel=FILES,
    help_text="Keep the work directory with log and manifest when done. (default: remove it)",
)]  # fmt: skip
NoKeepWork = Annotated[bool, _undo("--no-keep-work")]
WorkDirectory = Annotated[str | None, _text(
    "--work-dir", "DIR", FILES, "Where unfinished work is kept. (default: beside the output)"
)]  # fmt: skip
DryRun = Annotated[bool, _switch(
    "--dry-run", panel=FILES,
    help_text="Print the plan and the commands, encode nothing. Where a VMAF is aimed at, each "
    "segment gets its own CRF in the end; the commands show the one to expect without a target.",
)]  # fmt: skip

Route = Annotated[list[str] | None, _text(
    "--route", "STAGE=MODE", MACHINE,
    "Who serves a stage of this one run, such as detection=legacy. May be given for every stage. "
    "(default: as the flags say; see drapto flags list)",
)]  # fmt: skip
Priority = Annotated[str | None, _text(
    "--priority", "low|normal|high", MACHINE,
    "What rules of the flags can ask about; it changes nothing else. (default: normal)",
)]  # fmt: skip
NoWaitShadow = Annotated[bool, _switch(
    "--no-wait-shadow", panel=MACHINE,
    help_text="Leave the comparison with the other side of a stage to a process in the background. "
    "(default: wait for it, when there is one)",
)]  # fmt: skip
WaitShadow = Annotated[bool, _undo("--wait-shadow")]

JsonLines = Annotated[bool, _switch(
    "--json", panel=OUTPUT,
    help_text="Print one JSON event a line on stdout; the log goes to stderr.",
)]  # fmt: skip
MetricsFile = Annotated[Path | None, _text(
    "--metrics-file", "FILE", OUTPUT, "Write the numbers of the run in Prometheus text format."
)]  # fmt: skip
Verbose = Annotated[bool, _switch(
    "-v", "--verbose", panel=OUTPUT, help_text="Print the log on stderr too."
)]  # fmt: skip
Quiet = Annotated[bool, _switch(
    "-q", "--quiet", panel=OUTPUT, help_text="Print errors only."
)]  # fmt: skip
