"""Reads files as a job would, one after the other, and says what came of each: a program.

    python -m tests.fuzz.reading FILE…

It prints 'NUMBER ok' or 'NUMBER InputError' for each; anything else ends it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

from drapto.core.errors import InputError
from drapto.infrastructure.ffmpeg.frames import decoded_pts
from drapto.infrastructure.ffmpeg.reader import PyAvReader


async def read(path: Path, work_dir: Path) -> str:
    reader = PyAvReader()
    try:
        media = await reader.probe(path)
        video = await reader.open_video(media, reader.main_video(media), work_dir)
        decoded_pts(video.path, video.stream_index)
    except InputError as error:
        assert error.message
        return "InputError"
    return "ok"


async def main(names: list[str]) -> None:
    for number, name in enumerate(names):
        with tempfile.TemporaryDirectory() as work_dir:
            print(number, await read(Path(name), Path(work_dir)), flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1:])
