"""The legacy side for tests: with the packaged scripts, or with scripts written on the spot.

What needs ffprobe, mediainfo and shellcheck is marked; `scripts/test` installs them where it may.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.scripts import ScriptDirectory
from drapto.services.legacy.adapter import Scripts
from drapto.services.legacy.contract import PACKAGED_SCRIPTS

needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("ffprobe", "mediainfo"))),
    reason="the legacy scripts need: apt-get install ffmpeg mediainfo",
)


def packaged(work_dir: Path, *, ffmpeg: Path | None = None) -> Scripts:
    runner = ScriptDirectory(PACKAGED_SCRIPTS, interpreter=("bash",), deadline_s=240)
    return Scripts(runner, ffmpeg=ffmpeg or find_ffmpeg(), work_dir=work_dir / "legacy work")


def foreign(directory: Path, *, deadline_s: float = 60, **texts: str) -> Scripts:
    """A team's own scripts: one executable without a suffix for each stage, by its text."""
    home = directory / "our scripts"
    home.mkdir(exist_ok=True)
    for stage, text in texts.items():
        (home / stage).write_text(text)
        (home / stage).chmod(0o755)
    runner = ScriptDirectory(home, deadline_s=deadline_s)
    return Scripts(runner, ffmpeg=find_ffmpeg(), work_dir=directory / "legacy work")


def echoing(text: str) -> str:
    """A script that only prints this."""
    return f"#!/bin/sh\ncat <<'EOT'\n{text}\nEOT\n"


async def opened(path: Path, directory: Path) -> SourceVideo:
    reader = PyAvReader()
    media = await reader.probe(path)
    return await reader.open_video(media, media.tracks[0], directory)
