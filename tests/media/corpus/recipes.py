"""Small pictures in many ways: what the recipes of the corpus have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.film import Planes, write_film

Recipe = Callable[[Path], Path]

SIZE = "96x64"
WIDTH, HEIGHT = 96, 64


def picture(
    name: str,
    *options: str,
    frames: int = 24,
    size: str = SIZE,
    rate: str = "24",
    filters: str = "null",
    codec: Sequence[str] = x264(),
    pixel_format: str = "yuv420p",
    sound: Sequence[str] = (),
) -> Recipe:
    """The moving pattern of `clips`, filtered, coded; `sound` are input arguments.

    The container follows from `name`; no frame is dropped or doubled.
    """

    def make(directory: Path) -> Path:
        out = directory / name
        source = (*pattern(frames, size=size, rate=rate), *sound)
        coded = ("-vf", filters, "-fps_mode", "passthrough", "-enc_time_base", "filter")
        coded += (*codec, "-pix_fmt", pixel_format)
        heard = ("-c:a", "aac", "-b:a", "64k") if sound else ()
        ffmpeg(*source, *coded, *heard, *options, out)
        return out

    return make


def composed(name: str, planes: Callable[[], Planes], **how: object) -> Recipe:
    """Exact luma planes of `film`, written losslessly."""
    return lambda directory: write_film(directory / name, planes(), **how)  # type: ignore[arg-type]


def at_ticks(formula: str, ticks: int) -> str:
    """A filter: frame N is shown at `formula` / `ticks` seconds."""
    return f"settb=1/{ticks},setpts='{formula}'"


__all__ = ["HEIGHT", "SIZE", "WIDTH", "Recipe", "at_ticks", "composed", "picture", "tone"]
