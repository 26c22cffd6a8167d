"""`drapto encode`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import FILES, MACHINE, OUTPUT, PICTURE, ConfigFile

if TYPE_CHECKING:
    from cli.runtime import Stop


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


def _either(yes: bool, no: bool) -> bool | None:
    return True if yes else False if no else None


def encode(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", hidden=True)],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", hidden=True)],
    crf: Annotated[str | None, _text(
        "--crf", "Q", PICTURE,
        "Quality: lower is better and bigger; quarter steps are fine. "
        "(default: by the width; for svt-av1 24 up to 1280, 26 up to 1920, 28 above)",
    )] = None,
    preset: Annotated[str | None, _text(
        "--preset", "0..13", PICTURE, "Effort: lower is slower and smaller. (default: 6)"
    )] = None,
    encoder: Annotated[str | None, _text(
        "--encoder", "NAME", PICTURE, "svt-av1, x265 or x264. (default: svt-av1)"
    )] = None,
    crop: Annotated[str | None, _text(
        "--crop", "auto|off|W:H:X:Y", PICTURE,
        "Cut off black bars: where they are certain, never, or to this rectangle. (default: auto)",
    )] = None,
    audio: Annotated[str | None, _text(
        "--audio", "opus|copy|none", PICTURE,
        "Convert every audio track to Opus, copy it, or leave it out. (default: opus)",
    )] = None,
    video_stream: Annotated[str | None, _text(
        "--video-stream", "N", PICTURE,
        "Which video stream to encode, counted from 0. (default: the main one)",
    )] = None,
    strict_tracks: Annotated[bool, _switch(
        "--strict-tracks", panel=PICTURE,
        help_text="Refuse a file that has a track the output cannot hold. "
        "(default: leave it out and say so)",
    )] = False,
    no_strict_tracks: Annotated[bool, _undo("--no-strict-tracks")] = False,
    workers: Annotated[str | None, _text(
        "--workers", "N|auto", MACHINE,
        "Segments encoded at the same time. (default: auto, by cores, picture size and memory)",
    )] = None,
    memory: Annotated[str | None, _text(
        "--memory", "GiB|auto", MACHINE,
        "Memory all encoders may use together. (default: auto, by what is free)",
    )] = None,
    overwrite: Annotated[bool, _switch(
        "--overwrite", panel=FILES,
        help_text="Replace an output that is already there. "
        "(default: refuse, or in a batch skip the file)",
    )] = False,
    no_resume: Annotated[bool, _switch(
        "--no-resume", panel=FILES,
        help_text="Start afresh. (default: go on where an interrupted run stopped)",
    )] = False,
    keep_work: Annotated[bool, _switch(
        "--keep-work", panel=FILES,
        help_text="Keep the work directory with log and manifest when done. (default: remove it)",
    )] = False,
    no_keep_work: Annotated[bool, _undo("--no-keep-work")] = False,
    work_dir: Annotated[str | None, _text(
        "--work-dir", "DIR", FILES, "Where unfinished work is kept. (default: beside the output)"
    )] = None,
    dry_run: Annotated[bool, _switch(
        "--dry-run", panel=FILES, help_text="Print the plan and the commands, encode nothing."
    )] = False,
    json_lines: Annotated[bool, _switch(
        "--json", panel=OUTPUT,
        help_text="Print one JSON event a line on stdout; the log goes to stderr.",
    )] = False,
    metrics_file: Annotated[Path | None, _text(
        "--metrics-file", "FILE", OUTPUT, "Write the numbers of the run in Prometheus text format."
    )] = None,
    config: ConfigFile = None,
    verbose: Annotated[bool, _switch(
        "-v", "--verbose", panel=OUTPUT, help_text="Print the log on stderr too."
    )] = False,
    quiet: Annotated[bool, _switch(
        "-q", "--quiet", panel=OUTPUT, help_text="Print errors only."
    )] = False,
) -> int:  # fmt: skip
    """Encode INPUT to OUTPUT.

    INPUT and OUTPUT are files; OUTPUT's extension (.mkv, .mp4, .webm) chooses the container.
    INPUT may also be a directory, or several files: then OUTPUT is a directory, and every video
    found becomes an .mkv in it, under the same name and in the same sub-directories. One failed
    file does not stop the others.

    Run the same command again after an interruption and it goes on where it stopped.
    """
    flags = {
        "crf": crf, "preset": preset, "encoder": encoder, "crop": crop, "audio": audio,
        "video_stream": video_stream, "workers": workers, "memory_gib": memory,
        "strict_tracks": _either(strict_tracks, no_strict_tracks),
        "keep_work": _either(keep_work, no_keep_work), "work_dir": work_dir,
    }  # fmt: skip
    run = {"overwrite": overwrite, "resume": not no_resume, "dry_run": dry_run}

    async def body(stop: Stop) -> int:
        from cli.encode_setup import Call, prepare

        call = Call(
            inputs=tuple(inputs), output=output, flags=flags, run=run, config_file=config,
            metrics_file=metrics_file, json_lines=json_lines, verbose=verbose, quiet=quiet,
        )  # fmt: skip
        jobs, work = prepare(call, stop)
        return await jobs.all(work, stop)

    from cli.runtime import run_command

    return run_command(body, verbose=verbose)
