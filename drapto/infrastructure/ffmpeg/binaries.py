"""Where the ffmpeg program is, and what it can do.

The program comes from the package imageio-ffmpeg; the setting `ffmpeg` or the environment
variable DRAPTO_FFMPEG names another. What it can do is asked from the program itself, once.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import anyio

from drapto.core.errors import MissingToolError, one_error
from drapto.infrastructure.process import run_process

ASK_DEADLINE_S = 60.0  # a cold start from a slow disk: the static build is 170 MB


@dataclass(frozen=True)
class FfmpegBinary:
    """One ffmpeg program."""

    path: Path
    version: str  # as it prints it, such as 'n9.0.2-17-g2a571b6068'
    encoders: frozenset[str]
    filters: frozenset[str]


def find_ffmpeg(configured: Path | None = None) -> Path:
    """The program to use: configured > DRAPTO_FFMPEG > imageio-ffmpeg's.

    A bare name is looked up on PATH. Errors: MissingToolError.
    """
    named = configured or os.environ.get("DRAPTO_FFMPEG")
    if named:
        found = shutil.which(Path(named).expanduser())
        if found is None:
            raise MissingToolError(
                f"The ffmpeg program that was named, {named}, does not exist or cannot be run.",
                hint="Correct the setting 'ffmpeg' (or DRAPTO_FFMPEG), or remove it to use the "
                "one that comes with Drapto.",
            )
        return Path(found).absolute()
    import imageio_ffmpeg

    try:
        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MissingToolError(
            "There is no ffmpeg program: the package imageio-ffmpeg brings none for this platform.",
            hint="Install ffmpeg with libsvtav1 and name it in DRAPTO_FFMPEG.",
        ) from error


async def inspect_ffmpeg(path: Path) -> FfmpegBinary:
    """Ask the program for its version, encoders and filters. Errors: MissingToolError."""

    said: dict[str, str] = {}

    async def ask(option: str) -> None:
        result = await run_process(
            [path, "-hide_banner", option],
            what="Asking ffmpeg what it can do",
            deadline_s=ASK_DEADLINE_S,
        )
        said[option] = result.stdout.decode("utf-8", "replace")

    with one_error():
        async with anyio.create_task_group() as group:
            for option in ("-version", "-encoders", "-filters"):
                group.start_soon(ask, option)
    version = parse_version(said["-version"])
    if version is None:
        raise MissingToolError(
            f"The program {path} does not answer like ffmpeg.",
            hint="Name an ffmpeg program in DRAPTO_FFMPEG, or unset it.",
        )
    return FfmpegBinary(
        path=path,
        version=version,
        encoders=parse_encoders(said["-encoders"]),
        filters=parse_filters(said["-filters"]),
    )


def parse_version(text: str) -> str | None:
    match = re.search(r"^ffmpeg version (\S+)", text, re.MULTILINE)
    return match.group(1) if match else None


def parse_encoders(text: str) -> frozenset[str]:
    """Names from `ffmpeg -encoders`: lines such as ' V....D libx264    H.264 …'."""
    return frozenset(re.findall(r"^ [VAS][.A-Z]{5} (\w\S*)", text, re.MULTILINE))


def parse_filters(text: str) -> frozenset[str]:
    """Names from `ffmpeg -filters`: lines such as ' TS crop   V->V   Crop …'."""
    return frozenset(re.findall(r"^ [.A-Z]{2,3} (\w+)\s+\S+->\S+", text, re.MULTILINE))
