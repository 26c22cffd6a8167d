"""Reads what `ffmpeg -progress pipe:1` prints: one key=value a line."""

from __future__ import annotations

import re
from collections.abc import Callable

PROGRESS_OPTIONS = ("-nostats", "-stats_period", "0.5", "-progress", "pipe:1")

_FRAME = re.compile(r"frame=\s*(\d{1,18})\s*$")
_OUT_TIME = re.compile(r"out_time_us=\s*(\d{1,18})\s*$")


def frame_watcher(on_frames: Callable[[int], None]) -> Callable[[str], None]:
    """A line callback that reports frames written so far; other lines, N/A included, are passed."""

    def on_line(line: str) -> None:
        if match := _FRAME.match(line):
            on_frames(int(match.group(1)))

    return on_line


def time_watcher(on_seconds: Callable[[float], None]) -> Callable[[str], None]:
    """A line callback that reports the output time so far, in seconds."""

    def on_line(line: str) -> None:
        if match := _OUT_TIME.match(line):
            on_seconds(int(match.group(1)) / 1_000_000)

    return on_line
